// Package mem is a content.Store in memory: for tests, demonstrations and simulations that move real
// bytes. It is not a cache before a disk store, and nothing survives Close.
//
// It keeps the promises of content.Store, including those about damage: Damage flips a bit the way a
// disk would, and Publish and OpenPlain must find it.
//
// # Invariants
//
//   - A chunk is in memory only if it was verified when it came; the store copies what it is given and
//     hands out copies.
//   - All fields are owned by one lock, which is not held while bytes are hashed or compressed.
//
// # Decisions
//
//   - A limit in bytes stands in for the size of a disk, so that a full disk can be played anywhere.
package mem
