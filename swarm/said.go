package swarm

import (
	"slices"
	"strings"

	"patchmesh/content"
)

// of is what a peer said of a payload; nil: nothing. It is have without the map, for the loops that look at all
// neighbours for each chunk.
func (p *peer) of(l *payload) *remote {
	if l.unnamed || p.gone {
		return p.have[l.id]
	}
	return l.said[p.at]
}

// saidOf is of for a payload that may not be known here: l is nil then.
func (p *peer) saidOf(l *payload, id content.ID) *remote {
	if l == nil {
		return p.have[id]
	}
	return p.of(l)
}

// keep notes what a peer said of a payload that approvals name.
func (p *peer) keep(l *payload, r *remote) {
	if !l.unnamed && !p.gone {
		l.said[p.at] = r
	}
}

// seat makes place for a new peer in the order of the peers, and in what they said.
func (c *Core) seat(p *peer) {
	at, _ := slices.BinarySearchFunc(c.peers, p.id, func(q *peer, id PeerID) int { return strings.Compare(string(q.id), string(id)) })
	c.peers = slices.Insert(c.peers, at, p)
	for _, l := range c.payloads {
		l.said = slices.Insert(l.said, at, nil)
	}
	c.countSeats(at)
}

// unseat takes a peer out again.
func (c *Core) unseat(p *peer) {
	p.gone = true
	c.peers = slices.Delete(c.peers, p.at, p.at+1)
	for _, l := range c.payloads {
		l.said = slices.Delete(l.said, p.at, p.at+1)
	}
	c.countSeats(p.at)
}

func (c *Core) countSeats(from int) {
	for i := from; i < len(c.peers); i++ {
		c.peers[i].at = i
	}
}

// payload is byMap, the short way for the few payloads that most machines have.
func (c *Core) payload(id content.ID) *payload {
	if n := len(c.payloads); n > 0 && n < 5 {
		for _, l := range c.payloads {
			if l.id == id {
				return l
			}
		}
		return nil
	}
	return c.byMap[id]
}
