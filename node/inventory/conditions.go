package inventory

import (
	"time"

	"patchmesh/swarm"
)

// smoothing is the span over which loads are averaged: short peaks are everybody's right.
const smoothing = 30 * time.Second

// Sampler observes the condition of this machine. It is for one goroutine.
type Sampler struct {
	dir  string // on the disk that matters
	root string // in front of system paths; "" but in tests

	at          time.Time
	busy, total uint64  // processor time so far
	queued      uint64  // ms that requests have waited at the disk so far
	cpu, queue  float64 // averages
	known       bool
}

// NewSampler observes for a data folder.
func NewSampler(dir string) *Sampler { return &Sampler{dir: dir} }

// Sample looks now. Loads are averages since the samples before; the first has none. What cannot be found
// out on this system stays zero.
func (s *Sampler) Sample(now time.Time) swarm.Conditions {
	var c swarm.Conditions
	s.system(&c)
	busy, total, cpuKnown := s.processor()
	queued, diskKnown := s.disk()
	dt := now.Sub(s.at)
	if s.known && dt > 0 {
		part := min(1, dt.Seconds()/smoothing.Seconds())
		if cpuKnown && total > s.total && busy >= s.busy {
			s.cpu += part * (100*float64(busy-s.busy)/float64(total-s.total) - s.cpu)
		}
		if diskKnown && queued >= s.queued {
			s.queue += part * (float64(queued-s.queued)/float64(dt.Milliseconds()) - s.queue)
		}
	}
	s.at, s.busy, s.total, s.queued, s.known = now, busy, total, queued, true
	c.CPUPercent, c.DiskQueue = int(s.cpu+0.5), int(s.queue+0.5)
	if free, _, err := Free(s.dir); err == nil {
		c.FreeBytes, c.FreeKnown = free, true
	}
	return c
}
