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
//   - The believer holds what this node trusts, in memory and on disk (trust.go).
//   - The library holds documents by content ID (docs.go).
//   - The connector keeps sessions with the site, links the way to the seeds (connect.go, links.go).
//   - The apply role verifies everything again before it changes the machine (package apply). It runs in
//     this process, or as one of its own: apply.go is the node's side, applyrole.go builds the process,
//     hands.go gives it the installers.
//   - The seed part (seed.go, approve.go, enrolment.go) exists where the data folder holds approval keys.
//
// # Invariants
//
//   - Nobody but the loop calls the core. A full event queue makes the sender wait.
//   - A Save is durable before the next action begins; if it cannot be, the node waits or stops.
//   - A manifest is verified and synced to disk before the core hears of it.
//   - A chunk is verified and in the store before the core hears of it.
//   - Nothing is served or asked outside the site, seeds aside; nobody without a certificate of the
//     verified roster gets a session.
//
// # Decisions
//
//   - prometheus/client_golang is used here because libp2p links it anyway.
//   - Seeds install nothing: the machine that holds approval keys is not one that updates are tried on.
//   - Gossip key and token secrets are derived from or sealed to keys on the seed; a relay that
//     carries a request to join learns neither.
package node
