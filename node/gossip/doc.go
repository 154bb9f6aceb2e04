// Package gossip is memberlist at work for one site: who is a member, and the rumour of the newest
// head. Members come and go as callbacks; a rumour is a signed TUF timestamp in a wire.Rumour.
//
// # What it is not
//
// Nothing here has authority. A member is a candidate for a session, which proves the identity; a
// rumour is a hint whose signature the receiver checks. With gossip down or hostile everything still
// works through sessions, slower.
//
// # Invariants
//
//   - Packets are sealed with the site's key (AES-256-GCM), labelled with organisation and site;
//     what does not open is dropped by memberlist before it is parsed further.
//   - SetKeys changes keys while members talk: added, then used, then the old ones removed.
//   - Packets and rumours pass a gate (gate.go) first: only what our machines send, and no more of it
//     than they would, by source and in all; a head is looked at once.
//   - No packet leaves for an address that MayReach refuses, whatever members ask for.
//   - A member shows a certificate in its metadata; CheckMeta refuses those without one.
//   - Callbacks of memberlist never block: what they learn goes through a bounded queue, and what
//     does not fit is dropped, since push and pull repeat it.
//   - A rumour that does not fit one packet is an error at Announce: memberlist itself would keep it
//     for ever and never send it.
//
// # Decisions
//
//   - One port number: packets on a UDP socket beside libp2p's TCP listener, memberlist's own streams
//     over libp2p (Dial, Accept). So push and pull are authenticated like everything else, and there
//     is no second listener.
//   - memberlist (hashicorp) is imported here alone: SWIM with Lifeguard is years of field work that
//     we would not better.
package gossip
