//go:build race

package disk_test

// raceEnabled: the race detector makes pools forget on purpose, so allocations say nothing.
const raceEnabled = true
