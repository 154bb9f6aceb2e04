package swarm

import (
	"fmt"
	"time"

	"patchmesh/policy"
)

// Web hosts of the vendor are one more place to take chunks from across the WAN. Which they are stands in
// the signed description of the update and nowhere else: no peer can name one. The lease holder asks them
// as the order of sources says, after the seed where nobody said another, and they are judged like a seed: by the
// chunks that they give.

// mirror is one web host, as this machine has met it.
type mirror struct {
	until time.Time // not asked before
	fails int       // in a row
}

// How long a web host is left alone: after it did not answer, doubled each time; when it does not have the
// file, or another one.
const (
	mirrorRetryMin = time.Second
	mirrorRetryMax = 5 * time.Minute
	mirrorAbsent   = 10 * time.Minute
)

// wanEgress says whether this machine may fetch a payload over the WAN: from a seed, or from a web host,
// or a neighbour site, for which no seed need be reachable.
func (c *Core) wanEgress(l *payload) bool {
	return (c.far.seed || c.adjacent.allowed) && c.egress() || c.webUsable(l) || c.self.Egress && !c.self.Seed && c.adjacentHas(l)
}

// webUsable: some web host may be asked for a payload now.
func (c *Core) webUsable(l *payload) bool {
	if !c.self.Egress || c.self.Seed {
		return false
	}
	_, ok := c.nextMirror(l)
	return ok
}

// nextMirror is the first web host that may be asked now, in the order of the description.
func (c *Core) nextMirror(l *payload) (int, bool) {
	if !c.far.origin {
		return 0, false
	}
	for i, m := range l.web {
		if !c.now.Before(m.until) {
			return i, true
		}
		c.wakeBy(m.until)
	}
	return 0, false
}

// wanSource picks whom a lease holder asks: a seed (from is its id) or a web host (from is empty).
func (c *Core) wanSource(l *payload) (from PeerID, mirror int, ok bool) {
	i, web := c.nextMirror(l)
	if web && c.cfg.Sources.before(SourceOrigin, SourceSeed) {
		return "", i, true
	}
	if s := c.linkedSeed(); s != nil && c.far.seed {
		if !c.now.Before(s.busyUntil) {
			return s.id, 0, true
		}
		c.wakeBy(s.busyUntil)
	}
	return "", i, web
}

// mirrorFailed judges a web host by a request that failed.
func (c *Core) mirrorFailed(l *payload, r *request, e Failed) {
	m := &l.web[r.mirror]
	alone := time.Duration(0)
	switch {
	case e.Reason == policy.ReasonCancelledUser:
	case e.Class == Refuse:
		// One wrong chunk is enough, as with peers: its other chunks are wrong too, or will be.
		l.Wasted += r.bytes
		c.bookWAN(r.bytes)
		alone = c.cfg.ShunFor
		c.noteRefused("", e.Reason, fmt.Sprintf("web host %d of the update: %s", r.mirror+1, e.Detail))
	case e.Class == Absent:
		alone = mirrorAbsent
	default:
		m.fails = min(m.fails+1, 16)
		alone = min(mirrorRetryMin<<m.fails, mirrorRetryMax)
	}
	if until := c.now.Add(alone); until.After(m.until) { // several requests fail one after the other
		m.until = until
	}
	c.wakeBy(m.until)
}
