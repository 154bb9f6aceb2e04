// Package trustdir keeps what a machine trusts on disk, so that a crash or a power cut at any moment
// leaves a complete, coherent set of documents: the one before or the one after.
//
// # Layout
//
//	trust/v00000007/{root,timestamp,snapshot,targets,roster-role,roster,manifest,delegated}.json
//	trust/current        the name of the set in force and a checksum over all its files
//	trust/current.copy   the same again
//
// # Invariants
//
//   - A set is written and synced, file by file and then the folder, before current names it.
//   - current is replaced by rename and the folder synced before Save returns: what was announced to
//     others or acted upon is never forgotten.
//   - A set whose files do not match the checksum is ErrDamaged. Load then takes the other copy's
//     set if that is sound and no older; it never starts again from nothing by itself.
//
// # Decisions
//
//   - Whole sets, not single files: a new snapshot beside an old timestamp verifies as nothing.
//   - Two sets are kept, so that a torn write of the newest still leaves the one before to look at;
//     the floor, however, is what current says.
package trustdir
