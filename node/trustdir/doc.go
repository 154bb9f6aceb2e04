// Package trustdir keeps what a machine trusts on disk, so that a crash, a power cut, a full or failing
// disk at any moment leaves a machine that starts, believes no less than before and heals by itself.
//
// # Layout
//
//	trust/v00000007/{root,timestamp,snapshot,targets,roster-role,roster,manifest,delegated}.json
//	trust/current        the name of the set in force and a checksum over all its files
//	trust/current.copy   the same again
//	trust/floor          checksum; the versions trusted so far, the time known to have passed, the root
//	trust/floor.copy     the same again
//
// # Invariants
//
//   - A set is written and synced, file by file, then its folder and the name of it, before current
//     names it. Small files are replaced by rename, and the folder synced before the next step.
//   - Keep writes documents, then floors: a floor never asks for more than the disk holds.
//   - When Keep returns nil, no crash can lose what it kept. When it fails, what was before is still
//     there, and the file on which a sync has failed is given up, never written again.
//   - A floor never falls but where policy.Floor says so: a newer root frees the versions of online
//     roles whose keys it withdraws.
//   - Nothing is reset. What is lost is replaced by the next best proof, and called lost until a Keep.
//
// # What is believed after damage
//
// The table at Recall has every case. In short: one sound copy of the floor is enough; documents that
// are damaged, or older than the floor, count as lost and are fetched again with the root that lies
// beside the floor; floors that are lost are rebuilt from the versions in the signed documents. While
// something is lost the node begins no install, and the first unexpired head that is not below the
// floor ends it.
//
// An older image of the whole folder cannot be told from the present by looking at it. It is believed,
// as far as it has not expired, until the next head shows what was missed; that head is newer than all
// of it, so a machine restored from a backup heals at first contact.
//
// # Decisions
//
//   - Whole sets, not single files: a new snapshot beside an old timestamp verifies as nothing.
//   - Two sets are kept: the apply role may be reading the older one while the newer becomes current.
//   - Checksums tell damage, not malice: whoever can write here owns the machine already. Signatures are
//     verified on every start all the same.
//   - The operating system is behind a small interface, so that tests fail or cut the power at every
//     single step, and lose what was not synced.
package trustdir
