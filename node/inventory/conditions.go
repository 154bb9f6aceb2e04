package inventory

import (
	"time"

	"patchmesh/swarm"
)

// smoothing is the span over which loads are averaged: short peaks are everybody's right.
const smoothing = 30 * time.Second

// onWire is what payload bytes take on a wire at most: headers, encryption, and the other end's acknowledgements.
const onWire = 1.08

// Sampler observes the condition of this machine. It is for one goroutine.
type Sampler struct {
	dir  string       // on the disk that matters
	root string       // in front of system paths; "" but in tests
	own  func() int64 // payload bytes moved by this program so far; nil: none

	at          time.Time
	busy, total uint64 // processor time so far
	queued      uint64 // ms that requests have waited at the disk so far
	moved       uint64 // bytes over the way out so far, both directions
	ours        int64
	cpu, queue  float64 // averages
	known       bool
}

// NewSampler observes for a data folder. own counts the payload bytes that this program itself moves.
func NewSampler(dir string, own func() int64) *Sampler { return &Sampler{dir: dir, own: own} }

// Sample looks now. Loads are averages since the samples before; the first has none. What cannot be found
// out on this system stays zero.
func (s *Sampler) Sample(now time.Time) swarm.Conditions {
	var c swarm.Conditions
	s.system(&c)
	busy, total, cpuKnown := s.processor()
	queued, diskKnown := s.disk()
	moved, linkKnown := s.link()
	var ours int64
	if s.own != nil {
		ours = s.own()
	}
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
	if s.known && dt > 0 && linkKnown && moved >= s.moved && s.moved > 0 {
		other := float64(moved-s.moved) - onWire*float64(ours-s.ours)
		c.OtherBytes = int64(max(0, other) / dt.Seconds())
	}
	s.moved, s.ours = moved, ours
	s.at, s.busy, s.total, s.queued, s.known = now, busy, total, queued, true
	c.CPUPercent, c.DiskQueue = int(s.cpu+0.5), int(s.queue+0.5)
	if free, _, err := Free(s.dir); err == nil {
		c.FreeBytes, c.FreeKnown = free, true
	}
	return c
}
