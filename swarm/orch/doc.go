// Package orch is an orchestration on one machine: a semaphore of n slots that the machines of a group keep
// among themselves, without a server. Who holds a slot may install and restart; nobody else does.
//
// # Nouns
//
//   - A roll is the signed list of members. There is the present one, and earlier ones that are not settled yet.
//   - A card is what one member says of itself, signed by it, the newest in place of the one before: what it is
//     up to, and its votes. Cards travel through any machine of the site (package swarm passes them on).
//   - A slot is one lock. A vote is a member's promise that a slot is somebody's, until that one releases it or
//     the lease ends. A ballot numbers the times that a member asks; a vote names it.
//   - A Machine is the state of one member, or of a machine that only passes cards on.
//
// # A member's life
//
//	idle ──▶ pending ──▶ waiting ──▶ asking ──▶ holding ──▶ idle
//	                       ▲            │          │
//	                       └─ no quorum ┘          └──▶ failed (where a failure stops all), until a reset
//
// # Invariants
//
//   - A member gives one vote for a slot at a time. It is durable before it is told (Out.Save before Out.Tell),
//     and it ends only when the one it is for says so, or when the lease is over.
//   - A slot is held by who sees votes of a quorum of every roll for its present ballot. Two quorums of one roll
//     have a member in common, so a slot has one holder, in whatever parts the site may be. A newer generation
//     keeps the earlier rolls, so it has a quorum in common with every older one too: see Config.Rolls.
//   - A holder begins nothing after the member limit, counted from before it asked, and a voter counts its lease,
//     which is longer, from after it was asked. Neither reads the other's clock, and neither trusts its own wall
//     clock: a voter goes by elapsed time alone, a holder by whichever of the two has gone further, so that a
//     machine that slept does not think that it has time left.
//   - What was begun before a restart of the program is not gone on with on the old ballot.
//   - An orchestration that was dropped and set anew under its old name is another one: its cards are counted from
//     where no card of the first can be (Config.Since). Those are signed too, and whoever was away brings them along.
//   - Without a quorum nothing begins.
//
// # What a liar can do
//
// A member that withholds its votes, asks without end or tells of failures delays the others, and each of these
// ends: it is passed over, out-voted, or an approver resets. One that votes twice, once to each part of a site that
// has fallen apart, can join two quorums where plain majorities are asked for. Config.Liars makes quorums so large
// that any two have that many members in common and one more: then so many liars together change nothing. A liar's
// own install is its own business: no vote of others keeps a machine from what its owner does with it.
// A disk that is set back to an older state forgets votes, as a liar would: count such machines among them.
//
// # Decisions
//
//   - A lock per slot and not one count: a plain majority is enough for each, while a count of n would need n of
//     n+1 parts of all votes.
//   - No member leads. A leader would have to be elected by the same votes, and is one more thing to lose.
//   - Order is a courtesy: who comes later in line waits for those before, and stops waiting for one that does not
//     get on. Only votes keep the number.
package orch
