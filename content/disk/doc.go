// Package disk is a content.Store on a folder.
//
// Per payload, named by its content ID and by nothing that came from outside:
//
//	<id>.map    the payload map, written last when a payload begins and removed first when it ends:
//	            what has no map is a leftover and removed at the next opening
//	<id>.part   the stored form while incomplete, written in place, sparse
//	<id>.have   have-bits with a checksum: saved only after the data they speak of was synced
//	<id>.hint   have-bits as the running process sees them, written without syncing
//	<id>        the stored form, complete and hashed again as a whole: published
//
//	Begin --> .part ---- Publish (hash, sync, rename) ----> <id>
//	            ^                                            |
//	            +---- a damaged chunk was met ---------------+     Import --> <id>, at once
//
// # Crashes
//
// A killed process leaves its writes in the page cache: the hints are complete, and each chunk that
// they name beyond <id>.have is hashed again at the next start and kept. A power cut may leave hints
// about data that never reached the disk: hashing tells. Either way no verified chunk that survived
// is fetched again and none is believed that did not.
//
// A sync that fails may have thrown pages away, and a second sync would not say so. So the chunks that
// came after the last good save count as missing from then on, in memory and in the hints.
//
// # Invariants
//
//   - Bytes are verified, then written, then hinted, then counted.
//   - Files are opened by name only below the folder, never through a symbolic link.
//   - Files move and close only while nobody reads or writes them (payload.io held exclusively).
//   - Locks are taken in the order Store.steps, payload.step, payload.io, then one of the small ones.
//
// # Decisions
//
//   - No sync per chunk: a spinning disk syncs 50 to 200 times a second. Have-bits are saved every
//     64 MiB or 5 s instead, and the hints save refetching in the far more common kill.
//   - Files grow as chunks come: a full disk shows as an error of the write that does not fit, and the
//     space of a payload that is never finished is not taken in advance. Begin looks first.
//   - Have-bits that were saved are believed without hashing: a store of many gigabytes must serve
//     seconds after a restart. Publish and OpenPlain hash everything anyway.
//   - Publish does not hash what somebody has read to its end and hashed, if no chunk went since he began
//     (Copy.Matched): an install that copies the payload would else read and hash every byte twice in a row. Chunks that
//     came meanwhile do not matter, as each was read after it had come, and is not written again while it is there.
//   - Who copies a payload while it comes (Follow) waits for some MiB at a time, in order, since a hash takes bytes in
//     order only; they are in the page cache then.
//   - A payload that begins may take what it has in common with others (Reuse): chunks have a fixed size, so that is what
//     stayed in its place. They are copied, since each payload is one file that comes, is served and goes by itself.
//   - Whatever is served is checked against a CRC-32C that was taken when the chunk was verified, or hashed
//     if that was before this run: a machine whose disk rots must not be shunned as a liar. Hashing every
//     serve would cost more than encrypting it.
//   - The quota counts payloads as large as they will be, and is asked when one begins; the reserve is
//     looked at again every 32 MiB, since others fill the disk too. Who took room without need (OnShort) gives it back
//     before anything is refused.
//   - A damaged map costs a hash of the payload, not the payload: without it nothing in the data file can be verified,
//     so the payload is set aside untouched (Unmapped) until somebody begins it with the map, which its name proves.
//     A map that is missing is what a removal left behind.
//   - gofrs/flock guards the folder: its lock ends with the process, whatever way it ends, and it
//     speaks to all three systems. golang.org/x/sys asks for free space, which the standard library
//     cannot.
package disk
