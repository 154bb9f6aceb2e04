// Package sim drives the very swarm.Core and policy that machines run, in virtual time: from five
// machines to a hundred thousand, with every fault that a test can think of. It answers three questions:
// is the core right under any order of faults, what does a fleet cost, and how long will it take.
//
//	Scenario (text) ──▶ World: sites with machines, lines, an organisation that signs ──▶ Report
//	                      │
//	                      └── trace (text) ──▶ Checker: knows nothing but the trace ──▶ Violations
//
// # Nouns
//
//   - A site is what shares a WAN line. It has a queue of entries (time, machine, what) and runs by itself.
//   - A window is how long a site goes on without hearing of others. Sites reach each other by way of the seed's
//     own site only, so that one and the others take turns (turns.go), and in a turn sites run in any order, or at the
//     same time; between two turns they exchange what they sent.
//   - The plan is what happens to the world as a whole: an admin's orders, faults and their ends.
//   - A letter is something sent over a session; it arrives in order, or waits for a broken line to heal.
//   - A machine is a core with a virtual disk (documents, have-bits that are synced every two seconds,
//     what is installed), a clock that may be wrong, and perhaps lies.
//
// # Invariants
//
//   - All chance comes from one seed. The same scenario and seed make the same trace, whatever the number
//     of workers and whatever the order of maps.
//   - The driver keeps the promises of node/do.go: actions start in order, a Save is durable before the
//     next one, every request ends in one event, and nothing calls Step from within do.
//   - No bytes move. A chunk is a number and whether it is what was signed; a driver that verifies refuses
//     one that is not, as node does.
//   - What an honest machine cannot know it does not use: whoever reads another site's state does so in the
//     plan, never in a window.
//
// # Decisions
//
//   - Documents are real: the seed signs with policy, machines verify with policy.Trust. Judging documents
//     is a pure function of the trust that one begins with, the documents, and which of them have expired;
//     so verifier asks policy once and shares the answer, or 100,000 machines would each check the same
//     Ed25519 signatures.
//   - What happens for every chunk allocates nothing: it is a kind of entry, a delta is one entry for all
//     neighbours and is used again, and sessions of a site are found by seat. What is rare is boxed and short to write.
//   - The step that the seed makes to its own new documents is remembered too: whoever stands where it stood
//     gets the same answer without verifying again.
//   - Sites go to whichever worker is free; what they said and sent is joined in their own order, what
//     they said once all of them have got as far. The longer a window, the less often the memory of a site has to
//     come back to a processor: so each site has one as long as its own line allows.
//   - A site's memory comes cold to a processor in each of its windows, so what a chunk costs grows with how little
//     happens in one: a fleet whose seed has less of a line for each site costs more per chunk, at any size. Compare
//     sites-2000x50 with sites-20x50-thin, which has the same share of it, and not with sites-20x50.
//   - Heads travel as pointers that stand for their bytes; a liar's stale head is an old pointer.
//   - Gossip is a model: rumours with memberlist's fan-out, interval and number of transmissions, and push
//     and pull. Membership itself is not modelled: who is on and reachable, and how many they are, is known after
//     a short pause (members.go).
//     calibrate_test.go holds it against real memberlist.
//   - Lines are first come, first served, per machine and per site. It is what a switch with one queue does,
//     and needs one number per direction.
//   - An upload is over for its sender when it has left, as a write is; towards another site no more is under way than
//     transport's window (far.go). An ask that is withdrawn ends when its holder says so, or with its chunk if that is on
//     its way already.
//   - Faults that tear lines leave sessions to the transport's own waits: silence fails what is asked after
//     five seconds and ends the session after ten. A line that heals sooner delivers what was held back.
//   - The checker believes no sum: it counts chunks itself, what crossed a line and what a machine has of a payload.
//   - Shifts (fault shift) are machines of a group that are on together: what caches are for shows only where those who
//     have something and those who want it never meet.
//   - The checker reads approvals and holds in its own few words. It shares no code with policy or swarm, so
//     a mistake there is not made twice; mutants_test.go plants mistakes and expects each to be seen.
//   - The end of a run is decided by the world (it knows who lacks what); whether that end is right is
//     decided by the checker.
//
// # A failure
//
// A run that breaks a promise prints the command that repeats it. Its trace (--trace FILE) reads like a
// log: grep for the machine. Seeds that failed once stay in TestSeedsThatOnceFailed.
//
// # Not modelled
//
// Enrolment, certificates and their renewal, byte rates by class, neighbour sites that give to each other (the turns rest
// on sites reaching each other by way of the seed's alone), and processors: a machine decides in no
// time. What hashing costs is modelled, and that many machines of a lab share its cores.
package sim
