// Package keys keeps private keys as files: the node's identity and the keys of roles such as
// approver or enrolment issuer.
//
// It is not a keyring for others' public keys: those are in signed metadata (package policy).
//
// # Files
//
//	node.key         identity of this machine (PEM, PKCS #8, ed25519)
//	NAME.key         private key of a role, unprotected
//	NAME.key.age     the same, encrypted with a passphrase (age, scrypt)
//	NAME.pub         its public key (PEM, PKIX)
//
// # Invariants
//
//   - The folder has mode 0700 and private keys 0600; anything more open is refused, not repaired: a
//     key that others could read must be taken as known to them.
//   - A key file is complete or absent: written beside, synced, renamed, the folder synced.
//   - A key is never overwritten.
//
// # Decisions
//
//   - PEM and age rather than own formats, so that "openssl pkey" and "age -d" can read a backup.
//   - age (imported here only) protects with scrypt and has many eyes; its parameters make one guess
//     cost about a second and 256 MiB.
//   - Public keys of low order or in a non-canonical form are refused: signatures of such keys can be
//     valid for messages that nobody signed, or the same key can have two names.
package keys
