package swarm

import "patchmesh/content"

// of is what a peer said of a payload; nil: nothing. It is have without the map, for the loops that look at all
// neighbours for each chunk.
func (p *peer) of(l *payload) *remote {
	if l.slot < 0 {
		return p.have[l.id]
	}
	if l.slot >= len(p.said) {
		return nil
	}
	return p.said[l.slot]
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
	if l.slot < 0 || r == nil && l.slot >= len(p.said) {
		return
	}
	for len(p.said) <= l.slot {
		p.said = append(p.said, nil)
	}
	p.said[l.slot] = r
}

// freeSlot is the lowest number that no payload uses.
func (c *Core) freeSlot() int {
	used := make([]bool, len(c.payloads)+1)
	for _, l := range c.payloads {
		if l.slot < len(used) {
			used[l.slot] = true
		}
	}
	for i, u := range used {
		if !u {
			return i
		}
	}
	return len(used)
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
