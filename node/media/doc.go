// Package media reads and writes the folder of a bundle on removable media (content/bundle says what is
// in its files).
//
// The medium is hostile when it is read: whoever had it in his hands may have put anything there. So only
// regular files are opened, never through a link, only by names that are made here from a number or a
// machine's ID, and none that is larger than its kind may be. When it is written it may be pulled out at
// any moment: a file gets its name when it is complete, synced and read back, and the index last of all.
//
// # Decisions
//
//   - Nothing is mounted and no medium is looked for here: people name a folder.
//   - What is read back comes from the medium where the system lets us drop its own copy (Linux); elsewhere
//     reading back finds what was written wrong, not what the medium lost.
package media
