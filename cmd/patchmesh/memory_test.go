package main

import (
	"runtime"
	"testing"
)

// A small node is held small; one that must remember much is left room to work.
func TestMemoryLimitGrowsWithWhatLives(t *testing.T) {
	if got := memoryLimit(4 << 20); got != softMemory {
		t.Errorf("4 MiB alive: limit %d MiB, want %d", got>>20, softMemory>>20)
	}
	for _, live := range []int64{softMemory, 100 << 20, 1 << 30} {
		if got := memoryLimit(live); got < memoryRoom*live+besides || got > memoryRoom*live+besides+(8<<20) {
			t.Errorf("%d MiB alive: limit %d MiB", live>>20, got>>20)
		}
	}
	kept := make([]byte, 64<<20)
	runtime.GC()
	if got := liveBytes(); got < int64(len(kept)) {
		t.Errorf("%d bytes alive are told, %d are held", got, len(kept))
	}
	runtime.KeepAlive(kept)
}
