package swarm

import "patchmesh/content"

// haveArrived replaces what a neighbour said of a payload before.
func (c *Core) haveArrived(e HaveArrived) {
	p := c.byID[e.From]
	if p == nil || !c.neighbour(p) {
		return // nobody outside the site is asked, so what they have does not matter
	}
	l := c.byMap[e.Payload]
	if l != nil {
		c.uncountHolder(l, p)
	}
	p.forget(e.Payload)
	if len(p.have) >= c.cfg.MaxPayloads || p.haveChunks+e.Bits.Len() > c.cfg.MaxHaveChunks {
		if l != nil {
			c.stampLost(l)
		}
		return // a peer that invents payloads must not fill our memory
	}
	r := &remote{bits: e.Bits, want: e.Want}
	if c.shunned(p.id) {
		r.bits = content.NewBits(e.Bits.Len()) // what it claims to hold does not count; what it wants does
	}
	p.have[e.Payload] = r
	p.haveChunks += r.bits.Len()
	if l == nil {
		return
	}
	c.countHolder(l, p, r)
	c.stampLost(l)
	c.claimProgress(l, p.id)
	c.drive(l)
	c.driveLink()
}

func (c *Core) gainedArrived(e GainedArrived) {
	p := c.byID[e.From]
	if p == nil || !c.neighbour(p) {
		return
	}
	r := p.have[e.Payload]
	if r == nil || c.shunned(p.id) {
		return
	}
	l := c.byMap[e.Payload]
	for _, i := range e.Indexes {
		if i < 0 || i >= r.bits.Len() || !r.bits.Set(i) {
			continue
		}
		if l != nil && r.bits.Len() == l.chunks && !p.mute {
			c.gainHolder(l, i)
		}
	}
	if l != nil {
		c.claimProgress(l, p.id)
		c.drive(l)
	}
}

func (c *Core) lostArrived(e LostArrived) {
	p := c.byID[e.From]
	if p == nil {
		return
	}
	if l := c.byMap[e.Payload]; l != nil {
		c.uncountHolder(l, p)
		c.stampLost(l)
		p.forget(e.Payload)
		c.drive(l)
		return
	}
	p.forget(e.Payload)
}

// forget drops what a peer said of a payload; the caller has uncounted it.
func (p *peer) forget(id content.ID) {
	if r := p.have[id]; r != nil {
		p.haveChunks -= r.bits.Len()
		delete(p.have, id)
	}
}

// gainHolder counts one more holder of a chunk.
func (c *Core) gainHolder(l *payload, i int) {
	l.avail[i]++
	l.lostAt[i] = 0
	if l.seenAt[i] == 0 {
		l.seenAt[i] = c.now.UnixNano()
	}
}

// countHolder adds a peer's have-list to the availability. A list of another length is a lie and counts nothing.
func (c *Core) countHolder(l *payload, p *peer, r *remote) {
	if r.bits.Len() != l.chunks {
		p.forget(l.id)
		return
	}
	if p.mute {
		return
	}
	for i := range l.chunks {
		if r.bits.Has(i) {
			c.gainHolder(l, i)
		}
	}
}

// uncountHolder takes a peer's have-list out of the availability.
func (c *Core) uncountHolder(l *payload, p *peer) {
	r := p.have[l.id]
	if r == nil || r.bits.Len() != l.chunks || p.mute {
		return
	}
	for i := range l.chunks {
		if r.bits.Has(i) {
			l.avail[i]--
		}
	}
}

// stampLost notes when chunks lost their last holder: it may come back, so the WAN waits a little.
func (c *Core) stampLost(l *payload) {
	for i := range l.chunks {
		if l.avail[i] == 0 && l.seenAt[i] != 0 {
			l.seenAt[i] = 0
			l.lostAt[i] = c.now.UnixNano()
		}
	}
}

// forgetHolder removes a peer that left from a payload's books.
func (c *Core) forgetHolder(l *payload, p *peer) {
	c.uncountHolder(l, p)
	c.stampLost(l)
	c.claimEnded(l, p.id)
}

// holds says whether a neighbour is known to hold a chunk.
func holds(p *peer, id content.ID, i int) bool {
	r := p.have[id]
	return r != nil && i < r.bits.Len() && r.bits.Has(i)
}

// lacks says whether a neighbour is fetching this payload and has not this chunk yet.
func lacks(p *peer, id content.ID, i int) bool {
	r := p.have[id]
	return r != nil && r.want && i < r.bits.Len() && !r.bits.Has(i)
}
