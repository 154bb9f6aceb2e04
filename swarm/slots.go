package swarm

import (
	"slices"

	"patchmesh/content"
)

// slotState is who is being served and who waits.
type slotState struct {
	busy  []upload
	queue []upload
}

// upload is one ask for a chunk.
type upload struct {
	ref     uint64
	to      PeerID
	payload content.ID
	index   int
}

// uploadAsked serves, queues or refuses an ask. Only members of this site are served; a seed serves
// every member. Only what the manifest names is served: approved content and nothing else.
func (c *Core) uploadAsked(e UploadAsked) {
	p := c.byID[e.From]
	l := c.byMap[e.Payload]
	switch {
	case p == nil || (!c.self.Seed && !c.neighbour(p)):
		c.act(RefuseUpload{Ref: e.Ref, Class: Refuse})
	case c.gates.against(p) != "":
		c.act(RefuseUpload{Ref: e.Ref, Class: Busy}) // it was told why, see gate.go
	case l == nil || e.Index < 0 || e.Index >= l.chunks || !l.have.Has(e.Index):
		c.act(RefuseUpload{Ref: e.Ref, Class: Absent})
	case len(c.slots.queue) >= c.cfg.ServeQueue && !c.makeRoom(e.From):
		c.act(RefuseUpload{Ref: e.Ref, Class: Busy})
	default:
		c.slots.queue = append(c.slots.queue, upload{ref: e.Ref, to: e.From, payload: e.Payload, index: e.Index})
		c.fillSlots()
	}
}

// makeRoom turns down the newest ask of the peer that waits for most, if that is more than the newcomer
// would wait for: one greedy peer must not fill the queue and shut out the rest of the site.
func (c *Core) makeRoom(newcomer PeerID) bool {
	s := &c.slots
	waiting := map[PeerID]int{}
	for _, u := range s.queue {
		waiting[u.to]++
	}
	newest := -1
	for i, u := range s.queue {
		if newest < 0 || waiting[u.to] >= waiting[s.queue[newest].to] {
			newest = i
		}
	}
	if waiting[s.queue[newest].to] <= waiting[newcomer]+1 {
		return false
	}
	c.act(RefuseUpload{Ref: s.queue[newest].ref, Class: Busy})
	s.queue = slices.Delete(s.queue, newest, newest+1)
	return true
}

// fillSlots serves the waiting asks while there is a slot: the peer with the fewest running goes
// first, so that one fast peer with a deep pipeline cannot starve the others.
func (c *Core) fillSlots() {
	s := &c.slots
	for len(s.busy) < c.cfg.ServeSlots && len(s.queue) > 0 {
		best, least := 0, -1
		for i, u := range s.queue {
			if n := s.running(u.to); least < 0 || n < least {
				best, least = i, n
			}
			if least == 0 {
				break
			}
		}
		u := s.queue[best]
		s.queue = slices.Delete(s.queue, best, best+1)
		if l := c.byMap[u.payload]; l == nil || !l.have.Has(u.index) { // withdrawn or lost while it waited
			c.act(RefuseUpload{Ref: u.ref, Class: Absent})
			continue
		}
		s.busy = append(s.busy, u)
		c.act(Serve{Ref: u.ref, Payload: u.payload, Index: u.index})
	}
}

// running counts the uploads to a peer that hold a slot.
func (s *slotState) running(to PeerID) int {
	n := 0
	for _, u := range s.busy {
		if u.to == to {
			n++
		}
	}
	return n
}

func (c *Core) uploadEnded(e UploadEnded) {
	same := func(u upload) bool { return u.ref == e.Ref }
	if i := slices.IndexFunc(c.slots.busy, same); i >= 0 {
		if p := c.byID[c.slots.busy[i].to]; p != nil {
			p.bytesOut += e.Bytes
		}
		c.slots.busy = slices.Delete(c.slots.busy, i, i+1)
	}
	c.slots.queue = slices.DeleteFunc(c.slots.queue, same)
	c.fillSlots()
}

// slotsPeerDown drops what waits for a peer that left. Running uploads end by their own event.
func (c *Core) slotsPeerDown(id PeerID) {
	c.slots.queue = slices.DeleteFunc(c.slots.queue, func(u upload) bool { return u.to == id })
}
