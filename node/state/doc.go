// Package state owns state.db, the embedded database of one machine: the core's snapshot, documents,
// the install journal, reports on their way and, on a seed, the catalogue, draft, groups, tokens,
// members and reports. Nobody else knows which engine it is.
//
// Payloads, keys and the trusted metadata are files elsewhere, never rows.
//
// # Nouns
//
//   - A document is a small immutable text under its content ID: descriptor, payload map, manifest.
//   - The outbox holds the newest report of each machine until somebody nearer to the seed has it.
//   - A receipt row is what one machine has signed about another (package node/receipt), under its number.
//   - The journal notes what an install was about to do, for people to read after a crash.
//   - A token row knows the hash of a join token, never the token.
//
// # Invariants
//
//   - A method that returns nil has made its change durable, but for those that say that they are
//     hints (Touch, PutPeer, AckOutbox, books of bytes, logs): an fsync for each would wear a disk out. They
//     are durable with the next other change.
//   - One writer at a time; readers do not wait for it.
//   - A token use is recorded durably before Enrol returns, at most once per machine, in one transaction
//     with the serial and the membership that it buys.
//   - A request that waits for an admin is recorded before anybody is told that it waits.
//   - Schema steps are numbered and only ever added. A file with a newer schema, of another program,
//     or damaged is refused with its name, and nothing in it is changed.
//   - Every body has a maximum size.
//   - Times are kept in UTC with microseconds; the zero time stays zero.
//
// # Decisions
//
//   - SQLite in WAL mode with synchronous FULL: a commit is one fsync of the log. modernc's
//     translation needs no cgo, so one static binary per system.
//   - Three pools of connections: one writer, one hasty writer for hints (synchronous NORMAL), some
//     readers. A mutex lets one writer go at a time, so SQLite never answers "busy" among ourselves.
//   - Each connection keeps its statements prepared: parsing one costs more than most of them take to run.
//   - What has changed in a large snapshot is kept beside it, under its hash, until the next whole one: each step of an
//     install saves, and there may be thousands of updates. An older version of the program goes by the whole one alone,
//     which is all there is after an orderly end, and which the core completes after another one by looking at the machine; once it
//     has saved, the additions of before are void.
//   - Only the newest report of a machine is kept: reports are whole, not increments.
//   - A damaged file is found when opening (quick check), not when a report is due.
package state
