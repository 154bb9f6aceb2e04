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
}

func (c *Core) startRates() {
	for i := range c.rates.down {
		c.rates.down[i] = rate.NewBucket(c.now, rate.Unlimited)
	}
}

func (c *Core) ratesChanged(e RatesChanged) {
	for i, r := range e.Down {
		c.rates.down[i].Set(c.now, r)
	}
	c.gatesMoved() // a rate of zero is one
}

// mayAsk says whether bytes of a class may be asked for now, and wakes when they may.
func (c *Core) mayAsk(class rate.Class) bool {
	ready, wait := c.rates.down[class].Ready(c.now)
	if !ready && wait >= 0 {
		c.wakeBy(c.now.Add(wait))
	}
	return ready
}

// spend pays for a request that was just made.
func (c *Core) spend(class rate.Class, bytes int64) {
	c.rates.down[class].Take(c.now, rate.OnWire(bytes))
}

// unspend gives back what a request did not bring. Wrong bytes came in all the same, and of a request
// that broke off nobody knows how many did.
func (c *Core) unspend(r *request, e Failed) {
	if e.Class == Busy || e.Class == Absent || e.Reason == policy.ReasonCancelledUser {
		c.rates.down[c.classOf(r)].GiveBack(rate.OnWire(r.bytes))
	}
}

// classOf is the class of link that a chunk request goes over.
func (c *Core) classOf(r *request) rate.Class {
	if r.kind == reqOrigin {
		return rate.WAN
	}
	return rate.LAN
}
