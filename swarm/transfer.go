package swarm

import (
	"time"

	"patchmesh/swarm/rate"
)

// hedge asks a second holder for chunks whose first holder has been silent: long, or not so long once
// nothing else is left to ask for (the end-game). At most one hedge per chunk bounds the duplicates.
func (c *Core) hedge(l *payload) {
	if l.inFlight == 0 {
		return
	}
	after := c.cfg.HedgeAfter
	if l.have.Count()+l.inFlight >= l.chunks {
		after = c.cfg.EndgameHedgeAfter
	}
	late := c.requests(func(r *request) bool {
		if r.payload != l || r.kind != reqChunk || r.hedged || l.each[r.index].fetching > 1 {
			return false
		}
		due := c.lateAt(r, after)
		if c.now.Before(due) {
			c.wakeBy(due)
			return false
		}
		return true
	})
	for _, id := range late {
		r := c.request(id)
		room := c.mayAsk(rate.LAN, l) && c.askBytes+l.chunkBytes <= c.cfg.MaxAskBytes // on a slow network all is late: no second copy of it all
		if p := c.holderFor(l, r.index, r.peer); p != nil && room && l.each[r.index].fetching == 1 {
			r.hedged = true
			c.fetch(l, p, r.index)
		} else {
			c.wakeBy(c.now.Add(after))
		}
	}
}

// lateAt is when a request counts as late: its holder has sent nothing for so long, or for four times as long
// as it takes from one chunk to the next, or, since a holder that has sent none yet is no slower than others, for twice as
// long as chunks take here as a rule. That bound has an end, or slow liars could do away with hedges. A holder that
// serves others in between is not silent.
func (c *Core) lateAt(r *request, after time.Duration) time.Time {
	from := r.at
	if p := r.holder; p != nil {
		if p.answeredAt.After(from) {
			from = p.answeredAt
		}
		after = max(after, 4*p.pace, min(2*r.payload.took, 2*c.cfg.HedgeAfter))
	}
	return from.Add(after)
}

// chunkStored: a chunk is verified and in the store. Neighbours learn of it at once.
func (c *Core) chunkStored(e ChunkStored) {
	r := c.end(e.Req)
	if r == nil {
		return
	}
	l := r.payload
	c.settle(r)
	p := c.holderOf(r)
	if p != nil {
		c.heardFrom(p)
		p.bytesIn += e.Bytes
		p.answered(c.now)
		l.arrivedIn(c.now.Sub(r.at))
	}
	l.arrivals++
	if !l.dropping && l.have.Set(r.index) {
		l.mark(r.index)
		if l.each[r.index].avail == 1 && c.byMap[l.id] == l {
			c.loneHolder(l, r.index, nil).sole--
		}
		l.haveBytes += e.Bytes
		c.countArrival(l, r, p, e.Bytes)
		c.tellGained(l, r.index)
		c.cancelTwins(l, r.index)
	} else {
		l.Duplicate += e.Bytes
	}
	switch r.kind {
	case reqOrigin:
		c.originArrived(l, e.Bytes)
		c.bookWAN(e.Bytes)
	case reqAdjacent:
		c.originArrived(l, e.Bytes)
	}
	c.driveBefore(l)
	c.drive(l)
	c.payloadChanged(l)
}

// arrivedIn measures how long a chunk takes from its ask until it is here.
func (l *payload) arrivedIn(d time.Duration) {
	if l.took > 0 {
		d = (7*l.took + d) / 8
	}
	l.took = d
}

// countArrival books the bytes on the tier that they came from.
func (c *Core) countArrival(l *payload, r *request, p *peer, bytes int64) {
	switch {
	case r.kind == reqOrigin && r.peer == "":
		l.Origin += bytes
		l.web[r.mirror].fails = 0
	case r.kind == reqOrigin:
		l.Seed += bytes
	case r.kind == reqAdjacent:
		l.Neighbour += bytes
		c.adjacent.came = true
	case p != nil && p.cache:
		l.Cache += bytes
	case p != nil && p.sameSubnet:
		l.Subnet += bytes
	default:
		l.Site += bytes
	}
}

// tellGained notes a delta for the neighbours. What somebody may be waiting for, because nobody or one alone
// has it yet, is told at once, with all that waits; the rest gathers for a moment.
func (c *Core) tellGained(l *payload, i int) {
	if len(l.untold) == 0 {
		l.untoldAt = c.now
	}
	l.untold = append(l.untold, i)
	if l.each[i].avail <= 1 || l.have.Full() {
		c.flushGained(l)
		return
	}
	c.gainBy(l.untoldAt.Add(c.gainDelay(l)))
}

// gainDelay is how long gains may gather. At the end of a payload others have little else to ask for: what is told
// late then is time lost.
//
// Each machine of a large site tells more others, so it tells them less often: what a machine hears in a second stays
// the same. Beyond gainMost times as much that would hold up the second copies of a chunk.
func (c *Core) gainDelay(l *payload) time.Duration {
	d := c.cfg.GainDelay * time.Duration(min(max(len(c.peers), gainPeers), gainMost*gainPeers)) / gainPeers
	if missing := l.have.Len() - l.have.Count(); missing <= l.have.Len()/lastGains {
		return d / lastGainsSooner
	}
	return d
}

// gainPeers is how many are told every GainDelay.
const (
	gainPeers = 10
	gainMost  = 3
)

// lastGains: the end of a payload is so small a part of it. Then gains gather for so much less long.
const (
	lastGains       = 16
	lastGainsSooner = 12
)

// gainBy makes sure that what was gained is told no later than t. It is a wake of its own: there are many of them,
// and they ask for nothing but this.
func (c *Core) gainBy(t time.Time) {
	if c.gainDue.IsZero() || t.Before(c.gainDue) {
		c.gainDue = t
	}
}

// sweepGained tells what has waited long enough.
func (c *Core) sweepGained() {
	c.gainDue = time.Time{}
	for _, l := range c.payloads {
		if len(l.untold) == 0 {
			continue
		}
		if due := l.untoldAt.Add(c.gainDelay(l)); c.now.Before(due) {
			c.gainBy(due)
		} else {
			c.flushGained(l)
		}
	}
}

// flushGained tells neighbours that lack something of the payload; the others have no use for it.
func (c *Core) flushGained(l *payload) {
	from := len(c.toldTo)
	for _, p := range c.peers {
		if !p.near && !p.takes {
			continue
		}
		if r := p.of(l); r == nil || !r.bits.Full() {
			c.toldTo = append(c.toldTo, p.id)
		}
	}
	if len(c.toldTo) > from {
		c.act(TellGained{To: c.toldTo[from:len(c.toldTo):len(c.toldTo)], Payload: l.id, Indexes: l.untold})
	}
	l.untold, l.told = l.told[:0], l.untold
}

// answered measures the pace of a peer.
func (p *peer) answered(now time.Time) {
	d := now.Sub(p.answeredAt)
	if p.pace > 0 {
		d = (3*p.pace + d) / 4
	}
	p.pace, p.answeredAt, p.triedAt = max(d, time.Microsecond), now, time.Time{}
	if p.asks > 0 {
		p.triedAt = now
	}
}

// reroute withdraws an ask from a holder that alone had a chunk until now or alone has others, once a neighbour that
// is no such holder can send it too. It is asked there when the withdrawal is confirmed, so that nothing
// comes twice.
func (c *Core) reroute(l *payload, at *peer, i int) {
	if l.each[i].fetching != 1 || at.of(l).sole > 0 {
		return
	}
	for _, id := range c.requests(func(r *request) bool {
		return r.kind == reqChunk && r.payload == l && r.index == i && !r.withdrawn && r.peer != at.id
	}) {
		r := c.request(id)
		if p := c.holderOf(r); p != nil && p.of(l) != nil && (l.each[i].avail == 2 || p.of(l).sole > 0) {
			r.withdrawn = true
			c.act(CancelFetch{Req: id})
		}
	}
}

// cancelTwins withdraws other requests for a chunk that has arrived.
func (c *Core) cancelTwins(l *payload, i int) {
	if l.each[i].fetching == 0 {
		return
	}
	c.cancel(func(r *request) bool { return r.payload == l && r.index == i })
}

// settle gives back what a chunk request had taken.
func (c *Core) settle(r *request) {
	c.stopFetching(r.payload, r.index)
	switch r.kind {
	case reqOrigin:
		r.payload.lease.asks--
		r.payload.lease.askBytes -= r.bytes
		return
	case reqAdjacent:
		r.payload.lease.asks--
	default:
		c.askBytes -= r.bytes
	}
	if p := c.holderOf(r); p != nil {
		p.asks--
	}
}

// chunkFailed: a request for a chunk ended without one.
func (c *Core) chunkFailed(r *request, e Failed) {
	l := r.payload
	c.settle(r)
	c.unspend(r, e)
	p := c.holderOf(r)
	switch {
	case e.Reason == "disk-short" || e.Reason == "disk-error":
		// Ours, not the peer's. Stop asking until there is room; nothing that is stored is lost.
		l.opened = false
		c.block(l, e)
		c.cancelFetches(l)
		c.payloadChanged(l)
		return
	case r.kind == reqOrigin && r.peer == "":
		c.mirrorFailed(l, r, e)
	case p == nil:
	case e.Class == Refuse && r.kind == reqOrigin:
		// There may be no other seed, so it is not given up; but wrong bytes across the WAN cost the
		// site its line, so each time it is left alone for longer, over its sessions too: they are no network that hiccups.
		l.Wasted += r.bytes
		c.bookWAN(r.bytes)
		c.noteRefused(p.id, e.Reason, e.Detail)
		p.silences = max(p.silences, muteAfter-1)
		c.silent(p)
		p.busyUntil = c.now.Add(c.cfg.LinkRetryMax << p.silences)
	case e.Class == Refuse:
		l.Wasted += r.bytes
		c.shun(p, e.Reason, e.Detail)
	case e.Class == Absent && r.kind == reqOrigin:
		// A seed that does not have what it has approved will not have it a moment later.
		p.busyUntil = c.now.Add(c.cfg.LinkRetryMin)
	case e.Class == Absent:
		c.absent(l, p, r.index)
	case e.Class == Busy:
		p.busyUntil = c.now.Add(50 * time.Millisecond)
		c.wakeBy(p.busyUntil)
	case e.Reason == "cancelled-user":
		// Withdrawn by this machine: the peer did nothing wrong.
		if p.asks == 0 {
			p.triedAt = time.Time{}
		}
	case (r.kind == reqOrigin || r.kind == reqAdjacent) && !r.at.After(p.silentAt):
		// It was out together with what failed first: of small payloads there may be hundreds, and that is one silence.
	case c.shunned(p.id): // what was under way when it was found out says nothing more of it
	default:
		c.silent(p)
	}
	switch r.kind {
	case reqOrigin:
		c.originFailed(r, e)
	case reqAdjacent:
		c.adjacentSilent(r, e)
	}
	c.driveBefore(l)
	c.drive(l)
}

// absent: the peer does not hold what it said. Its word for this chunk no longer counts.
func (c *Core) absent(l *payload, p *peer, i int) {
	if h := p.far[l.id]; h != nil && i < h.bits.Len() {
		h.bits.Clear(i)
	}
	if r := p.have.of(l.id); r != nil && i < r.bits.Len() && r.bits.Has(i) {
		r.bits.Clear(i)
		if now := c.byMap[l.id]; now != nil && p.gives() { // not l: it may have been withdrawn and approved again since
			c.loseHolder(now, p, i)
			c.stampLost(now)
			c.drive(now)
		}
	}
}
