package swarm

import (
	"time"

	"patchmesh/swarm/rate"
)

// pickWindow bounds how many missing chunks one pick looks at, so that a payload of a million
// chunks costs no more per decision than one of a few thousand.
const pickWindow = 8192

// pick asks neighbours for chunks until nothing useful can be asked for.
func (c *Core) pick(l *payload) {
	if c.gates.fetch != "" || c.idleHolders(l) == 0 {
		return
	}
	for c.mayAsk(rate.LAN, l) && (c.askBytes+l.chunkBytes <= c.cfg.MaxAskBytes || c.askBytes == 0) {
		i := c.rarest(l)
		if i < 0 {
			break
		}
		p := c.holderFor(l, i, "")
		if p == nil {
			break
		}
		c.fetch(l, p, i)
	}
	c.hedge(l)
}

// idleHolders counts neighbours that hold something of the payload and can take an ask.
func (c *Core) idleHolders(l *payload) int {
	n := 0
	for _, p := range c.peers {
		if c.askable(p) && p.have[l.id] != nil {
			n++
		} else if c.neighbour(p) && c.now.Before(p.busyUntil) {
			c.wakeBy(p.busyUntil)
		}
	}
	return n
}

// askable: a neighbour that may be asked for one more chunk now.
func (c *Core) askable(p *peer) bool {
	return c.neighbour(p) && p.gate.serve == "" && p.asks < c.cfg.PerPeerAsks && !c.now.Before(p.busyUntil) && !c.shunned(p.id)
}

// rarest picks the missing chunk with the fewest holders in the site that this machine may ask for
// now; equals are drawn by lot, so that machines differ. -1: none.
func (c *Core) rarest(l *payload) int {
	best, ties, seen := -1, 0, 0
	var next time.Time
	for i := l.have.NextMissing(0); i >= 0 && seen < pickWindow; i = l.have.NextMissing(i + 1) {
		seen++
		if l.fetching[i] > 0 || l.avail[i] == 0 {
			continue
		}
		if best >= 0 && l.avail[i] > l.avail[best] {
			continue
		}
		if due, at := c.turn(l, i); !due {
			if next.IsZero() || at.Before(next) {
				next = at
			}
			continue
		}
		if !c.hasHolder(l, i) {
			continue
		}
		switch {
		case best < 0 || l.avail[i] < l.avail[best]:
			best, ties = i, 1
		default:
			ties++
			if c.rng.IntN(ties) == 0 {
				best = i
			}
		}
	}
	if !next.IsZero() {
		c.wakeBy(next)
	}
	return best
}

// turn says whether this machine may ask for a chunk yet, or when it may. With k holders the first
// 2k-1 machines in the chunk's hash order go: the number of copies doubles, and a lone holder sends
// each chunk once. Patience lets everybody go if those before are slow or gone.
func (c *Core) turn(l *payload, i int) (bool, time.Time) {
	patience := time.Unix(0, l.seenAt[i]).Add(c.cfg.Patience)
	if !c.now.Before(patience) {
		return true, patience
	}
	allowed := 2*int(l.avail[i]) - 1
	if allowed >= len(c.peers) {
		return true, patience
	}
	mine := weight(l.key, i, c.self.Peer)
	ahead := 0
	for _, p := range c.peers {
		if c.neighbour(p) && lacks(p, l.id, i) && before(weight(l.key, i, p.id), p.id, mine, c.self.Peer) {
			ahead++
		}
	}
	return ahead < allowed, patience
}

// hasHolder says whether anybody can be asked for a chunk now.
func (c *Core) hasHolder(l *payload, i int) bool {
	for _, p := range c.peers {
		if holds(p, l.id, i) && c.askable(p) {
			return true
		}
	}
	return false
}

// holderFor picks whom to ask: a holder in the same subnet before others, then the one with the
// fewest asks outstanding, equals by lot. not is left out (the silent holder of a hedge).
func (c *Core) holderFor(l *payload, i int, not PeerID) *peer {
	var best *peer
	ties := 0
	for _, p := range c.peers {
		if p.id == not || !c.askable(p) || !holds(p, l.id, i) {
			continue
		}
		switch {
		case best == nil || better(p, best):
			best, ties = p, 1
		case !better(best, p):
			ties++
			if c.rng.IntN(ties) == 0 {
				best = p
			}
		}
	}
	return best
}

// better orders holders strictly.
func better(a, b *peer) bool {
	if a.sameSubnet != b.sameSubnet {
		return a.sameSubnet
	}
	return a.asks < b.asks
}

// fetch asks a neighbour for a chunk.
func (c *Core) fetch(l *payload, p *peer, i int) {
	id := c.begin(&request{kind: reqChunk, peer: p.id, payload: l, index: i, bytes: l.chunkBytes})
	p.asks++
	c.askBytes += l.chunkBytes
	c.spend(rate.LAN, l)
	c.startFetching(l, i)
	c.wakeBy(c.now.Add(c.cfg.EndgameHedgeAfter))
	c.act(FetchChunk{Req: id, From: p.id, Payload: l.id, Index: i})
}

func (c *Core) startFetching(l *payload, i int) {
	if l.fetching[i] == 0 {
		l.inFlight++
	}
	l.fetching[i]++
}

func (c *Core) stopFetching(l *payload, i int) {
	l.fetching[i]--
	if l.fetching[i] == 0 {
		l.inFlight--
	}
}
