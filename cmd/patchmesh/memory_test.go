package main

import (
	"context"
	"math"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"testing"
	"time"
)

// A small node is held small; one that must remember much is left room to work.
func TestMemoryLimitGrowsWithWhatLives(t *testing.T) {
	if got := memoryLimit(4<<20, 8<<20); got != softMemory {
		t.Errorf("4 MiB alive: limit %d MiB, want %d", got>>20, softMemory>>20)
	}
	for _, live := range []int64{softMemory, 100 << 20, 1 << 30} {
		if got := memoryLimit(live, 10<<20); got < memoryRoom*live || got > memoryRoom*live+(8<<20) {
			t.Errorf("%d MiB alive: limit %d MiB", live>>20, got>>20)
		}
	}
	kept := make([]byte, 64<<20)
	runtime.GC()
	if got, _ := memoryUse(); got < int64(len(kept)) {
		t.Errorf("%d bytes alive are told, %d are held", got, len(kept))
	}
	runtime.KeepAlive(kept)
}

// With dozens of links half of the limit is taken by stacks and what the runtime keeps for itself. What is left must
// be more than what lives, or nothing can be allocated without a collection.
func TestMemoryLimitLeavesRoomBesideWhatTheRuntimeTakes(t *testing.T) {
	for _, live := range []int64{10 << 20, 12 << 20, 13 << 20, 16 << 20} {
		const beside = 12 << 20
		if room := memoryLimit(live, beside) - live - beside; room < leastRoom {
			t.Errorf("%d MiB alive and %d beside: room for %d KiB", live>>20, beside>>20, room>>10)
		}
	}
	before := func() int64 { _, b := memoryUse(); return b }()
	grown, stop := make(chan struct{}), make(chan struct{})
	for range 1000 {
		go func() {
			deep(1000)
			grown <- struct{}{}
			<-stop
		}()
	}
	for range 1000 {
		<-grown
	}
	if _, beside := memoryUse(); beside < before+(8<<20) {
		t.Errorf("beside objects %d KiB with 1000 deep stacks, %d without", beside>>10, before>>10)
	}
	close(stop)
}

// deep has its goroutine grow its stack.
func deep(n int) int {
	var room [8]int
	if n > 0 {
		room[n%8] = deep(n - 1)
	}
	return room[n%8] + 1
}

func TestCallsAfterCollectionsEnd(t *testing.T) {
	var calls atomic.Int32
	afterCollections(func() bool { return calls.Add(1) < 3 })
	for end := time.Now().Add(10 * time.Second); calls.Load() < 3; runtime.GC() {
		if time.Now().After(end) {
			t.Fatalf("%d calls", calls.Load())
		}
	}
	for range 3 {
		runtime.GC()
	}
	if got := calls.Load(); got != 3 {
		t.Errorf("%d calls, the third said that it is the last", got)
	}
}

// A payload that begins with many links makes a node grow within a second: it must not spend that second on collecting.
func TestTheMemoryLimitFollowsAtOnce(t *testing.T) {
	t.Setenv("GOMEMLIMIT", "")
	percent := debug.SetGCPercent(heapPercent)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(func() {
		cancel()
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(math.MaxInt64)
	})
	boundMemory(ctx)
	if got := debug.SetMemoryLimit(-1); got != softMemory {
		t.Fatalf("limit %d MiB at the beginning", got>>20)
	}
	kept := make([]byte, 100<<20)
	follows := func(what string, is func(limit int64) bool) {
		for end := time.Now().Add(10 * time.Second); !is(debug.SetMemoryLimit(-1)); runtime.GC() {
			if time.Now().After(end) {
				t.Fatalf("%s: limit %d MiB", what, debug.SetMemoryLimit(-1)>>20)
			}
		}
	}
	follows("100 MiB alive", func(limit int64) bool { return limit >= memoryRoom*100<<20 })
	runtime.KeepAlive(kept)
	kept = nil
	follows("gone again", func(limit int64) bool { return limit < 100<<20 })
}
