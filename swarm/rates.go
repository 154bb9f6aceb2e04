package swarm

import (
	"patchmesh/policy"
	"patchmesh/swarm/rate"
)

// RatesChanged says how fast this machine may receive, by class of link, from now on. The core never asks
// for more than that; how fast is sent is the driver's to keep, since sending asks nobody.
type RatesChanged struct {
	Down [rate.Classes]rate.Rate
}

func (RatesChanged) isEvent() {}

// rateState is what may be asked for. A chunk is paid when it is asked for, so that no more than is due
// is ever under way: a slow line behind a deep queue would hold up everything else on it, and a chunk
// that waits for its bytes for long looks like a peer that fell silent.
type rateState struct {
	down [rate.Classes]rate.Bucket

	yield    rate.Bucket // of background payloads from the WAN, while yielding
	yielding bool
}

func (c *Core) startRates() {
	for i := range c.rates.down {
		c.rates.down[i] = rate.NewBucket(c.now, rate.Unlimited)
	}
	c.rates.yield = rate.NewBucket(c.now, rate.Unlimited)
}

func (c *Core) ratesChanged(e RatesChanged) {
	for i, r := range e.Down {
		c.rates.down[i].Set(c.now, r)
	}
	c.gatesMoved() // a rate of zero is one
}

// mayAsk says whether a chunk of a payload may be asked for over a class of link now, and wakes when it may.
// Where a limit makes payloads wait for each other, the urgent ones go first.
func (c *Core) mayAsk(class rate.Class, l *payload) bool {
	b := &c.rates.down[class]
	ready, wait := b.Ready(c.now)
	if ready && class == rate.WAN && !l.urgent {
		ready, wait = c.rates.yield.Ready(c.now)
	}
	if !ready && wait >= 0 {
		c.wakeBy(c.now.Add(wait))
	}
	return ready && (l.urgent || b.Rate() == rate.Unlimited || !c.urgentUnderWay())
}

// urgentUnderWay: chunks of an urgent payload are on their way here. One that nobody can give holds up nothing.
func (c *Core) urgentUnderWay() bool {
	for _, l := range c.payloads {
		if l.urgent && l.inFlight > 0 {
			return true
		}
	}
	return false
}

// spend pays for a request that was just made.
func (c *Core) spend(class rate.Class, l *payload) {
	n := rate.OnWire(l.chunkBytes)
	c.rates.down[class].Take(c.now, n)
	if class == rate.WAN && !l.urgent {
		c.rates.yield.Take(c.now, n)
	}
}

// otherTraffic lets background fetching from the WAN yield: while this machine itself moves other bytes over
// its link, the person in front of it is waiting for them, and only a trickle is fetched. It is seen by
// counters of the interface, not by delay: that needs no help of the other end and no guess at what the
// line can carry. The traffic of other machines is not seen; for them there are limits and the timetable.
func (c *Core) otherTraffic(bytesPerSec int64) {
	if c.cfg.YieldAbove <= 0 {
		return
	}
	now := bytesPerSec > c.cfg.YieldAbove || c.rates.yielding && bytesPerSec > c.cfg.YieldAbove/2
	if now == c.rates.yielding {
		return
	}
	c.rates.yielding = now
	r, text := rate.Unlimited, "the link is free again"
	if now {
		r, text = rate.Rate(c.cfg.YieldRate), "background fetching yields to other traffic of this machine"
	}
	c.rates.yield.Set(c.now, r)
	c.act(Note{Kind: NoteGate, Text: text})
}

// unspend gives back what a request did not bring. Wrong bytes came in all the same, and of a request
// that broke off nobody knows how many did.
func (c *Core) unspend(r *request, e Failed) {
	if e.Class == Busy || e.Class == Absent || e.Reason == policy.ReasonCancelledUser {
		n, class := rate.OnWire(r.bytes), c.classOf(r)
		c.rates.down[class].GiveBack(n)
		if class == rate.WAN && !r.payload.urgent {
			c.rates.yield.GiveBack(n)
		}
	}
}

// classOf is the class of link that a chunk request goes over.
func (c *Core) classOf(r *request) rate.Class {
	switch r.kind {
	case reqOrigin:
		return rate.WAN
	case reqAdjacent:
		return rate.Site
	}
	return rate.LAN
}
