package swarm

import (
	"slices"

	"patchmesh/content"
)

// maxEarlyClaims bounds the payloads of which a peer may claim the lease before they are known here. The oldest are
// forgotten: whoever invents claims gets no more memory, and what it loses is its own.
const maxEarlyClaims = 64

// claimEarly keeps what a neighbour says of the lease of a payload that is not known here. A session begins with all
// claims, and documents come later: a claim that is forgotten meanwhile makes whoever is next in line fetch the same
// bytes across the WAN once more, since what the holder brings is then no progress of a holder.
func (p *peer) claimEarly(id content.ID, held bool) {
	p.early = slices.DeleteFunc(p.early, func(x content.ID) bool { return x == id })
	if !held {
		return
	}
	if len(p.early) >= maxEarlyClaims {
		p.early = slices.Delete(p.early, 0, 1)
	}
	p.early = append(p.early, id)
}

// takeEarlyClaims books, for a payload that has just become known, the claims that came before. Their time begins now.
func (c *Core) takeEarlyClaims(l *payload) {
	c.toNeighbours(func(p *peer) {
		if slices.Contains(p.early, l.id) {
			p.claimEarly(l.id, false)
			l.lease.claims = append(l.lease.claims, claim{peer: p.id, held: true, firstAt: c.now})
		}
	})
}
