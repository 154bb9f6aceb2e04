package main

import (
	"context"
	"runtime"
	"runtime/metrics"
	"time"

	"patchmesh/node"
)

// How many processor cores the node uses at once. Most of the time it has little to do, and that in thousands of small
// steps: with a second core at hand the runtime wakes it for every one of them and lets it go to sleep again, which
// cost a tenth to a quarter of all processor time of machines that fetched at 5 to 25 MB/s. So it begins with one. It
// gets more while one is busy, and while what could go on has to wait: a thread that hangs in a system call for a slow
// disk keeps its core until somebody notices (see slowWatcher).
const (
	coresEvery = 500 * time.Millisecond
	coresMore  = 0.7 // of the cores in use, busy: more are taken
	coresLess  = 0.3 // of them busy: fewer do
	// lateAfter is how long a goroutine that could run may wait; lateShare is the share of them that waited for longer
	// which calls for another core, if it is seen so many times in a row: a disk stays slow, while a process that starts
	// beside this one is done soon. That core is kept for coresKept.
	lateAfter = 8 * time.Millisecond
	lateShare = 0.05
	lateTimes = 3
	coresKept = 30 * time.Second
)

// maxCores is how many cores the node may use: a quarter of an ordinary machine's, since it belongs to somebody who
// works on it, but two; and all of a seed's.
func maxCores(dataDir string) int {
	if node.IsSeed(dataDir) {
		return runtime.NumCPU()
	}
	return min(runtime.NumCPU(), max(2, runtime.NumCPU()/4))
}

// pace is how many cores are in use, and why.
type pace struct {
	cores, most int
	lately      int // how many times in a row too many had to wait
	keepTill    time.Time
}

// next judges what was seen lately: busy cores, on average, and the share of goroutines that waited for long.
func (p *pace) next(busy, late float64, now time.Time) int {
	if late > lateShare {
		p.lately++
	} else {
		p.lately = 0
	}
	switch {
	case p.lately >= lateTimes:
		p.lately, p.keepTill = 0, now.Add(coresKept)
		p.cores++
	case busy > coresMore*float64(p.cores):
		p.cores *= 2
	case busy < coresLess*float64(p.cores) && now.After(p.keepTill):
		p.cores /= 2
	}
	p.cores = max(1, min(p.cores, p.most))
	return p.cores
}

// keepPace has the process use as many cores as it needs, until ctx ends.
func keepPace(ctx context.Context, most int) {
	p := pace{cores: 1, most: most}
	runtime.GOMAXPROCS(p.cores)
	if most == 1 {
		return
	}
	go func() {
		tick := time.NewTicker(coresEvery)
		defer tick.Stop()
		w := newWaits()
		used, at := cpuTime(), time.Now()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			u, now := cpuTime(), time.Now()
			was := p.cores
			if n := p.next((u-used).Seconds()/now.Sub(at).Seconds(), w.late(), now); n != was {
				runtime.GOMAXPROCS(n) // stops the world for some microseconds, so only if it differs
			}
			used, at = u, now
		}
	}()
}

// waits tells how long goroutines that could run had to wait.
type waits struct {
	sample    []metrics.Sample
	all, long uint64 // at the last call
}

func newWaits() *waits {
	w := &waits{sample: []metrics.Sample{{Name: "/sched/latencies:seconds"}}}
	w.late()
	return w
}

// late is the share of goroutines that waited for longer than lateAfter since the last call.
func (w *waits) late() float64 {
	metrics.Read(w.sample)
	if w.sample[0].Value.Kind() != metrics.KindFloat64Histogram {
		return 0
	}
	h := w.sample[0].Value.Float64Histogram()
	var all, long uint64
	for i, n := range h.Counts {
		all += n
		if h.Buckets[i] >= lateAfter.Seconds() {
			long += n
		}
	}
	share := float64(long-w.long) / max(1, float64(all-w.all))
	w.all, w.long = all, long
	return share
}
