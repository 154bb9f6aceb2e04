// Package bundle is the format of removable media: how approvals, payloads and reports lie on a stick
// that travels between machines without a network. It reads and writes streams; the files belong to
// node/media.
//
//	pm-bundle/index.json        what is there, written last
//	pm-bundle/docs-0001.car     signed documents, descriptors, payload maps
//	pm-bundle/vol-0001.car ...  chunks
//	pm-bundle/return-<id>.car   what one machine of a site sends back
//
// # Nouns
//
//   - A file is a CAR, version 1 (https://ipld.io/specs/transport/car/carv1/): a header with roots, then
//     blocks, each named by the CIDv1 (raw, sha2-256) of its bytes. Any CAR tool lists and verifies it.
//   - A volume holds chunks as they are stored. Its roots are the payload maps, which are in it; a run
//     before the chunks says which they are, for a compressed chunk has another hash than its plain bytes.
//   - The index says what should be there. It is a hint: see Index.
//   - A frame carries one chunk between a node and the program that has the medium open.
//
// # Invariants
//
//   - Nothing read here is believed: blocks are hashed by whoever uses them, documents are verified from
//     the root of trust, chunks by the payload map that an approval names.
//   - Every length has a maximum, and memory grows with what was read, never with what was promised.
//   - No byte of a medium names a path: files are numbers, and return files the ID of a machine.
//
// # Decisions
//
//   - Version 1 without an index at the end: what a pulled stick still holds can be read to the last
//     whole block, and random access is not needed.
//   - Our own reader and writer, 200 lines: the field's library brings 26 modules for what is a length and
//     a hash before each block, and every one of them would be linked into what runs as root.
//   - Chunks go onto the medium as they lie in the store, compressed or not. To unpack them would cost
//     room, and to pack them again on the other side would need the same encoder there.
package bundle
