// Package enrol is how machines become members and stay it: join tokens, sealed requests to join or to
// renew and their answers, membership certificates, the folder on a stick that carries both, and a brake
// on guessing. It holds formats and their checks; who may join is decided by the seed, which keeps the
// books.
//
// # How a machine joins
//
//	invite:  seed    ─▶ token: secret, seed's peer ID and box key, digest of the root, addresses
//	join:    machine ─▶ request: name, peer ID, secret, hardware ids, sealed to the seed's box key,
//	                    signed by the machine's own key
//	         seed    ─▶ answer: member (certificate, trusted documents, gossip key), waiting for an
//	                    admin, or refused with a reason; sealed back
//	renew:   machine ─▶ request: peer ID, sealed and signed likewise; the answer is a new certificate
//
// A request may be carried by any enrolled machine, or on a stick: who carries it sees two sealed boxes.
// He can keep silent, and nothing else: a refusal counts only when the seed has sealed it.
//
// # The life of a certificate
//
//	issued ──── half life: renewed by itself ──── end: a stranger ──── 180 days: only a new token helps
//
// A lapsed machine gets no session, but strangers may open the enrolment stream, and a renewal needs no
// more. Sessions with a peer whose certificate ends meanwhile are cut ten minutes later; a peer that has
// renewed connects again at once with the new one. Saying hello again inside a session is not needed then.
//
// # Invariants
//
//   - No trust on first use: the token pins the root and the only key that can answer.
//   - The certificate binds the key that signed the request; nothing that the machine says of itself
//     but its name gets into it, and that is a label: site and groups are the token's.
//   - The same request gets the same certificate while that is fresh; a replay costs no serial.
//   - Every decoder has a size limit and refuses unknown fields. Versions are exact: a request of
//     version 1, from before refusals were sealed, is not understood any more.
//   - Of a stick only regular files are opened, by names that content IDs make, and a bounded number.
//
// # Decisions
//
//   - Boxes are X25519, HKDF-SHA256 and AES-256-GCM from the standard library (the scheme of RFC 9180
//     in base mode, without its negotiation): one fixed suite, nothing to downgrade.
//   - Certificates are libp2p signed envelopes: the format of signed records in the stack that carries
//     them, with domain separation. go-libp2p/core is the light part of that library.
//   - Seven days of life: a machine that cannot be told of a revocation is locked out within them.
//   - Gossip shows every certificate again with each exchange of member lists, so a signature that held is
//     remembered by the hash of the bytes (proofs.go). Nothing else is: what a roster says counts at once.
//   - Hardware ids are keyed digests of what the firmware says, with the root and the data folder in
//     them: they recognise a machine that was set up anew, and are of no use to anybody else. A living
//     machine is never replaced: clones say the same.
//   - A token that needs an admin's word spends its use when the admin accepts, not when somebody asks:
//     whoever stole it can fill the list, but not use it up.
package enrol
