// Package content is bytes and their names: content IDs, chunks, payload maps, have-bits and the
// stores that keep them. It knows nothing of networks, trust or time.
//
// # Nouns
//
//   - An ID is a CIDv1 (raw, sha2-256): the name of a document, a chunk or, through its map, a payload.
//   - A payload is what an update installs. It is cut into chunks of one size (256 KiB to 1 MiB).
//   - A chunk is named by the hash of its plain bytes. It is stored and sent as it is, or as one zstd
//     frame where that is shorter: compressed once, by whoever imports it, never again on the way.
//   - The payload map lists the chunks in order with both sizes and the hash of the whole payload.
//     The map's own ID names the payload.
//   - Have-bits say which chunks of a payload a store has, verified.
//
// # Invariants
//
//   - No byte is stored under a name before it was hashed and matched.
//   - Decoding is bounded by sizes that the map states, and the map is bounded by constants here.
//   - A payload lies on disk once; it is served and installed from there.
//
// # Decisions
//
//   - Fixed-size chunks: vendor packages are compressed already, so content-defined cuts find little,
//     while fixed cuts make offsets arithmetic. Splitter leaves room for the other kind.
//   - minio/sha256-simd and klauspost/compress are imported here and nowhere else, each behind one
//     function: the first is as fast as the standard library where SHA instructions exist and the
//     project asks for it; the second is the only maintained zstd in Go without cgo.
//   - A map may have 40 MiB: a payload of 1 TiB in chunks of 1 MiB needs 36.
//   - Whether to compress is asked again every eighth chunk: images begin with compressed files.
//   - go-cid gives the text form, so that other content-addressed tools understand our names.
package content
