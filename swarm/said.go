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
		return p.have.of(l.id)
	}
	return l.said[p.at]
}

// saidOf is of for a payload that may not be known here: l is nil then.
func (p *peer) saidOf(l *payload, id content.ID) *remote {
	if l == nil {
		return p.have.of(id)
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
	c.tails = slices.Insert(c.tails, at, tail(p.id))
	for _, l := range c.payloads {
		l.said = slices.Insert(l.said, at, nil)
	}
	c.countSeats(at)
}

// unseat takes a peer out again.
func (c *Core) unseat(p *peer) {
	p.gone = true
	c.peers = slices.Delete(c.peers, p.at, p.at+1)
	c.tails = slices.Delete(c.tails, p.at, p.at+1)
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

// haveLists are what a peer said of payloads, sorted by their ids. There are few of most peers, and a map for each of
// these would take more memory than all else that is known of it.
type haveLists []haveList

type haveList struct {
	id   content.ID
	said *remote
}

func (h haveLists) find(id content.ID) (int, bool) {
	return slices.BinarySearchFunc(h, id, func(x haveList, id content.ID) int { return x.id.Compare(id) })
}

// of is what was said of a payload; nil: nothing.
func (h haveLists) of(id content.ID) *remote {
	if i, found := h.find(id); found {
		return h[i].said
	}
	return nil
}

// put notes what was said of a payload.
func (h *haveLists) put(id content.ID, r *remote) {
	i, found := h.find(id)
	if !found {
		*h = slices.Insert(*h, i, haveList{id: id})
	}
	(*h)[i].said = r
}

// drop forgets what was said of a payload.
func (h *haveLists) drop(id content.ID) {
	if i, found := h.find(id); found {
		*h = slices.Delete(*h, i, i+1)
	}
}

// fewPeers is up to how many peers are found by the ends of their names.
const fewPeers = 64

// peer is an open session; nil: there is none. It is asked for with every delta. The ends of names differ within a
// site, and those of all neighbours lie side by side, where a map would read half a dozen places far apart.
func (c *Core) peer(id PeerID) *peer {
	if len(c.tails) > fewPeers {
		return c.byID[id]
	}
	t := tail(id)
	for k, x := range c.tails {
		if x == t && c.peers[k].id == id {
			return c.peers[k]
		}
	}
	return nil
}

// tail is the end of a name, as a number.
func tail(id PeerID) uint32 {
	var t uint32
	for i := max(len(id)-4, 0); i < len(id); i++ {
		t = t<<8 | uint32(id[i])
	}
	return t
}
