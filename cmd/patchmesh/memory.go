package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// softMemory is what the garbage collector aims at. Chunk buffers are short-lived: without it the heap
// would grow to several times what is needed before it is collected.
const (
	softMemory  = 26 << 20
	heapPercent = 100 // above what lives, as long as the limit allows it
	// memoryRoom is how many times what lives the limit is at least: a node that has much to remember, a
	// seed of thousands of machines, must not spend its time on collecting.
	memoryRoom = 2
	// besides is what counts for the limit and is no heap: stacks, the collector's own books, pages between objects.
	besides     = 8 << 20
	memoryEvery = 2 * time.Second
)

// boundMemory holds the limit until ctx ends, unless whoever started the node has set one.
func boundMemory(ctx context.Context) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	debug.SetGCPercent(heapPercent)
	debug.SetMemoryLimit(softMemory)
	go func() {
		tick := time.NewTicker(memoryEvery)
		defer tick.Stop()
		for limit := int64(softMemory); ; {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if next := memoryLimit(liveBytes()); next != limit {
				limit = next
				debug.SetMemoryLimit(limit)
			}
		}
	}()
}

// memoryLimit is the limit for so many bytes that live, in steps, so that it seldom changes.
func memoryLimit(live int64) int64 {
	const step = 4 << 20
	return max(softMemory, (memoryRoom*live+besides+step-1)/step*step)
}

// liveBytes is what the last collection has found alive.
func liveBytes() int64 {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	if s[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return int64(s[0].Value.Uint64())
}
