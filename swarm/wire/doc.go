// Package wire is the exact bytes that machines of a mesh exchange: the messages of a session, the
// frames of chunk, document and enrolment streams, and the gossip rumour. It encodes and decodes;
// it opens no socket, keeps no state and decides nothing.
//
// # Nouns
//
//   - A message is one frame of the mesh stream: uvarint length, kind byte, body. Both sides send
//     them at any time after the hello.
//   - An ask, a cancel and an answer belong to the chunk stream. They have a fixed size each, so that
//     a reader needs no second look and a writer can put an answer right in front of its bytes.
//   - A document ask and its answer are the whole of a document stream.
//   - A rumour is what gossip carries: a site and its signed TUF timestamp, small enough for one packet.
//
// # Invariants
//
//   - Every decoder checks a length against a constant before it reads or allocates.
//   - There is exactly one encoding of a message: numbers in their shortest form, no trailing bytes,
//     no stray bits. What decodes encodes back to the same bytes.
//   - Decoded values own their memory; they share nothing with the reader's buffer.
//   - No input panics.
//
// # Session
//
//	dialler                    other side
//	Hello         ───────▶     checks the certificate
//	checks it     ◀───────     Hello, or Goodbye with a code
//	Ready         ───────▶     the session is up on both sides
//	messages      ◀──────▶     messages; Ping when nothing else was sent; Goodbye ends it
//
// # Versions
//
// The protocol names (/patchmesh/mesh/1 ...) are the version. A changed meaning is a new name;
// Hello.Version says which kinds of messages a machine understands within one name, so that a newer
// one does not send what an older one would refuse; nor a form of what is opaque here (VersionPacked).
//
// # Decisions
//
//   - Hand-written binary instead of a serialisation library: a dozen small kinds, each decoder fits
//     a screen, nothing reflects on hostile bytes, and golden tests pin every byte.
//   - Unknown kinds are refused, not skipped: a peer that sends what was not agreed is wrong.
//   - Boot and Seq stand in every Hello: they order the hellos of one peer, so that two machines that
//     dial each other at the same time, or one that restarts, agree which connection is the session.
//   - Certificates, timestamps and reports are opaque here: who may say what is policy's matter.
package wire
