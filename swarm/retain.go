package swarm

import (
	"cmp"
	"reflect"
	"slices"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
)

// Keep says why a payload stays in the store, or why it is among the first to go.
type Keep string

// Why payloads are kept. The first four never go by themselves; the next goes only to make room for an
// update that this very machine has to install; the rest go whenever room is short, in this order from the end.
const (
	KeepPinned       Keep = "pinned"           // somebody said so
	KeepNeeded       Keep = "needed-here"      // this machine has not installed it yet
	KeepWanted       Keep = "wanted-in-site"   // a machine of the site is fetching it
	KeepAbsent       Keep = "wanted-by-absent" // a machine that is away lacks it, and the site would have too few copies
	KeepCopy         Keep = "site-copy"        // one of the copies that the site keeps for a machine that is set up anew; all that a cache stores for it
	KeepSpare        Keep = "spare"            // the site has enough copies without this one
	KeepSuperseded   Keep = "superseded"       // an approved update replaces it
	KeepDeclined     Keep = "declined"         // no approval brings it to any machine
	KeepUnreferenced Keep = "unreferenced"     // no approval names it: nobody may even be given it
)

// order is how early a payload goes: 0 first, 9 never.
func (k Keep) order() int {
	switch k {
	case KeepUnreferenced:
		return 0
	case KeepDeclined:
		return 1
	case KeepSuperseded:
		return 2
	case KeepSpare:
		return 3
	case KeepCopy:
		return 4
	}
	return 9
}

// Evictable says whether a payload goes by itself when room is short.
func (k Keep) Evictable() bool { return k.order() <= KeepSpare.order() }

type (
	// StoredItem is one payload in the store of this machine.
	StoredItem struct {
		Payload content.ID
		Bytes   int64 // on disk
		Pinned  bool
	}
	// StoreChecked tells all that the store holds and how many bytes have to go: what is beyond the
	// quota, or taken from the reserve of free disk.
	StoreChecked struct {
		Items     []StoredItem
		OverBytes int64
	}
	// PayloadDropped says that a payload is no longer in the store. It follows an Evict, or came from people.
	PayloadDropped struct{ Payload content.ID }
	// ChunksLost says that chunks in the store no longer match: the store has put them aside.
	ChunksLost struct {
		Payload content.ID
		Indexes []int
	}

	// Evict removes a payload from the store. PayloadDropped follows.
	Evict struct {
		Payload content.ID
		Keep    Keep // why it had to go first
	}
	// TellLost says that a payload is no longer served.
	TellLost struct {
		To      PeerID
		Payload content.ID
	}
)

func (StoreChecked) isEvent()   {}
func (PayloadDropped) isEvent() {}
func (ChunksLost) isEvent()     {}
func (Evict) isAction()         {}
func (TellLost) isAction()      {}

// dispatchStore is the part of dispatch for what the store says of itself.
func (c *Core) dispatchStore(ev Event) {
	switch e := ev.(type) {
	case StoreChecked:
		c.storeChecked(e)
	case PayloadDropped:
		c.payloadDropped(e)
	case ChunksLost:
		c.chunksLost(e)
	case ScanAsked:
		c.scanAsked()
	default:
		panic("swarm: unknown event " + reflect.TypeOf(ev).String()) // fmt would put every event on the heap
	}
}

// retainState is what this machine knows about its own store and about who may still need it.
type retainState struct {
	items  []StoredItem // as of the last StoreChecked, by ID
	at     time.Time
	over   int64
	views  []StoreView // as of then: cheap to copy a few times a second
	absent []SavedPeer // by peer

	askedOf  *policy.Manifest // what brought and replaced were made from
	brought  map[string]map[content.ID]bool
	replaced map[string]map[policy.UpdateID]bool // by group
}

// StoreView is one payload in the store and why it is there.
type StoreView struct {
	Payload content.ID
	Bytes   int64
	Keep    Keep
	Copies  int // whole copies in the site that this machine knows of, its own included
	Wanting int // machines of the site that are fetching it
	Absent  int // machines away that may lack it
}

// storeChecked evicts what is in excess. More than one step is rarely needed: the next check tells.
func (c *Core) storeChecked(e StoreChecked) {
	c.retain.items = slices.Clone(e.Items)
	slices.SortFunc(c.retain.items, func(a, b StoredItem) int { return a.Payload.Compare(b.Payload) })
	c.retain.at, c.retain.over = c.now, e.OverBytes
	c.expireAbsent()
	c.askAnew()
	if e.OverBytes > 0 {
		c.evict(e.OverBytes, KeepSpare)
	}
	c.retain.views = c.storeViews()
	c.countHeld()
}

// held sums up what a peer says that it has of approved payloads.
type held struct{ payloads, chunks, wants int }

// countHeld does so for all peers: now and then, since a view is made several times a second.
func (c *Core) countHeld() {
	for _, p := range c.peers {
		p.held = held{}
		for _, l := range c.payloads {
			r := p.have.of(l.id)
			if r == nil {
				continue
			}
			if r.bits.Count() > 0 {
				p.held.payloads++
				p.held.chunks += r.bits.Count()
			}
			if r.want && !r.bits.Full() {
				p.held.wants++
			}
		}
	}
}

// makeSpace evicts for a payload that did not fit. If this machine itself has to install it, even copies go
// that the site keeps for machines that may be set up anew: patching comes first, and what nobody lacks can
// be fetched again.
func (c *Core) makeSpace(l *payload, e Failed) {
	if e.Reason != policy.ReasonDiskShort {
		return
	}
	most := KeepSpare
	if l.selfWant {
		most = KeepCopy
	}
	short := e.Facts["needed_bytes"] - e.Facts["free_bytes"]
	if short <= 0 {
		short = max(l.bytes-l.haveBytes, l.chunkBytes)
	}
	c.askAnew()
	c.evict(short, most)
}

// evict lets payloads go until so many bytes are free, none that is kept better than most.
func (c *Core) evict(bytes int64, most Keep) {
	type candidate struct {
		StoredItem
		keep   Keep
		copies int
	}
	var list []candidate
	for _, it := range c.retain.items {
		keep := c.keep(it)
		if keep.order() > most.order() || (keep.order() >= KeepSpare.order() && c.now.Sub(c.started) < c.cfg.EvictSettle) {
			continue // who has just started has not yet heard what the others need
		}
		k := candidate{StoredItem: it, keep: keep}
		if l := c.byMap[it.Payload]; l != nil {
			_, k.copies = c.copies(l)
		}
		list = append(list, k)
	}
	slices.SortStableFunc(list, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.keep.order(), b.keep.order()), cmp.Compare(b.copies, a.copies), cmp.Compare(b.Bytes, a.Bytes))
	})
	for _, k := range list {
		if bytes <= 0 {
			return
		}
		bytes -= k.Bytes
		c.evictOne(k.StoredItem, k.keep)
	}
}

// evictOne lets one payload go. Neighbours hear of it before the bytes are gone.
func (c *Core) evictOne(it StoredItem, keep Keep) {
	if l := c.byMap[it.Payload]; l != nil {
		c.cacheLater(l)
		c.emptied(l)
		l.dropping = true
	}
	c.retain.items = slices.DeleteFunc(c.retain.items, func(o StoredItem) bool { return o.Payload == it.Payload })
	c.act(Note{Kind: NoteStore, Payload: it.Payload, Text: "evicted, " + string(keep)})
	c.act(Evict{Payload: it.Payload, Keep: keep})
}

// emptied: nothing of the payload is here any more.
func (c *Core) emptied(l *payload) {
	c.cancelFetches(l)
	l.have, l.haveBytes = content.NewBits(l.chunks), 0
	c.countSole(l)
	l.opened, l.ready, l.heal = false, false, false
	c.toListeners(func(p *peer) { c.act(TellLost{To: p.id, Payload: l.id}) })
}

// payloadDropped: the bytes are gone. If this machine needs them it begins anew.
func (c *Core) payloadDropped(e PayloadDropped) {
	c.retain.items = slices.DeleteFunc(c.retain.items, func(o StoredItem) bool { return o.Payload == e.Payload })
	l := c.inStore(e.Payload)
	if l == nil {
		return
	}
	if !l.dropping {
		c.cacheLater(l)
		c.emptied(l)
	}
	l.dropping = false
	if l.needed() {
		c.tellHave(l)
	}
	c.payloadChanged(l)
	for _, o := range c.payloads { // whatever waited for room looks again at once
		if o.reason == policy.ReasonDiskShort {
			o.blockedUntil = time.Time{}
		}
	}
	c.driveAll()
	c.driveLink()
}

// chunksLost: chunks here are damaged. Neighbours must not ask for them any more, and whole ones are
// fetched from neighbours; across the WAN only if this machine still has to install the update.
func (c *Core) chunksLost(e ChunksLost) {
	l := c.inStore(e.Payload)
	if l == nil || l.dropping {
		return
	}
	lost := 0
	for _, i := range e.Indexes {
		if l.have.Has(i) {
			l.have.Clear(i)
			lost++
		}
	}
	if lost == 0 {
		return
	}
	c.act(Note{Kind: NoteStore, Payload: l.id, Reason: policy.ReasonTrustBadChunk, Text: "damage on disk, fetched anew"})
	l.haveBytes = l.countBytes()
	c.countSole(l)
	l.ready, l.opened, l.heal = false, true, true
	c.tellHave(l)
	c.drive(l)
	c.driveLink()
	c.payloadChanged(l)
}

// keep says why a payload stays. It errs on the side of staying: who knows too little keeps too much.
func (c *Core) keep(it StoredItem) Keep {
	l := c.byMap[it.Payload]
	switch {
	case it.Pinned:
		return KeepPinned
	case c.self.Seed:
		return KeepNeeded // the catalogue is what all others come from
	case c.news.manifest == nil, l == nil && len(c.news.wantDescs) > 0:
		return KeepNeeded // not known yet what is approved
	case l == nil:
		return KeepUnreferenced
	case l.assembly || l.opening || l.selfWant || c.pendingHere(l):
		return KeepNeeded
	case c.wanting(l) > 0:
		return KeepWanted
	}
	rank, _ := c.copies(l)
	ahead := rank >= c.cfg.SiteCopies // enough others come before this machine
	switch {
	case !c.approved(l):
		return KeepDeclined
	case c.superseded(l):
		return KeepSuperseded
	case ahead && !l.forSite:
		return KeepSpare
	case c.absentNeed(l) > 0:
		return KeepAbsent
	case !l.have.Full() && !l.forSite:
		return KeepSpare
	}
	return KeepCopy
}

// pendingHere: a verdict of this machine still has a use for the payload, now or when a hold or a wait ends.
func (c *Core) pendingHere(l *payload) bool {
	return slices.ContainsFunc(c.tasks.tasks, func(k *task) bool {
		d := c.describe(k.verdict.Descriptor)
		if d == nil || d.Payload != l.id {
			return false
		}
		switch k.verdict.Verb {
		case policy.VerbInstall, policy.VerbStage, policy.VerbWait, policy.VerbHold:
			return true
		}
		return k == c.tasks.busy
	})
}

// wanting counts the machines of the site that are fetching a payload.
func (c *Core) wanting(l *payload) int {
	n := 0
	c.toNeighbours(func(p *peer) {
		if r := p.have.of(l.id); r != nil && r.want && !r.bits.Full() {
			n++
		}
	})
	return n
}

// copies counts the whole copies in the site, and those that come before this machine's own in the
// payload's hash order. All holders compute the same order without talking, so the first SiteCopies of
// them stay whoever else goes. A machine that does not see all holders finds itself further in front,
// and stays too.
func (c *Core) copies(l *payload) (rank, copies int) {
	mine := weight(l.key, keepSalt, c.self.Peer)
	c.toNeighbours(func(p *peer) {
		r := p.have.of(l.id)
		if r == nil || !r.bits.Full() || r.bits.Len() != l.chunks || c.shunned(p.id) {
			return
		}
		copies++
		if p.seed || before(weight(l.key, keepSalt, p.id), p.id, mine, c.self.Peer) {
			rank++
		}
	})
	if l.have.Full() {
		copies++
	}
	return rank, copies
}

// keepSalt sets the order of keepers apart from those of leases and of chunks.
const keepSalt = -1

// approved: some approval brings the payload to some machines.
func (c *Core) approved(l *payload) bool {
	return slices.ContainsFunc(c.news.manifest.Approvals, func(a policy.Approval) bool {
		d := c.describe(a.Descriptor)
		return d != nil && d.Payload == l.id && a.Brings(c.now)
	})
}

// superseded: wherever an approval brings the payload to, others replace it for good.
func (c *Core) superseded(l *payload) bool {
	c.sameAnswers()
	for _, a := range c.news.manifest.Approvals {
		d := c.describe(a.Descriptor)
		if d == nil || d.Payload != l.id || !a.Brings(c.now) {
			continue
		}
		set, known := c.retain.replaced[a.Group]
		if !known {
			set = c.news.manifest.Replaced([]string{a.Group}, c.describe, c.now)
			c.retain.replaced[a.Group] = set
		}
		if !set[a.Update] {
			return false
		}
	}
	return true
}

// storeViews say why everything is in the store, as of the last check.
func (c *Core) storeViews() []StoreView {
	out := make([]StoreView, 0, len(c.retain.items))
	for _, it := range c.retain.items {
		v := StoreView{Payload: it.Payload, Bytes: it.Bytes, Keep: c.keep(it)}
		if l := c.byMap[it.Payload]; l != nil {
			_, v.Copies = c.copies(l)
			v.Wanting, v.Absent = c.wanting(l), c.absentNeed(l)
		}
		out = append(out, v)
	}
	return out
}
