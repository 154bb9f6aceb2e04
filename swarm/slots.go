package swarm

import (
	"math"
	"slices"
	"time"

	"patchmesh/content"
)

// slotState is who is being served and who waits.
type slotState struct {
	busy    []upload
	busyFar int // of busy, those to other sites
	queue   []upload
	served  uint64 // counts uploads
}

// upload is one ask for a chunk.
type upload struct {
	ref     uint64
	to      PeerID
	peer    *peer // of to when it was asked
	payload content.ID
	index   int
	far     bool // to another site
	began   time.Time
}

// uploadAsked serves, queues or refuses an ask. Only members of this site are served, and of sites that signed
// policy lets take from here; a seed serves every member. Only what the manifest names is served: approved content and nothing else.
func (c *Core) uploadAsked(e UploadAsked) {
	p := c.peer(e.From)
	l := c.byMap[e.Payload]
	switch {
	case p == nil || (!c.self.Seed && !c.neighbour(p) && !p.takes):
		c.act(RefuseUpload{Ref: e.Ref, Class: Refuse})
	case c.gates.against(p) != "":
		c.act(RefuseUpload{Ref: e.Ref, Class: Busy}) // it was told why, see gate.go
	case l == nil || e.Index < 0 || e.Index >= l.chunks || !l.have.Has(e.Index):
		c.act(RefuseUpload{Ref: e.Ref, Class: Absent})
	case len(c.slots.queue) >= c.cfg.ServeQueue && !c.makeRoom(p):
		c.act(RefuseUpload{Ref: e.Ref, Class: Busy})
	default:
		c.slots.queue = append(c.slots.queue, upload{ref: e.Ref, to: e.From, peer: p, payload: e.Payload, index: e.Index, far: !c.neighbour(p)})
		p.waiting++
		c.fillSlots()
	}
}

// makeRoom turns down the newest ask of the peer that waits for most, if that is more than the newcomer
// would wait for: one greedy peer must not fill the queue and shut out the rest of the site.
func (c *Core) makeRoom(newcomer *peer) bool {
	s := &c.slots
	newest := 0
	for i := range s.queue {
		if s.queue[i].peer.waiting >= s.queue[newest].peer.waiting {
			newest = i
		}
	}
	if s.queue[newest].peer.waiting <= newcomer.waiting+1 {
		return false
	}
	c.act(RefuseUpload{Ref: s.queue[newest].ref, Class: Busy})
	s.dequeue(newest)
	return true
}

// dequeue takes an ask out of the queue.
func (s *slotState) dequeue(i int) {
	s.queue[i].peer.waiting--
	s.queue = slices.Delete(s.queue, i, i+1)
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
			c.slots.dequeue(best)
			if l := c.byMap[u.payload]; l == nil || !l.have.Has(u.index) { // withdrawn or lost while it waited
				c.act(RefuseUpload{Ref: u.ref, Class: Absent})
				continue
			}
			c.slots.served++
			u.began = c.now
			u.peer.servedAt = c.slots.served
			u.peer.running++
			c.slots.busy = append(c.slots.busy, u)
			if far {
				c.slots.busyFar++
			}
			c.act(Serve{Ref: u.ref, Payload: u.payload, Index: u.index})
		}
	}
}

func (c *Core) slotsFor(far bool) int {
	if far && c.self.Seed {
		return c.cfg.FarSlots
	}
	return c.cfg.ServeSlots
}

// nextUpload picks the ask to serve next; -1: none waits. The peer with the fewest running goes first, so
// that one fast peer with a deep pipeline cannot starve the others; one running is as good as none, or a second copy for
// whoever is idle would go before a first one, which all wait for. Of those the payload with the nearest deadline goes first, then a chunk that nobody else has goes
// first, then the peer that was served longest ago, then the chunk that the fewest have, those counted to whom
// it is on its way.
func (c *Core) nextUpload(far bool) int {
	best := -1
	var order [5]uint64
	for i := range c.slots.queue {
		u := &c.slots.queue[i]
		if u.far != far || c.firstCopyLeaves(u) {
			continue
		}
		running := uint64(max(u.peer.running, 1))
		if best >= 0 && running > order[0] {
			continue
		}
		copies := uint64(c.sentCopies(u))
		o := [5]uint64{running, c.turn(c.byMap[u.payload]), min(copies, 1), u.peer.servedAt, copies}
		if best < 0 || slices.Compare(o[:], order[:]) < 0 {
			best, order = i, o
		}
	}
	return best
}

// firstCopyLeaves: no neighbour has the chunk yet, and one is getting it now. Who waits for it gets it from there:
// two first copies at once would each take twice as long. A taker that takes too long is not waited for.
func (c *Core) firstCopyLeaves(u *upload) bool {
	l := c.payload(u.payload)
	if u.far || l == nil || u.index >= l.chunks || l.each[u.index].avail > 0 {
		return false
	}
	for i := range c.slots.busy {
		b := &c.slots.busy[i]
		if b.index != u.index || b.payload != u.payload {
			continue
		}
		if due := b.began.Add(c.cfg.FirstCopy); c.now.Before(due) {
			c.wakeBy(due)
			return true
		}
	}
	return false
}

// sentCopies is how many neighbours have a chunk or are getting it from here. Who has all of a payload is not told
// what others gain, so what was sent before counts as well: or a second copy would go as early as a first one.
func (c *Core) sentCopies(u *upload) int {
	l := c.payload(u.payload)
	if l == nil || u.index >= l.chunks {
		return 0
	}
	n := max(int(l.each[u.index].avail), l.timesSent(u.index))
	for i := range c.slots.busy {
		if b := &c.slots.busy[i]; b.index == u.index && b.payload == u.payload {
			n++
		}
	}
	return n
}

// countSent notes that a chunk was sent to a neighbour.
func (l *payload) countSent(i int) {
	if l.sent == nil {
		l.sent = make([]uint8, l.chunks)
	}
	if i < len(l.sent) && l.sent[i] < math.MaxUint8 {
		l.sent[i]++
	}
}

func (l *payload) timesSent(i int) int {
	if i >= len(l.sent) {
		return 0
	}
	return int(l.sent[i])
}

// count is how many uploads of a kind hold a slot.
func (s *slotState) count(far bool) int {
	if far {
		return s.busyFar
	}
	return len(s.busy) - s.busyFar
}

// runningTo counts the uploads to a peer that hold a slot.
func (s *slotState) runningTo(to PeerID) int {
	n := 0
	for i := range s.busy {
		if s.busy[i].to == to {
			n++
		}
	}
	return n
}

func (c *Core) uploadEnded(e UploadEnded) {
	s := &c.slots
	for i := range s.busy {
		if u := &s.busy[i]; u.ref == e.Ref {
			p := u.peer
			if p.gone { // it may be back
				p = c.byID[u.to]
			}
			if p != nil {
				p.bytesOut += e.Bytes
				p.running--
			}
			if u.far {
				s.busyFar--
			}
			if l := c.payload(u.payload); e.Bytes > 0 && !u.far && l != nil {
				l.countSent(u.index)
			}
			s.busy = slices.Delete(s.busy, i, i+1)
			break
		}
	}
	for i := range s.queue {
		if s.queue[i].ref == e.Ref {
			s.dequeue(i)
			break
		}
	}
	c.fillSlots()
}

// slotsPeerDown drops what waits for a peer that left. Running uploads end by their own event.
func (c *Core) slotsPeerDown(id PeerID) {
	c.slots.queue = slices.DeleteFunc(c.slots.queue, func(u upload) bool { return u.to == id })
}
