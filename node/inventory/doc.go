// Package inventory reads facts about the machine itself: its system, hardware and installed packages
// (Collect), free disk space, what of its hardware stays when the system is set up anew, and its
// condition: power, load, its link (Sampler).
//
// Packages come from dpkg's status file, from rpm, whose database only rpm reads, and from the list of
// programs of Windows. Stamp tells cheaply whether they may have changed.
//
// It is a leaf: it asks the operating system and returns plain values. What the facts mean is decided
// in policy and swarm.
//
// # Invariants
//
//   - Nothing here changes the machine.
//   - What is read has limits, and names and versions that could not be shown on one line are left out:
//     whoever makes a package chooses its name. An inventory that is not whole says so.
//   - A package system that is there and cannot be read is told as that, never as one without packages.
//   - A fact that cannot be read is an error or, of its condition, the value of a machine in good health.
package inventory
