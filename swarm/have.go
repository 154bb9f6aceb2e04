package swarm

import "patchmesh/content"

// haveArrived replaces what a neighbour said of a payload before.
func (c *Core) haveArrived(e HaveArrived) {
	p := c.byID[e.From]
	if p != nil && p.adjacent {
		c.adjacentHave(p, e)
		return
	}
	if p == nil || !c.neighbour(p) {
		return // nobody else outside the site is asked, so what they have does not matter
	}
	l := c.byMap[e.Payload]
	if l != nil {
		c.uncountHolder(l, p)
	}
	p.forget(e.Payload, l)
	if len(p.have) >= c.cfg.MaxPayloads || p.haveChunks+e.Bits.Len() > c.cfg.MaxHaveChunks {
		if l != nil {
			c.stampLost(l)
		}
		return // a peer that invents payloads must not fill our memory
	}
	r := &remote{bits: *e.Bits, want: e.Want, movedAt: c.now}
	if c.shunned(p.id) {
		r.bits = *content.NewBits(e.Bits.Len()) // what it claims to hold does not count; what it wants does
	}
	p.have.put(e.Payload, r)
	if l != nil {
		p.keep(l, r)
	}
	p.haveChunks += r.bits.Len()
	if l == nil {
		return
	}
	r.movedAtArrival = l.arrivals
	if !c.shunned(p.id) { // who is shunned has no turn: what it takes goes nowhere
		r.base = baseWeight(l.key, p.id)
	}
	c.countHolder(l, p, r)
	c.yieldTurns(l, e.Want)
	c.stampLost(l)
	c.claimProgress(l, p.id)
	c.drive(l)
	c.driveLink()
}

// yieldTurns withdraws what was asked before this machine knew that another wants the payload too and comes first:
// at the beginning all hear of it within a moment. Later nobody can take turns away by wishing again.
func (c *Core) yieldTurns(l *payload, want bool) {
	if !want || l.arrivals > 0 {
		return
	}
	for _, id := range c.requests(func(r *request) bool { return r.kind == reqChunk && r.payload == l && !r.withdrawn }) {
		if r := c.request(id); l.each[r.index].avail == 1 && !c.mayTake(l, r.index) {
			r.withdrawn = true
			c.act(CancelFetch{Req: id})
		}
	}
}

func (c *Core) gainedArrived(e GainedArrived) {
	p := c.peer(e.From)
	if p != nil && p.adjacent {
		c.adjacentGained(p, e)
		return
	}
	if p == nil || !c.neighbour(p) {
		return
	}
	l, gained := c.payload(e.Payload), false
	r := p.saidOf(l, e.Payload)
	if r == nil || c.shunned(p.id) {
		return
	}
	news := false
	for _, i := range e.Indexes {
		if i < 0 || i >= r.bits.Len() || !r.bits.Set(i) {
			continue
		}
		if l != nil && r.bits.Len() == l.chunks && p.gives() {
			c.gainHolder(l, p, i)
			c.reroute(l, p, i)
			gained = true
			// What is here already, or under way and had by others before, opens nothing that could be asked for.
			news = news || !l.have.Has(i) && (l.each[i].fetching == 0 || l.each[i].avail <= 2)
		}
	}
	if l != nil {
		r.movedAt, r.movedAtArrival = c.now, l.arrivals
		if gained && len(c.slots.queue) > 0 {
			c.fillSlots() // who waited for the first copy of a chunk may have it now
		}
		c.claimProgress(l, p.id)
		if news {
			c.pickThese(l, e.Indexes)
		}
		if l.lease.held || news && l.inFlight == 0 && l.idleSince.IsZero() {
			c.drive(l)
		}
	}
}

func (c *Core) lostArrived(e LostArrived) {
	p := c.byID[e.From]
	if p == nil {
		return
	}
	p.forgetFar(e.Payload)
	if l := c.byMap[e.Payload]; l != nil {
		c.uncountHolder(l, p)
		c.stampLost(l)
		p.forget(e.Payload, l)
		c.drive(l)
		return
	}
	p.forget(e.Payload, nil)
}

// forget drops what a peer said of a payload; the caller has uncounted it. l is nil if it is not known here.
func (p *peer) forget(id content.ID, l *payload) {
	if r := p.have.of(id); r != nil {
		p.haveChunks -= r.bits.Len()
		p.have.drop(id)
	}
	if l != nil {
		p.keep(l, nil)
	}
}

// gainHolder counts one more holder of a chunk.
func (c *Core) gainHolder(l *payload, p *peer, i int) {
	if l.each[i].avail++; l.each[i].avail <= 2 {
		l.mark(i)
	}
	if l.each[i].avail <= 2 && !l.have.Has(i) {
		if l.each[i].avail == 1 {
			p.of(l).sole++
		} else {
			c.loneHolder(l, i, p).sole--
		}
	}
	if k := &l.each[i]; k.at <= 0 {
		k.at = max(c.now.UnixNano(), 1)
		if c.wide() { // whoever it is that fetches beyond the neighbours does so
			l.lease.progressAt = c.now
		}
	}
}

// countHolder adds a peer's have-list to the availability. A list of another length is a lie and counts nothing.
func (c *Core) countHolder(l *payload, p *peer, r *remote) {
	if r.bits.Len() != l.chunks {
		p.forget(l.id, l)
		return
	}
	if !p.gives() {
		return
	}
	for i := range l.chunks {
		if r.bits.Has(i) {
			c.gainHolder(l, p, i)
		}
	}
}

// loseHolder counts one holder of a chunk less.
func (c *Core) loseHolder(l *payload, p *peer, i int) {
	if l.each[i].avail--; l.each[i].avail <= 1 {
		l.mark(i)
	}
	if l.each[i].avail > 1 || l.have.Has(i) {
		return
	}
	if l.each[i].avail == 0 {
		p.of(l).sole--
	} else {
		c.loneHolder(l, i, p).sole++
	}
}

// loneHolder is what the one holder of a chunk besides not has said of the payload.
func (c *Core) loneHolder(l *payload, i int, not *peer) *remote {
	for _, p := range c.peers {
		if r := p.of(l); r != nil && p != not && r.bits.Has(i) && c.counts(l, p) {
			return r
		}
	}
	return &remote{}
}

// counts: the have-list of a neighbour is part of the availability.
func (c *Core) counts(l *payload, p *peer) bool {
	r := p.of(l)
	return r != nil && c.neighbour(p) && p.gives() && r.bits.Len() == l.chunks
}

// gives: what a peer holds is to be had from it at present: it serves, and was not silent too often.
func (p *peer) gives() bool { return !p.closed && !p.mute }

// countSole counts anew for how many chunks each neighbour is the only holder.
func (c *Core) countSole(l *payload) {
	l.markAll()
	for _, p := range c.peers {
		if r := p.of(l); r != nil {
			r.sole = 0
		}
	}
	for i := l.have.NextMissing(0); i >= 0; i = l.have.NextMissing(i + 1) {
		if l.each[i].avail == 1 {
			c.loneHolder(l, i, nil).sole++
		}
	}
}

// uncountHolder takes a peer's have-list out of the availability.
func (c *Core) uncountHolder(l *payload, p *peer) {
	r := p.have.of(l.id)
	if r == nil || r.bits.Len() != l.chunks || !p.gives() {
		return
	}
	for i := range l.chunks {
		if r.bits.Has(i) {
			c.loseHolder(l, p, i)
		}
	}
}

// stampLost notes when chunks lost their last holder: it may come back, so the WAN waits a little.
func (c *Core) stampLost(l *payload) {
	for i := range l.chunks {
		if k := &l.each[i]; k.avail == 0 && k.at > 0 {
			k.at = -max(c.now.UnixNano(), 1)
		}
	}
}

// forgetHolder removes a peer that left from a payload's books.
func (c *Core) forgetHolder(l *payload, p *peer) {
	c.uncountHolder(l, p)
	c.stampLost(l)
	l.lease.sessionEnded(p.id)
}

// holds says whether a neighbour is known to hold a chunk.
func holds(p *peer, id content.ID, i int) bool {
	r := p.have.of(id)
	return r != nil && i < r.bits.Len() && r.bits.Has(i)
}
