// Package inventory reads facts about the machine itself: free disk space, what of its hardware stays
// when the system is set up anew, and its condition: power, load, its link (Sampler).
//
// It is a leaf: it asks the operating system and returns plain values. What the facts mean is decided
// in policy and swarm.
//
// # Invariants
//
//   - Nothing here changes the machine.
//   - A fact that cannot be read is an error or, of its condition, the value of a machine in good health.
package inventory
