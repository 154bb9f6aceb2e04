// Package source is where updates come from. Today that is a local file: Describe reads what the
// file says of itself, so that an admin need not type it, and Member finds a vendor's file in an archive that was made
// around it.
//
// # Invariants
//
//   - A file is data: nothing of it is executed, and no name inside it becomes a path.
//   - Everything read is bounded before it is read; a damaged file is ErrFormat.
//
// # Decisions
//
//   - Debian packages are read by our own code (ar, tar, one control file): seeds run on systems
//     without dpkg too, and the readers of the standard library do most of it.
//   - ulikunitz/xz is imported here alone: Debian's control archives are xz, and it is the maintained
//     decoder in pure Go.
package source
