// Package tufdir keeps TUF files on disk in the layouts that other tools know, so that a crash or a
// power cut at any moment leaves a folder that works.
//
// # Two layouts
//
//	Client, for a plain TUF client:       Mirror, for any static web host:
//	  root.json                             1.root.json 2.root.json ...
//	  timestamp.json                        7.snapshot.json 5.targets.json 3.roster.json
//	  snapshot.json                         targets/HASH.manifest.json targets/HASH.roster.json
//	  targets.json                          timestamp.json
//	  ROLE.json  (name escaped)
//	  rotated    (a mark, see below)
//
// # Invariants
//
//   - A file is written under another name and synced, then renamed over, then the folder is synced,
//     before the step counts as done. So every file is the old one or the new one, whole.
//   - A role's name comes from a repository and never is a path: see fileName. It cannot leave the
//     folder, nor take the place of another role on a disk that ignores upper and lower case.
//   - A Mirror shows a new timestamp only when everything that it leads to is there and synced; what
//     an older one leads to stays for a day more (prune.go), roots for ever.
//   - The mark says that the root beside it withdrew online keys, and that timestamp and snapshot are
//     still to be forgotten. It is durable before that root is, and goes after them: whatever step a
//     crash cuts off, the next start finishes it.
//
// # Decisions
//
//   - The trusted documents of a node are not kept here but in trustdir, whole sets with checksums. A
//     plain TUF client has to keep each file as soon as it is verified, and its folder is read by
//     other tools.
//   - All disk work goes through a small interface, so that a test can cut the power at every step.
package tufdir
