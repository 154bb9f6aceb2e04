// Package node is the real driver of swarm.Core: it builds the parts by hand, feeds events in and
// does what the actions ask for. It decides nothing that a fleet would notice; that is swarm's and
// policy's work.
//
//	transport ─┐                        ┌─▶ transport   tell, fetch, serve
//	gossip ────┼─▶ events ─▶ Core.Step ─┼─▶ gossip      announce
//	control ───┤   (one bounded queue)  ├─▶ store       open, put, publish
//	installers ┘                        ├─▶ installers  detect, install, remove
//	                                    └─▶ state       save (before anything after it)
//
// # Nouns
//
//   - The loop is the one goroutine that owns the core (loop.go); do.go starts what actions ask for.
//   - The believer holds what this node trusts, in memory and on disk, and the time to judge it by
//     (believer.go, clock.go); trust.go is how it hears and fetches what is newer.
//   - The library holds documents by content ID (docs.go).
//   - The connector keeps sessions with the site, links the way to the seeds (connect.go, links.go).
//   - The reach says which addresses may be dialled (reach.go); every socket and packet asks it.
//   - A revocation locks a machine out (revoke.go); gossip keys come in epochs (gossipkeys.go).
//   - The apply role verifies everything again before it changes the machine (package apply). It runs in
//     this process, or as one of its own: apply.go is the node's side, applyrole.go builds the process,
//     hands.go gives it the installers.
//   - Cards are what members of an orchestration say, signed by each (cards.go); orchestration.go is how people set and
//     see one, orchearlier.go which earlier lists of members a seed keeps beside a new one.
//   - Looks for updates are done a few at a time, in the order in which the core asks for them (looks.go).
//   - The storekeeper measures the store, scrubs it and does what the core lets go (storekeep.go, storeapi.go);
//     the ledger books where every byte came from (ledger.go, bookkeep.go). The diary keeps
//     what happened here for 'patchmesh log events' (eventlog.go).
//     Receipts prove it to others: receipts.go makes and signs them, receiptround.go and receiptgive.go collect them
//     (package receipt).
//     When and from whom the approvals came, for 'patchmesh log sync': synclog.go.
//   - The renewal keeps the own membership alive and ends sessions with those who have lapsed (renew.go), or
//     whose issuer was withdrawn (renewsoon.go); enrolkeys.go makes, withdraws and retires the seed's issuer keys.
//   - The seed part (seed.go, approve.go, decide.go, enrolment.go, requests.go) exists where the data
//     folder holds online keys; ceremony.go and approvallog.go are what people ask about drafts, roots
//     and history.
//   - The carrier is this node's part with removable media (carrier.go, returns.go); who has the medium open
//     is the command line, which calls bundleexport.go, bundleimport.go and bundlereturn.go, or by itself
//     bundleauto.go; bundlesite.go is what a seed knows of a site as a whole from what came back.
//   - The mule is a machine that carries those things between sites by itself (mule.go); visited.go is the side
//     that it visits.
//   - The errands are renewals without a way to the seed (errands.go, errandspread.go): sealed requests gather at
//     the machine that packs a medium, a list that the seed has signed spreads from the one that was fed.
//   - The doctor looks at a running node (doctor.go) or, under the lock of the folder, at a stopped one and mends it
//     (doctorstopped.go, doctoraccess.go); doctordisk.go is which file systems count, runsettings.go what the last run's
//     command line said of them. console.go opens a seed's page for browsers (package console).
//   - offlinesign.go needs no data folder at all: it is for approvers on machines of their own.
//
// # Invariants
//
//   - Nobody but the loop calls the core. A full event queue makes the sender wait.
//   - A Save is durable before the next action begins; if it cannot be, the node waits or stops.
//   - A manifest is verified and synced to disk before the core hears of it.
//   - A chunk is verified and in the store before the core hears of it.
//   - The use of a token, the serial and the membership that it buys are one durable step, taken before
//     the certificate leaves. A cut at any point strands nobody: the same command goes on.
//   - A node whose trust was damaged on disk starts, says so, and begins nothing new until a peer has
//     shown it an unexpired head that is not below what it still knows. While its roster is lost too,
//     it admits those whom the seed that enrolled it has enrolled.
//   - Nothing is served or asked outside the site, seeds aside, and what a medium would bring aside, for a machine
//     that signed policy makes a carrier for the site; nobody without a certificate of the
//     verified roster gets a session.
//   - Who is on the verified list of revocations is cut right after TLS, loses what it has and is
//     forgotten. Checked when a roster is adopted and again when a session comes up: one of the two
//     sees whichever came last.
//   - Nothing that a peer says without a signature makes this machine ask or dial: claimed head
//     versions count up to the newest that was seen signed, addresses only inside the site.
//   - The shares of a payload sum up to the bytes of it that are held, whatever happened to the node or the
//     disk meanwhile: a chunk without a known giver counts as found in the store.
//   - A payload that begins takes what it has in common with others of the store before anything is asked of anybody
//     (reuse.go): a new version crosses the WAN as far as it has changed. Chunks have a fixed size, so that is what has
//     stayed in its place, as in disk images and files that grew at their end; an archive packed anew has nothing of it.
//   - Nothing depends on gossip. A machine that holds none of its keys gets news, keys and peers over
//     sessions.
//
// # Decisions
//
//   - prometheus/client_golang is used here because libp2p links it anyway.
//   - A payload whose map is damaged on disk is kept: the map is among the documents as well, or comes again, and proves
//     itself by its name; then what lies there is hashed (unmapped.go).
//   - A payload whose install follows at once is published after it and on the strength of the hash of the copy
//     that is installed (publishing.go); a process that was killed in between publishes it at its next start.
//   - Seeds install nothing: the machine that holds approval keys is not one that updates are tried on.
//   - A seed issues its own certificate. Its members ask it through whoever leads there, at half life,
//     spread over a twentieth of it, with pauses that double after a failure.
//   - A machine that was replaced by itself under a new key may not renew the old one; the certificate
//     that the old key has ends within its week.
//   - A broken approval log is said loudly and stops no patch: a new one begins, and the checkpoints
//     that machines have seen tell of the old one.
//   - Gossip keys are asked for (GossipKeyAsk), not pushed: one question a second from whoever lacks
//     one, so a rotation spreads like a rumour and costs a full site no storm. The roster commits to
//     each key by hash, so it does not matter who answers.
//   - The clocks stated in the roster (UseAt, EndAt) need no agreement: until a new key counts both
//     open, and whoever is wrong about the time loses gossip for a while and nothing else.
//   - What a machine on Wi-Fi sends to others is limited where nobody set a limit (wifiUp): the air is shared with everybody
//     who works there. Whether it is on Wi-Fi is looked up every few seconds at the interface of the default route
//     (Linux), or said with --gate link=wifi; what cannot be found out counts as wired.
//   - Of what is signed for a machine about rates, budget and store, what its command line says and what is stated for its
//     site, the strictest counts at each instant (pace.go). Where nobody said anything, what is given to other sites has
//     a limit (policy.UsualSiteUp) and what is taken has none: a site takes each byte once, and a number that suits one
//     line starves a site behind a faster one. Machines of another site in the own subnet, as where a carrier visits,
//     share no line with it. 'doctor' tells all limits, who says so, and what they do now.
//     Gates go by the same rule, but that what is signed takes the place of their default, also where it is looser
//     (gatesstated.go).
//   - What a cache of the site gave is booked on a tier of its own (contacts.go); receipts keep to the way it came, which
//     older machines know too and which says whether the WAN was crossed.
//   - A machine that has an address where only another site states to be has roamed there, and gives nothing to machines of
//     its own site but those that are with it (away.go). It still fetches for itself.
//   - Where bytes came from is booked here and not in the core: nothing is decided by it. A seed books what
//     machines report as totals, and only what is more than it has booked: reports may come twice or late.
//   - Receipts are asked for, never pushed: who gave wants the receipt, who got wants the signature, headquarters wants
//     both, and each is paid for by whoever asks. A version without receipts answers nothing, and no message of
//     the session has changed for them.
//   - Who gave which share travels with the reports of two minutes after a payload was whole, and of once an
//     hour: with every report it would be more than the reports themselves.
//   - A locked-out machine shows why and goes on trying: stopping because a peer says so would give
//     every liar a switch, and an admin may let it in again.
//   - A medium is fed into the store by the program of whoever put it in, not by the core as a peer: the node
//     may not open paths that people name, and could not see them behind the service manager's guard. The core
//     hears of chunks that nobody asked for (ChunksCarried) and offers them to the site.
//   - The body of a large report travels packed (reportform.go): what is signed is the plain body, so a machine gives one of
//     an older version the form that it reads. What has no room even so is left out in order of weight and said to be
//     (reportcut.go); the seed shows what it was told of it before, while approvals name it.
//   - Between neighbour sites there are sessions like any other, but nothing passes over them except chunks and what is
//     said about them (adjacent.go): each message and each question is judged by where its sender belongs.
//   - A carrier is no neighbour of those whom it visits: no session, no gossip, no place in the core. Sites stay
//     apart, and what it could do wrong is what a stick could. Its data folder holds what a stick would, so
//     that both go through the same code, and a folder can be copied to a stick.
//   - Whether a machine is a carrier is read from the groups of its certificate, on both sides alike: a site
//     knows nothing else of it. So a site hears of its carriers by its first stick.
//   - A report on a medium counts by the time that its machine signed, not by the number that it came with,
//     which nobody signed: whoever carries it could otherwise end all later reports of a machine.
//   - A seed answers the requests of a site anew for every medium: one that came home once is good for two
//     months of renewals, and a certificate begins when the medium is packed.
//   - The staleness budget lengthens no certificate, it is how late the machines of a site take one from each
//     other, and how late they take and keep approvals whose online signatures have ended; what approvers and
//     root holders sign ends when it says. So a newer roster can end it at once, a seed or another site never sees it, and what it may come
//     to is bounded by policy.MaxStaleDays, well within the time for which revocations are kept.
//   - An inventory is sealed to the seed, within a signed report: a list of versions is a map for attackers, and a
//     relay has no use for it. The list of packages travels whole in a letter of its own, at most daily;
//     reports carry what changed since that letter, so none of them takes anything with it when it is lost.
//   - The apply process reads the inventory itself, and the groups that this machine has joined from its own
//     folder: the net process could otherwise choose which approvals count here.
//   - That an update is stalled is worked out where it is told and neither reported nor stored: a machine that has
//     fallen silent cannot say it of itself, and budgets that are signed later hold for what it said before.
//   - On a stopped machine the doctor installs and removes nothing: whether that may be now depends on people and
//     windows as well, which the running node asks. It asks the machine what came of what was cut off.
//   - A machine gives a neighbour its report only while it knows no way to a seed: what a machine lacks is
//     nobody's business where reports can go their own way.
//   - Gossip key and token secrets are derived from or sealed to keys on the seed; a relay that
//     carries a request to join learns neither.
package node
