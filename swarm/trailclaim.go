package swarm

import (
	"slices"
	"time"
)

// What this machine is to a payload, and what follows from the trails for the WAN lease.

// driveTrail says what this machine is to a payload, as often as that changes and while it stays.
func (c *Core) driveTrail(l *payload) {
	b := l.book
	kind := c.ownTrail(l, b)
	if b == nil && kind == TrailNone {
		return
	}
	if b == nil {
		b = c.openBook(l.id)
	}
	due := b.ownAt.Add(c.cfg.TrailEvery)
	if kind == b.own.Kind && (kind == TrailNone || c.now.Before(due)) {
		if kind != TrailNone {
			c.wakeBy(due)
		}
		return
	}
	b.own.Kind, b.own.Holder, b.ownAt, b.bestKnown = kind, c.self.Peer, c.now, false
	if kind == TrailNone {
		c.trailMoved(b, false)
		return
	}
	b.own.Seq = max(b.own.Seq+1, uint64(max(c.now.UnixMilli(), 0))) // grows across restarts too
	c.wakeBy(c.now.Add(c.cfg.TrailEvery))
	c.trailMoved(b, true)
}

// ownTrail is what this machine is to a payload now.
func (c *Core) ownTrail(l *payload, b *trailBook) TrailKind {
	if !c.wide() {
		return TrailNone
	}
	switch {
	case l.lease.held:
		return TrailLease
	case l.have.Full() && !l.dropping && c.gates.serve == "":
		return c.ownSource(l, b)
	case l.needed() && !c.wanEgress(l) && c.seeks(l, b):
		return TrailSought
	}
	return TrailNone
}

// ownSource: who has it all says so while somebody near wants it, or somebody far seeks it or fetches it over the
// WAN; but not beside another who does.
func (c *Core) ownSource(l *payload, b *trailBook) TrailKind {
	if b != nil && b.own.Kind != TrailSource {
		if t, via := c.best(b); via != "" && t.Kind == TrailSource {
			return TrailNone
		}
	}
	if b == nil {
		return TrailNone // nobody asks: who wants it has it from its neighbours, or every machine that is done would speak
	}
	if c.siteWants(l) && (b.own.Kind >= TrailLease || c.now.Before(b.ledAt.Add(c.cfg.TrailLife))) {
		b.askedAt = c.now
	}
	if due := b.askedAt.Add(c.cfg.TrailLife); c.now.Before(due) {
		c.wakeBy(due)
		return TrailSource
	}
	return TrailNone
}

// seeks: this machine may not use the WAN, and nothing that it hears of leads to what it wants.
func (c *Core) seeks(l *payload, b *trailBook) bool {
	if b != nil {
		if t, via := c.best(b); via != "" && t.Kind >= TrailSought {
			return false
		}
	}
	if c.nextForWAN(l, 0) < 0 || c.localSeed() != nil {
		return false
	}
	due := l.knownAt.Add(c.cfg.TrailPatience)
	if c.now.Before(due) {
		c.wakeBy(due)
		return false
	}
	return true
}

// sweepTrails says again what this machine stands by, and forgets what others do not.
func (c *Core) sweepTrails() {
	for _, b := range slices.Clone(c.trails.books) {
		gone := false
		b.told = slices.DeleteFunc(b.told, func(o toldTrail) bool {
			dead := !c.live(b, o)
			gone = gone || dead
			return dead
		})
		if l := c.byMap[b.id]; l == nil && b.own.Kind != TrailNone {
			b.own.Kind, gone, b.bestKnown = TrailNone, true, false
		}
		if gone || len(b.told) == 0 && b.own.Kind == TrailNone {
			c.trailMoved(b, false)
		}
		for _, o := range b.told {
			if o.Hops > 0 {
				c.wakeBy(b.holder(o.Holder).freshAt.Add(c.cfg.TrailLife))
			}
		}
	}
}

// claimedAfar: a trail leads to somebody else who fetches the payload for the site, or has it.
func (c *Core) claimedAfar(l *payload) bool {
	b := l.book
	if b == nil || !c.trailCounts(l) {
		return false
	}
	if c.now.Before(b.lostAt.Add(c.cfg.TrailEvery*3/2)) && c.wide() { // it may have lost the session and no more
		c.wakeBy(b.lostAt.Add(c.cfg.TrailEvery * 3 / 2))
		return true
	}
	return slices.ContainsFunc(b.told, func(o toldTrail) bool {
		return o.Kind >= TrailLease && c.live(b, o) && !b.holder(o.Holder).stalled && !c.shunned(o.Holder)
	})
}

// trailCounts: trails have not led to nothing too often.
func (c *Core) trailCounts(l *payload) bool {
	b := l.book
	return b != nil && b.silences < maxTrailSilences
}

// trailSince is when the last of those began to claim that trails lead to.
func (c *Core) trailSince(l *payload) (at time.Time) {
	b := l.book
	if b == nil || !c.trailCounts(l) {
		return at
	}
	for _, o := range b.told {
		if h := b.holder(o.Holder); o.Kind >= TrailLease && c.live(b, o) && !h.stalled && h.firstAt.After(at) {
			at = h.firstAt
		}
	}
	return at
}

// stallTrails notes that nothing came of the trails there are.
func (c *Core) stallTrails(l *payload) {
	b := l.book
	if b == nil {
		return
	}
	stalled := false
	for _, o := range b.told {
		if h := b.holder(o.Holder); h != nil && o.Kind >= TrailLease && !h.stalled {
			h.stalled, stalled = true, true
		}
	}
	if stalled {
		b.silences++
	}
}

// soughtAfar: somebody beyond the neighbours seeks the payload.
func (c *Core) soughtAfar(l *payload) bool {
	b := l.book
	return b != nil && !b.soughtAt.IsZero() && c.now.Before(b.soughtAt.Add(c.cfg.TrailLife))
}
