package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// softMemory is what the garbage collector aims at. Chunk buffers are short-lived: without it the heap
// would grow to several times what is needed before it is collected.
const (
	softMemory  = 26 << 20
	heapPercent = 100 // above what lives, as long as the limit allows it
	// memoryRoom is how many times what lives the limit is at least: a node that has much to remember, a
	// seed of thousands of machines, must not spend its time on collecting.
	memoryRoom = 2
	// leastRoom is how much may be allocated from one collection to the next whatever lives, less the megabyte that the
	// collector keeps for itself. The limit counts stacks, what lies idle between objects and what the collector notes,
	// too: with dozens of links as much as what lives. Where both filled it there were several collections a second,
	// which took up to a fifth of the processor time.
	leastRoom = 3 << 20
)

// boundMemory holds the limit until ctx ends, unless whoever started the node has set one.
func boundMemory(ctx context.Context) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	debug.SetGCPercent(heapPercent)
	limit := int64(softMemory)
	debug.SetMemoryLimit(limit)
	afterCollections(func() bool {
		if next := memoryLimit(memoryUse()); next != limit {
			limit = next
			debug.SetMemoryLimit(limit)
		}
		return ctx.Err() == nil
	})
}

// afterCollections calls f after each collection, on a goroutine of the runtime, as long as it returns true.
func afterCollections(f func() (more bool)) {
	nobodys := new([64]byte) // found to be garbage by the next collection
	runtime.AddCleanup(nobodys, func(f func() bool) {
		if f() {
			afterCollections(f)
		}
	}, f)
}

// memoryLimit is the limit for so many bytes of objects that live and so many that the runtime has beside objects, in
// steps, so that it seldom changes.
func memoryLimit(live, beside int64) int64 {
	const step = 1 << 20
	least := max(memoryRoom*live, live+beside+max(leastRoom, live/4))
	return max(softMemory, (least+step-1)/step*step)
}

// memoryUse is what the last collection has found alive, and what the runtime has from the system for anything else
// than objects.
func memoryUse() (live, beside int64) {
	const (
		alive = iota
		objects
		free
		released
		total
	)
	s := []metrics.Sample{
		alive:    {Name: "/gc/heap/live:bytes"},
		objects:  {Name: "/memory/classes/heap/objects:bytes"},
		free:     {Name: "/memory/classes/heap/free:bytes"},
		released: {Name: "/memory/classes/heap/released:bytes"},
		total:    {Name: "/memory/classes/total:bytes"},
	}
	metrics.Read(s)
	for _, m := range s {
		if m.Value.Kind() != metrics.KindUint64 {
			return 0, 0
		}
	}
	bytes := func(i int) int64 { return int64(s[i].Value.Uint64()) }
	return bytes(alive), max(0, bytes(total)-bytes(released)-bytes(free)-bytes(objects))
}
