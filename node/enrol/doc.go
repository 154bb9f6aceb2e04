// Package enrol is how machines become members: join tokens, sealed requests to join and their
// answers, and membership certificates. It holds formats and their checks; who may join is decided
// by the seed, which keeps the books.
//
// # How a machine joins
//
//	invite:  seed    ─▶ token: secret, seed's peer ID and box key, digest of the root, addresses
//	join:    machine ─▶ request: name, peer ID and secret, sealed to the seed's box key,
//	                    signed by the machine's own key
//	         seed    ─▶ answer: certificate, trusted documents, gossip key, sealed back
//
// A request may be carried by any enrolled machine: the relay sees two sealed boxes.
//
// # Invariants
//
//   - No trust on first use: the token pins the root and the only key that can answer.
//   - The certificate binds the key that signed the request; nothing that the machine says of itself
//     but its name gets into it.
//   - Every decoder has a size limit and refuses unknown fields.
//
// # Decisions
//
//   - Boxes are X25519, HKDF-SHA256 and AES-256-GCM from the standard library (the scheme of RFC 9180
//     in base mode, without its negotiation): one fixed suite, nothing to downgrade.
//   - Certificates are libp2p signed envelopes: the format of signed records in the stack that carries
//     them, with domain separation. go-libp2p/core is the light part of that library.
package enrol
