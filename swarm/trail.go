package swarm

import (
	"cmp"
	"slices"
	"time"

	"patchmesh/content"
)

// In a site of more machines than one has sessions with, a claim that only neighbours hear lets several
// machines fetch the same bytes over the WAN. So there a claim is passed on from neighbour to neighbour: every
// machine tells its own the best one that it knows, as bridges agree on the root of their tree (Perlman, "An
// Algorithm for Distributed Computation of a Spanning Tree in an Extended LAN", 1985). All that one machine
// keeps and says is bounded by its neighbours, however large the site is.

// TrailKind is what a trail leads to. The greater kind is the better one.
type TrailKind uint8

// The kinds of trails.
const (
	TrailNone   TrailKind = iota // to nothing any more
	TrailSought                  // to a machine that wants the payload and may not use the WAN
	TrailLease                   // to a machine that holds or is about to hold the WAN lease
	TrailSource                  // to a machine that has every chunk
)

// Trail leads from machine to machine to one that brings the chunks of a payload into the site.
type Trail struct {
	Kind   TrailKind
	Holder PeerID
	// Seq grows while the holder stands by its word: what does not grow any more is forgotten.
	Seq uint64
	// Hops from whoever tells of the trail to the holder; 0: the teller is the holder.
	Hops int
}

type (
	// TrailHeard is the best trail to the chunks of a payload that a neighbour knows.
	TrailHeard struct {
		From    PeerID
		Payload content.ID
		Trail   Trail
	}
	// TellTrail tells a neighbour the best trail that this machine knows.
	TellTrail struct {
		To      PeerID
		Payload content.ID
		Trail   Trail
	}
	// SiteSized says how many machines of the site, this one included, are known to be there. It is a hint:
	// it decides how loud claims are, and for how long one waits before it counts. Zero: unknown.
	SiteSized struct{ Machines int }
)

func (TrailHeard) isEvent() {}
func (SiteSized) isEvent()  {}
func (TellTrail) isAction() {}

const (
	// MaxTrailHops ends a trail: a site of machines with six neighbours each and that many hops across does not exist.
	MaxTrailHops = 24
	// trailFan is to how many neighbours, drawn by lot, a machine passes on that a holder stands by its word.
	trailFan = 6
	// maxTrailBooks bounds the payloads that this machine does not know and has heard trails of; they are
	// passed on all the same, because news may travel slower than claims. maxTrailHolders bounds the holders by payload.
	maxTrailBooks   = 64
	maxTrailHolders = 16
	// maxTrailSilences is how often trails from afar may lead to nothing: a neighbour can invent holders without
	// end, and each would cost the site a LeaseSilence.
	maxTrailSilences = 2
)

// trailBook is what this machine knows of the trails to one payload.
type trailBook struct {
	id      content.ID
	key     []byte
	told    []toldTrail // by neighbours, sorted by their id
	holders []trailHolder
	own     Trail // of this machine itself

	// What best found, while it stands: until something of the above changes, or bestTil unless it is zero.
	bestNow   Trail
	bestVia   PeerID
	bestTil   time.Time
	bestKnown bool

	ownAt time.Time
	said  Trail // what neighbours were told last

	soughtAt time.Time // when somebody beyond the neighbours was last known to seek the payload, and nobody to bring it
	askedAt  time.Time // when somebody was last known to seek it, or to fetch it over the WAN
	ledAt    time.Time // when a trail was last known
	lostAt   time.Time // when the session with the holder ended
	silences int       // how often nothing came of the trails there were
}

// toldTrail is what a neighbour told last.
type toldTrail struct {
	by   PeerID
	peer *peer // its session
	Trail
}

// trailHolder is one machine that trails lead to.
type trailHolder struct {
	id      PeerID
	seq     uint64
	freshAt time.Time // when seq grew
	firstAt time.Time
	lost    bool // this machine had a session with it, which ended: only a greater seq brings it back
	stalled bool // nothing came of it
}

// trailState is all books, sorted by payload.
type trailState struct {
	books    []*trailBook
	machines int // of the site; 0: unknown
}

// wide: the site has more machines than this one has sessions with.
func (c *Core) wide() bool { return c.trails.machines > c.neighbours+1 }

func (c *Core) siteSized(e SiteSized) {
	was := c.wide()
	c.trails.machines = max(e.Machines, 0)
	if c.wide() != was {
		c.driveAll()
		c.driveLink()
	}
}

func (c *Core) findBook(id content.ID) (int, bool) {
	return slices.BinarySearchFunc(c.trails.books, id, func(b *trailBook, id content.ID) int { return b.id.Compare(id) })
}

// openBook makes one, unless it is of an unknown payload and there are too many of those.
func (c *Core) openBook(id content.ID) *trailBook {
	i, found := c.findBook(id)
	if found {
		return c.trails.books[i]
	}
	if c.byMap[id] == nil {
		strange := 0
		for _, b := range c.trails.books {
			if c.byMap[b.id] == nil {
				strange++
			}
		}
		if strange >= maxTrailBooks {
			return nil
		}
	}
	sum := id.SHA256()
	b := &trailBook{id: id, key: sum[:]}
	c.trails.books = slices.Insert(c.trails.books, i, b)
	if l := c.byMap[id]; l != nil {
		l.book = b
	}
	return b
}

// trailHeard books what a neighbour tells. A trail that leads here is this machine's own voice.
func (c *Core) trailHeard(e TrailHeard) {
	p, t := c.peer(e.From), e.Trail
	if p == nil || !c.neighbour(p) || !t.valid(e.From) {
		return
	}
	if t.Kind == TrailNone || c.shunned(e.From) {
		if i, found := c.findBook(e.Payload); found {
			b := c.trails.books[i]
			b.forget(e.From)
			c.trailMoved(b, false)
		}
		return
	}
	b := c.openBook(e.Payload)
	if b == nil {
		return
	}
	if t.Holder == c.self.Peer {
		if t.Seq > b.own.Seq && t.Seq < 1<<62 { // from before a restart: the next word must be louder
			b.own.Seq = t.Seq
			b.bestKnown = false
		}
		b.forget(e.From)
		c.trailMoved(b, false)
		return
	}
	i, found := b.find(e.From)
	if found {
		b.told[i].Trail = t
	} else {
		b.told = slices.Insert(b.told, i, toldTrail{e.From, p, t})
	}
	b.bestKnown = false
	c.trailMoved(b, b.refresh(t, c.now))
}

// valid: only the holder itself is no hop away from itself.
func (t Trail) valid(from PeerID) bool {
	if t.Kind == TrailNone {
		return true
	}
	return t.Kind <= TrailSource && t.Holder != "" && t.Hops >= 0 && t.Hops <= MaxTrailHops && (t.Hops == 0) == (t.Holder == from)
}

func (b *trailBook) find(by PeerID) (int, bool) {
	return slices.BinarySearchFunc(b.told, by, func(t toldTrail, by PeerID) int { return cmp.Compare(t.by, by) })
}

func (b *trailBook) forget(by PeerID) {
	if i, found := b.find(by); found {
		b.told = slices.Delete(b.told, i, i+1)
		b.bestKnown = false
	}
}

// refresh notes that a holder stands by its word; false if that is no news.
func (b *trailBook) refresh(t Trail, now time.Time) bool {
	if h := b.holder(t.Holder); h != nil {
		if t.Seq <= h.seq {
			return false
		}
		h.seq, h.freshAt, h.lost = t.Seq, now, false
		return true
	}
	if len(b.holders) >= maxTrailHolders {
		oldest := 0
		for i, h := range b.holders {
			if h.freshAt.Before(b.holders[oldest].freshAt) {
				oldest = i
			}
		}
		b.holders = slices.Delete(b.holders, oldest, oldest+1)
	}
	b.holders = append(b.holders, trailHolder{id: t.Holder, seq: t.Seq, freshAt: now, firstAt: now})
	return true
}

func (b *trailBook) holder(id PeerID) *trailHolder {
	i := slices.IndexFunc(b.holders, func(h trailHolder) bool { return h.id == id })
	if i < 0 {
		return nil
	}
	return &b.holders[i]
}

// live says whether what a neighbour told still holds: the holder has stood by its word lately.
func (c *Core) live(b *trailBook, t toldTrail) bool {
	h := b.holder(t.Holder)
	if h == nil || h.lost || t.Hops >= MaxTrailHops {
		return false
	}
	return t.Hops == 0 || c.now.Before(h.freshAt.Add(c.cfg.TrailLife))
}

// best is the best trail from here, and by which neighbour it leads; "" if this machine is its end.
func (c *Core) best(b *trailBook) (t Trail, via PeerID) {
	if !b.bestKnown || !b.bestTil.IsZero() && !c.now.Before(b.bestTil) {
		c.findBest(b)
	}
	return b.bestNow, b.bestVia
}

func (c *Core) findBest(b *trailBook) {
	t, via := b.own, PeerID("")
	if t.Kind == TrailNone {
		t = Trail{}
	}
	b.bestTil = time.Time{}
	for _, o := range b.told {
		if !c.live(b, o) {
			continue
		}
		if til := b.holder(o.Holder).freshAt.Add(c.cfg.TrailLife); o.Hops > 0 && (b.bestTil.IsZero() || til.Before(b.bestTil)) {
			b.bestTil = til
		}
		n := o.Trail
		n.Hops++
		if b.better(n, t) {
			t, via = n, o.by
		}
	}
	if h := b.holder(t.Holder); h != nil && via != "" {
		t.Seq = h.seq
	}
	b.bestNow, b.bestVia, b.bestKnown = t, via, true
}

// better orders trails: by kind, by the holder's place in the payload's hash order, by the way.
func (b *trailBook) better(x, y Trail) bool {
	if x.Kind != y.Kind {
		return x.Kind > y.Kind
	}
	if x.Holder != y.Holder {
		return before(weight(b.key, 0, x.Holder), x.Holder, weight(b.key, 0, y.Holder), y.Holder)
	}
	return x.Hops < y.Hops
}

// trailMoved passes on what has changed for this machine: another trail to all neighbours; that the holder of
// the same one stands by its word to some. louder: its seq grew.
func (c *Core) trailMoved(b *trailBook, louder bool) {
	t, via := c.best(b)
	changed := t.Kind != b.said.Kind || t.Holder != b.said.Holder || t.Hops != b.said.Hops
	if t.Kind != TrailNone || b.said.Kind != TrailNone {
		b.ledAt = c.now
	}
	switch {
	case changed:
		c.toNeighbours(func(p *peer) { c.act(TellTrail{To: p.id, Payload: b.id, Trail: t}) })
		b.said = t
	case louder && t.Seq > b.said.Seq:
		b.said.Seq = t.Seq
		c.tellSome(b, via)
	}
	if via != "" && t.Kind >= TrailLease {
		b.soughtAt = time.Time{}
	}
	for _, o := range b.told {
		if o.Kind < TrailSource && c.live(b, o) {
			b.askedAt = c.now
		}
		if o.Kind == TrailSought && t.Kind < TrailLease && c.live(b, o) {
			b.soughtAt = c.now
		}
		if h := b.holder(o.Holder); h != nil && o.Hops > 0 && !h.lost {
			c.wakeBy(h.freshAt.Add(c.cfg.TrailLife))
		}
	}
	if t.Kind == TrailNone && b.own.Kind == TrailNone && len(b.told) == 0 {
		if i, found := c.findBook(b.id); found && !c.now.Before(b.lostAt.Add(c.cfg.TrailLife)) && !c.now.Before(b.ledAt.Add(c.cfg.TrailLife)) {
			c.trails.books = slices.Delete(c.trails.books, i, i+1)
			if l := c.byMap[b.id]; l != nil {
				l.book = nil
			}
		}
	}
	if l := c.byMap[b.id]; l != nil && changed {
		c.trailYield(l, t, via)
		c.drive(l)
		c.driveLink()
	}
}

// trailYield gives up a lease for a better claim from afar, or for somebody who has it all.
func (c *Core) trailYield(l *payload, t Trail, via PeerID) {
	if via == "" || !l.lease.held || t.Kind < TrailLease || !c.trailCounts(l) {
		return
	}
	c.release(l, "wan-lease-wait")
}

// tellSome passes on that the holder of a trail stands by its word: to a few, drawn by lot. Together they reach
// all, and who is missed once is reached the next time.
func (c *Core) tellSome(b *trailBook, via PeerID) {
	n, left := 0, trailFan
	c.toNeighbours(func(p *peer) { n++ })
	c.toNeighbours(func(p *peer) {
		if c.rng.IntN(n) < left && p.id != via {
			c.act(TellTrail{To: p.id, Payload: b.id, Trail: b.said})
			left--
		}
		n--
	})
}

// trailsUp tells a new neighbour the trails that there are.
func (c *Core) trailsUp(p *peer) {
	for _, b := range c.trails.books {
		if b.said.Kind != TrailNone {
			c.act(TellTrail{To: p.id, Payload: b.id, Trail: b.said})
		}
	}
}

// trailsDown forgets what a neighbour told. If it was the holder itself, what others still tell of it may be an
// echo: only a new word of it counts.
func (c *Core) trailsDown(p *peer) {
	for _, l := range c.payloads {
		if l.relayBy == p.id {
			l.relayBy = ""
		}
	}
	for _, b := range slices.Clone(c.trails.books) {
		i, found := b.find(p.id)
		if !found {
			continue
		}
		if h := b.holder(p.id); h != nil && b.told[i].Hops == 0 {
			h.lost, b.lostAt, b.bestKnown = true, c.now, false
			c.wakeBy(c.now.Add(2 * c.cfg.TrailEvery))
		}
		b.forget(p.id)
		c.trailMoved(b, false)
	}
}
