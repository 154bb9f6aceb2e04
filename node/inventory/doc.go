// Package inventory reads facts about the machine itself: free disk space, and what of its hardware
// stays when the system is set up anew.
//
// It is a leaf: it asks the operating system and returns plain values. What the facts mean is decided
// in policy and swarm.
//
// # Invariants
//
//   - Nothing here changes the machine.
//   - A fact that cannot be read is an error, never a made-up value.
package inventory
