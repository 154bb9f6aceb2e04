package swarm

import (
	"slices"
	"time"

	"patchmesh/content"
)

// slotState is who is being served and who waits.
type slotState struct {
	busy   []upload
	queue  []upload
	served uint64 // counts uploads
}

// upload is one ask for a chunk.
type upload struct {
	ref     uint64
	to      PeerID
	payload content.ID
	index   int
	far     bool // to another site
	began   time.Time
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
		c.slots.queue = append(c.slots.queue, upload{ref: e.Ref, to: e.From, payload: e.Payload, index: e.Index, far: !c.neighbour(p)})
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

// fillSlots serves the waiting asks while there is a slot. Slots for neighbours and for other sites are
// counted apart.
func (c *Core) fillSlots() {
	for _, far := range []bool{false, true} {
		for c.slots.count(far) < c.slotsFor(far) {
			best := c.nextUpload(far)
			if best < 0 {
				break
			}
			u := c.slots.queue[best]
			c.slots.queue = slices.Delete(c.slots.queue, best, best+1)
			if l := c.byMap[u.payload]; l == nil || !l.have.Has(u.index) { // withdrawn or lost while it waited
				c.act(RefuseUpload{Ref: u.ref, Class: Absent})
				continue
			}
			c.slots.served++
			u.began = c.now
			c.byID[u.to].servedAt = c.slots.served
			c.slots.busy = append(c.slots.busy, u)
			c.act(Serve{Ref: u.ref, Payload: u.payload, Index: u.index})
		}
	}
}

func (c *Core) slotsFor(far bool) int {
	if far {
		return c.cfg.FarSlots
	}
	return c.cfg.ServeSlots
}

// nextUpload picks the ask to serve next; -1: none waits. The peer with the fewest running goes first, so
// that one fast peer with a deep pipeline cannot starve the others. Of those the payload with the nearest deadline goes first, then a chunk that nobody else has goes
// first, then the peer that was served longest ago, then the chunk that the fewest have, those counted to whom
// it is on its way.
func (c *Core) nextUpload(far bool) int {
	best := -1
	var order [5]uint64
	for i, u := range c.slots.queue {
		p := c.byID[u.to]
		if u.far != far || p == nil || c.firstCopyLeaves(u) {
			continue
		}
		copies := uint64(c.sentCopies(u))
		o := [5]uint64{uint64(c.slots.running(u.to)), c.turn(c.byMap[u.payload]), min(copies, 1), p.servedAt, copies}
		if best < 0 || slices.Compare(o[:], order[:]) < 0 {
			best, order = i, o
		}
	}
	return best
}

// firstCopyLeaves: no neighbour has the chunk yet, and one is getting it now. Who waits for it gets it from there:
// two first copies at once would each take twice as long. A taker that takes too long is not waited for.
func (c *Core) firstCopyLeaves(u upload) bool {
	l := c.byMap[u.payload]
	if u.far || l == nil || u.index >= l.chunks || l.avail[u.index] > 0 {
		return false
	}
	for _, b := range c.slots.busy {
		if b.payload != u.payload || b.index != u.index {
			continue
		}
		if due := b.began.Add(c.cfg.FirstCopy); c.now.Before(due) {
			c.wakeBy(due)
			return true
		}
	}
	return false
}

// sentCopies is how many neighbours have a chunk or are getting it from here.
func (c *Core) sentCopies(u upload) int {
	l := c.byMap[u.payload]
	if l == nil || u.index >= l.chunks {
		return 0
	}
	n := int(l.avail[u.index])
	for _, b := range c.slots.busy {
		if b.payload == u.payload && b.index == u.index {
			n++
		}
	}
	return n
}

// count is how many uploads of a kind hold a slot.
func (s *slotState) count(far bool) int {
	n := 0
	for _, u := range s.busy {
		if u.far == far {
			n++
		}
	}
	return n
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
