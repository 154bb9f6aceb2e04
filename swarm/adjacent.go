package swarm

import (
	"slices"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
	"patchmesh/swarm/rate"
)

// A site may take chunks from machines of other sites where signed policy says so: its neighbour sites. It goes one
// way, and chunks are all that passes: no news, no lease, no report. A machine of such a site is an adjacent peer. The
// holder of the WAN lease of a payload is the one that asks it, before a seed or a web host and under that
// lease, so that a chunk comes into the site once, wherever from. An adjacent peer is judged as everybody is: by
// its chunks.

type (
	// AdjacentAllowed says whether signed policy lets this machine's site take chunks from other sites.
	AdjacentAllowed struct{ Allowed bool }
	// AdjacentFailed says that no machine of a neighbour site could be reached although sessions were asked for.
	AdjacentFailed struct{}
	// LinkAdjacent asks for sessions with machines of neighbour sites (Want) or says that none is needed. Answered
	// by PeerUp or AdjacentFailed as often as the state changes. The driver finds another machine for one that it is
	// told to Unlink.
	LinkAdjacent struct{ Want bool }
)

func (AdjacentAllowed) isEvent() {}
func (AdjacentFailed) isEvent()  {}
func (LinkAdjacent) isAction()   {}

// adjacentState is this machine's way to the neighbour sites.
type adjacentState struct {
	allowed bool
	wanted  bool // LinkAdjacent{Want: true} stands
	came    bool // something has, since then
	// waitUntil is for how long the seed is not asked because a machine of a neighbour site may be found yet.
	// retryAt is when a search begins again that found nobody, emptyUntil for how long one that brought nothing
	// counts as vain.
	waitUntil, retryAt, emptyUntil time.Time
	backoff                        time.Duration
}

// adjacentWait is for how long a search for machines of neighbour sites holds back the seed. A search that led
// to nothing is begun again after adjacentRetryMin, doubled each time.
const (
	adjacentWait     = 2 * time.Second
	adjacentRetryMin = 15 * time.Second
	adjacentRetryMax = 10 * time.Minute
	adjacentUseless  = 5 * time.Second // of a session with one that has nothing: another machine may have more
	adjacentSlow     = 2 * time.Second // from one chunk to the next: what takes longer is asked of the seed as well
)

// farHave is what an adjacent peer said of one payload. It does not count as held in the site.
type farHave struct {
	bits content.Bits
	want bool
}

func (c *Core) adjacentAllowed(e AdjacentAllowed) {
	allowed := e.Allowed && c.far.neighbour
	if c.adjacent.allowed == allowed || c.self.Seed {
		return
	}
	c.adjacent = adjacentState{allowed: allowed, wanted: c.adjacent.wanted}
	if c.gateTold() != c.gates.told {
		c.gatesMoved()
		return
	}
	c.driveLink()
	c.driveAll()
}

func (c *Core) adjacentFailed() {
	a := &c.adjacent
	if !a.wanted {
		return
	}
	a.waitUntil = time.Time{}
	c.driveAll()
	c.driveLink()
}

// driveAdjacent asks for sessions exactly while this machine has a use for them.
func (c *Core) driveAdjacent(leases bool) {
	a := &c.adjacent
	want := leases && a.allowed && c.self.Egress && c.localSeed() == nil
	if want && !a.wanted && c.now.Before(a.retryAt) {
		c.wakeBy(a.retryAt)
		return
	}
	if want == a.wanted {
		return
	}
	a.wanted, a.waitUntil = want, time.Time{}
	switch {
	case want:
		a.came, a.waitUntil = false, c.now.Add(adjacentWait)
		c.wakeBy(a.waitUntil)
	case a.came:
		a.backoff = 0
	default:
		a.backoff = min(max(2*a.backoff, adjacentRetryMin), adjacentRetryMax)
		a.emptyUntil = c.now.Add(a.backoff)
		if !c.adjacentUp() {
			a.retryAt = a.emptyUntil
		}
	}
	c.act(LinkAdjacent{Want: want})
}

// adjacentUp: one of them is there, and may be asked.
func (c *Core) adjacentUp() bool {
	for _, p := range c.peers {
		if c.mayGive(p) {
			return true
		}
	}
	return false
}

// mayGive: an adjacent peer that may be asked, now or after what is under way there.
func (c *Core) mayGive(p *peer) bool {
	return p.adjacent && p.gate.serve == "" && !c.now.Before(p.busyUntil) && !c.shunned(p.id)
}

// adjacentHas: an adjacent peer holds a chunk that nobody in the site has, or is giving it.
func (c *Core) adjacentHas(l *payload) bool {
	if !c.adjacent.allowed {
		return false
	}
	if l.lease.held && l.lease.asks > 0 && c.adjacentUp() {
		return true
	}
	held := c.heldNextDoor(l, func(*peer) bool { return true })
	return held != nil && c.nextLacking(l, 0, held) >= 0
}

// heldNextDoor says which chunks adjacent peers hold that may be asked, of those that count; nil: there are no such
// peers. It is asked for each chunk that is missing, so it looks at the peers once.
func (c *Core) heldNextDoor(l *payload, counts func(*peer) bool) func(i int) bool {
	var far []*farHave
	for _, p := range c.peers {
		if !p.adjacent {
			continue
		}
		if h := p.far[l.id]; h != nil && h.bits.Len() == l.chunks && c.mayGive(p) && counts(p) {
			far = append(far, h)
		}
	}
	if far == nil {
		return nil
	}
	return func(i int) bool { return slices.ContainsFunc(far, func(h *farHave) bool { return h.bits.Has(i) }) }
}

// notNextDoor says which chunks the seed is asked for; nil: all. What an adjacent peer has comes from there while it
// keeps up: one that claims to have everything and gives a chunk now and then would keep the site from the WAN.
func (c *Core) notNextDoor(l *payload) func(i int) bool {
	held := c.heldNextDoor(l, func(p *peer) bool { return !c.slowFar(p) })
	if held == nil {
		return nil
	}
	return func(i int) bool { return !held(i) }
}

// slowFar: an adjacent peer takes long for a chunk, or for the last ones.
func (c *Core) slowFar(p *peer) bool {
	if p.pace > adjacentSlow {
		return true
	}
	if p.asks == 0 {
		return false
	}
	due := p.answeredAt.Add(adjacentSlow)
	if c.now.Before(due) {
		c.wakeBy(due)
		return false
	}
	return true
}

func (p *peer) holdsFar(l *payload, i int) bool {
	h := p.far[l.id]
	return h != nil && h.bits.Len() == l.chunks && h.bits.Has(i)
}

// adjacentMay: a payload may come from a neighbour site, or it is not known yet that it cannot.
func (c *Core) adjacentMay(l *payload) bool {
	a := &c.adjacent
	if !a.allowed || !c.self.Egress || c.self.Seed {
		return false
	}
	until := a.emptyUntil
	if a.wanted {
		until = a.waitUntil
	}
	if c.now.Before(until) {
		c.wakeBy(until)
	}
	return c.now.Before(until) == a.wanted || c.adjacentHas(l)
}

// awaitsAdjacent: machines of neighbour sites are being looked for, and none has said yet what it holds.
func (c *Core) awaitsAdjacent() bool {
	a := &c.adjacent
	if !a.wanted || !c.now.Before(a.waitUntil) {
		return false
	}
	for _, p := range c.peers {
		if p.synced && c.mayGive(p) {
			return false
		}
	}
	c.wakeBy(a.waitUntil)
	return true
}

// pickAdjacent asks machines of neighbour sites for what they hold and the site lacks.
func (c *Core) pickAdjacent(l *payload) {
	if !c.adjacent.allowed || c.wanGate() != "" {
		return
	}
	for _, p := range c.peers {
		if !p.adjacent {
			continue
		}
		if c.now.Before(p.busyUntil) {
			c.wakeBy(p.busyUntil)
		}
		for c.mayGive(p) && p.asks < c.adjacentAsks(p, l) && !c.waitsOnWAN(l) && c.mayAsk(rate.Site, l) {
			i := c.nextLacking(l, l.lease.cursor, func(i int) bool { return p.holdsFar(l, i) })
			if i < 0 {
				break
			}
			c.askAdjacent(l, p, i)
		}
	}
}

// adjacentAsks is how many chunks may be outstanding at an adjacent peer: one until it has sent a good one, and while
// it is slow, else what the line takes in WANSpan.
func (c *Core) adjacentAsks(p *peer, l *payload) int {
	if p.pace == 0 || c.slowFar(p) {
		return min(c.cfg.FirstAsks, c.cfg.PerPeerAsks)
	}
	span := min(int64(l.lease.rate*c.cfg.WANSpan.Seconds()), c.cfg.WANMaxBytes)
	return max(c.cfg.PerPeerAsks, int(span/max(l.chunkBytes, 1)))
}

func (c *Core) askAdjacent(l *payload, p *peer, i int) {
	l.lease.cursor = i
	id := c.begin(request{kind: reqAdjacent, peer: p.id, holder: p, payload: l, index: i, bytes: l.chunkBytes})
	c.countAsk(p)
	l.lease.asks++
	c.spend(rate.Site, l)
	c.startFetching(l, i)
	c.act(FetchOrigin{Req: id, From: p.id, Payload: l.id, Index: i, Ahead: l.bytes - l.haveBytes})
}

// sweepAdjacent lets go of those that have nothing to give, so that the driver finds others.
func (c *Core) sweepAdjacent() {
	if !c.adjacent.wanted {
		return
	}
	for _, p := range c.peers {
		if !p.adjacent || !p.synced || p.asks > 0 || p.letGo || c.usefulFar(p) {
			continue
		}
		if due := p.upAt.Add(adjacentUseless); c.now.Before(due) {
			c.wakeBy(due)
			continue
		}
		p.letGo = true // once: the session may be the other side's, which has a use for it
		c.act(Unlink{Peer: p.id, Reason: policy.ReasonPeerNoneHolds})
	}
}

// usefulFar: a peer holds something of a payload that this machine fetches for its site, or will.
func (c *Core) usefulFar(p *peer) bool {
	for _, l := range c.payloads {
		if h := p.far[l.id]; l.lease.held && h != nil && (h.want || h.bits.Count() > 0) {
			return true
		}
	}
	return false
}

// adjacentHave books the have-list of an adjacent peer.
func (c *Core) adjacentHave(p *peer, e HaveArrived) {
	p.forgetFar(e.Payload)
	if len(p.far) >= c.cfg.MaxPayloads || p.haveChunks+e.Bits.Len() > c.cfg.MaxHaveChunks || c.shunned(p.id) {
		return // as with neighbours: what a peer invents must not fill our memory
	}
	if p.far == nil {
		p.far = map[content.ID]*farHave{}
	}
	p.far[e.Payload] = &farHave{bits: *e.Bits, want: e.Want}
	p.haveChunks += e.Bits.Len()
	c.adjacentMoved(e.Payload)
}

func (c *Core) adjacentGained(p *peer, e GainedArrived) {
	h := p.far[e.Payload]
	if h == nil {
		return
	}
	for _, i := range e.Indexes {
		if i >= 0 && i < h.bits.Len() {
			h.bits.Set(i)
		}
	}
	c.adjacentMoved(e.Payload)
}

// adjacentMoved goes on with a payload of which a neighbour site has more now.
func (c *Core) adjacentMoved(id content.ID) {
	if l := c.byMap[id]; l != nil && (l.lease.held || !c.egress()) {
		c.drive(l)
	}
}

func (p *peer) forgetFar(id content.ID) {
	if h := p.far[id]; h != nil {
		p.haveChunks -= h.bits.Len()
		delete(p.far, id)
	}
}

// adjacentSilent: the session is closed, and the driver looks for another machine.
func (c *Core) adjacentSilent(r *request, e Failed) {
	if e.Class == Retry && c.byID[r.peer] != nil && e.Reason != policy.ReasonCancelledUser {
		c.act(Unlink{Peer: r.peer, Reason: e.Reason})
	}
}

// toListeners does f for every peer that is told what this machine holds: neighbours, and machines of sites that
// signed policy lets take from here.
func (c *Core) toListeners(f func(*peer)) {
	for _, p := range c.peers {
		if p.near || p.takes {
			f(p)
		}
	}
}

// tellTaker opens a session with a machine that may take chunks from here.
func (c *Core) tellTaker(p *peer) {
	for _, l := range c.payloads {
		if l.have.Count() > 0 || l.wanted() || l.opened {
			c.act(TellHave{To: p.id, Payload: l.id, Want: l.needed(), Bits: l.have})
		}
	}
	c.act(TellSynced{To: p.id})
	if why := c.gates.told.against(p); why != "" {
		c.act(TellGate{To: p.id, Serve: why})
	}
}
