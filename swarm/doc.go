// Package swarm decides what one machine of the mesh does next: whom to believe worth asking for
// news, which chunk to fetch from whom, who crosses the WAN for a site, when an update is installed
// and what is reported. It decides only. It has no I/O, no goroutine, no clock and no randomness of
// its own: time and a random source are arguments, so the very same Core runs inside a real node
// and inside the simulator.
//
//	event ──▶ Core.Step(now, event) ──▶ actions, in order
//	                 │
//	           Core.Wake(): Step a Tick no later than this
//
// # Nouns
//
//   - A peer is a session with another node: a neighbour (same site) or a seed across the WAN.
//   - A payload is known by its ID and its chunk count. Chunks are numbers here; bytes live in the driver.
//   - The WAN lease of a payload is the right to fetch its missing chunks for the whole site.
//   - A neighbour site is one that signed policy lets this site take chunks from; an adjacent peer is a machine of
//     it (adjacent.go).
//   - A trail leads from neighbour to neighbour to whoever brings the chunks of a payload (trail.go), in sites
//     where not everybody has a session with everybody. Such a site is wide.
//   - The uplink is the egress peer that keeps a session with a seed for news and reports.
//   - A task is the life of one update on this machine.
//   - A slot lets a machine of an orchestration begin (orchestration.go, package orch): the machines settle among
//     themselves who has one, by cards that any machine of the site passes on.
//   - A cache is a machine that stores what is approved for any machine of its site, so that who comes later has
//     it from a neighbour (cache.go). What it installs is its own plan's matter.
//   - A keep is the reason why a payload stays in the store, or goes first (retain.go).
//
// # Invariants
//
//   - A chunk is asked from one holder at a time; a second holder is asked only after silence.
//   - A chunk that a neighbour in good standing holds never crosses the WAN: only a lease holder emits FetchOrigin,
//     and only for chunks that no neighbour has. Machines of other sites are asked and served only where signed policy
//     says so (PeerUp.Gives, Takes), and for chunks alone.
//   - Nothing is installed unless the plan of the newest manifest says so at the moment of Install,
//     and the intent was saved before. A plan that time has overtaken is made anew before any event counts.
//   - Nothing is evicted that this machine, or a machine of the site as far as it is known, still lacks; nor
//     one of the first SiteCopies holders in hash order, but for an update that has to be installed here.
//   - A machine that an orchestration binds begins neither an install nor, by itself, a restart without a slot, and
//     gives it back when both are done. A vote is saved before it is told.
//   - A chunk that was lost to damage is withdrawn from neighbours in the same step.
//   - Same configuration, random seed, events and times: same actions. No decision follows map order.
//
// # The life of an update
//
//	          held ◀──┐  (any time before installing: the plan is asked again)
//	offered ─▶ waiting-content ─▶ downloading ─▶ downloaded ─▶ installing ─▶ installed
//	   │                                                          │
//	   └─ detected: installed                                     └─▶ failed-install ─ back-off ─▶ installing
//	                                                              └─▶ rolled-back: not again until it is approved anew
//
// The machine is looked at when a task begins, every ScanEvery, when somebody asks, and before a fetch or a
// change if the last look is older than ScanFresh. Changed approvals have it looked at once more, within the time that
// is signed for that (newsscan.go); that look, and those for what is only listed (listed.go), are taken at leisure: they
// put off nothing that somebody has approved. What an installer calls a failure is one only if the
// machine, looked at again (verifying), agrees. A state that was left by a restart goes on since when it began.
//
// # Decisions
//
//   - Have-bits are pushed, once in full per session and then as deltas, instead of being asked for:
//     one round trip less per chunk, and exact availability is what makes rarest-first exact.
//   - A delta is one action for all neighbours, and gathers for a moment. Its wake tells what was gained and looks at
//     nothing else; who hears of it looks at those chunks only, since a full look follows with the next chunk.
//   - Who takes a fresh chunk first is agreed by rendezvous hashing over (payload, chunk, peer)
//     (Thaler and Ravishankar, "A Name-Based Mapping Scheme for Rendezvous", 1996): one taker while there is
//     one holder, then three for each, so copies multiply and whoever serves a cold site sends every chunk once
//     before it sends any twice. Every machine's uplink carries its share, and the slowest line is never idle:
//     who has nothing left to ask for by its turn asks out of turn, where the others would come last.
//     While single holders feed the site with most of a payload, who has too little under way to keep its own line busy
//     asks out of turn for what several hold (outofturn.go): later generations of takers need not wait for earlier ones.
//   - In a wide site the best claim of the WAN lease is passed on to all, and stands for a moment before it is
//     used: one machine fetches in each part of a site, at the cost of a few messages per neighbour. Who wants a
//     payload that no neighbour takes part in asks the next one on the trail to relay it (relay.go): no session is
//     opened for it, so nobody has more of them the larger the site is.
//   - How many machines there are is a hint of gossip. A false one makes claims wait in vain, or count too soon;
//     trails that lead to nothing twice do not count any more, so inventing holders delays a site that long.
//   - A cache comes first in the line for the WAN lease: what it fetches stays in the site. For everything else it is a
//     holder like any other, and a site without it is none the worse. The role is its own word, so it is believed as far as a chunk:
//     who lets the site wait once, with nobody else claiming the lease, has the place of its hash for a day.
//   - The order of sources is a choice (sources.go), with one bound: what the site holds comes before what crosses a line, or
//     the line would carry it twice. Who asks no seed says so as a gate, and nobody waits for it to hold a lease, but others
//     that ask none, once it has claimed one; a program of before reads that as a refusal, which has the same effect.
//   - Machines on Wi-Fi say so (wifi.go). They are asked after those that are wired, and not at all while a wired holder will
//     soon have sent what it owes: each byte between two of them crosses the air twice. In the line for the WAN lease
//     they come last. A false word delays others by a second per look, or by one wait for the lease.
//   - A holder that alone has some chunks is asked for those only, while others have the rest.
//   - The holder sees what everybody asks for, so it mends what the askers could not agree on: a first copy
//     goes before a second one, and never two first copies of a chunk at once.
//   - Silence is measured by holder, not by request: who serves others in between is slow, not silent.
//   - Trust in a neighbour's word is bought with chunks: it is asked for one until it has sent a good one, shunned
//     for a day at the first wrong one. If it is asked and sends none it counts as silent, for a time that
//     doubles (silence.go), also if it breaks off before it has sent any; of a seed and of a neighbour site, what was
//     out together and fails together is one silence. Who is shunned or silent has no turn, no place in the line for the lease, and holds nothing.
//   - News, descriptions and reports of a site go by way of its uplink, so it is hurried: three seconds after a question
//     another is asked beside, and who gave no answer is no uplink for a turn and asked last (wordless.go). One that says
//     no each time has a minute. A mistake costs a second session across the WAN.
//   - What is to be installed as soon as it is whole is copied for that while it comes (early.go): one update at a time,
//     and none that waits for a window, a slot or a hold to end, or of which nothing more comes. The copy grows from the front, so the first in line for
//     the WAN lease fetches from the front, too.
//   - One WAN lease per payload: many payloads spread over the egress peers by hash, while one
//     payload has one writer, so that "once per site" needs no agreement per chunk.
//   - Heads and manifests are verified by the driver with policy.Trust before the core hears of
//     them: the core works on versions, so that the simulator need not sign anything.
//   - Reports are whole states with a growing sequence number, so a relay may keep just the newest
//     per machine, and losing one loses nothing.
//   - Who may evict is decided by each holder alone: it is not among the first in the payload's hash order.
//     All see the same order, and who sees fewer holders finds itself further in front: errors keep.
//   - A machine that is away is remembered with the newest head that it had adopted: whatever was approved
//     after that it lacks. So nobody has to tell what it did not hear.
//   - Only a wish of its own, as a cache too, or of a neighbour that asked to relay, is told with a have-list, never that of a helper: two helpers would each fetch
//     for the other, across the WAN, what nobody needs any more.
//   - A chunk is paid for, in rate and in WAN budget, when it is asked for (rates.go, budget.go): so no more
//     is under way than is due, and a slow rate never looks like a silent peer.
//   - What a gated neighbour holds does not count as held (gate.go): a site must not wait for chunks that
//     nobody gives.
//   - Neighbour sites are asked under the WAN lease, by its holder and before the seed: so a chunk comes into the site
//     once, and there is one writer. While one is slow the seed is asked for what it holds, too: it is no machine of
//     ours, and must not keep this site from the WAN. What they hold is no part of the availability, or machines
//     without the lease would wait for what only its holder can get.
//   - The WAN budget is a counter per machine that only grows, merged by the larger number: no agreement is
//     needed, and the site overshoots by what several lease holders have under way at most.
//
// # Tests
//
// Stories in testdata, one concept per file, show what each decision looks like (swarmtest runs them);
// FuzzCore checks the invariants in a hostile world; world_test.go has whole sites.
package swarm
