//go:build race

package content_test

// raceEnabled: the race detector makes pools forget on purpose, so allocations say nothing.
const raceEnabled = true
