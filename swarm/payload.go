package swarm

import (
	"slices"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
)

// payload is what this machine knows of one payload that the manifest names.
type payload struct {
	id         content.ID
	key        []byte // the id's hash, for rendezvous
	chunks     int
	chunkBytes int64
	bytes      int64 // as stored
	knownAt    time.Time
	since      int64 // head version that first named it here

	have      *content.Bits
	haveBytes int64
	opened    bool // the store has room for it
	ready     bool // published: whole and hashed again
	opening   bool
	assembly  bool // an Assemble is under way
	dropping  bool // an Evict is under way
	heal      bool // chunks were lost to damage: neighbours give them again

	selfWant   bool      // the plan of this machine needs it
	urgent     bool      // in the foreground, see urgency.go
	overBudget bool      // the approvers let it pass the site's WAN budget
	deadline   time.Time // the nearest one; zero: none
	place      int       // in Core.order
	help       bool      // this machine fetches it across the WAN for neighbours only
	forSite    bool      // this machine is a cache, and it is approved for a machine of the site
	cached     bool      // for that it is wanted here
	cacheAgain time.Time // a cache leaves it alone before, see cache.go
	relay      bool      // a neighbour asks this machine to fetch it, see relay.go
	relayBy    PeerID    // the neighbour that was asked to relay it

	stoodStill int64 // one more than haveBytes when its early copy was given up; 0: it was not

	blockedUntil time.Time // disk full or the like
	blocks       int       // in a row
	carried      bool      // a medium brought chunks while the store was asked what it has: its answer may be older
	reason       policy.Reason
	detail       string
	facts        map[string]int64

	each     []chunkState
	inFlight int        // chunks with fetching > 0
	marks    marks      // of the chunks that could be asked for
	book     *trailBook // nil: nobody has told of a trail
	sent     []uint8    // how often each chunk was sent to neighbours, to 255; nil: none was
	said     []*remote  // what each of Core.peers said of it; nil: nothing
	unnamed  bool       // no approval names it any more, and said is not kept

	base      uint64        // of this machine, see baseWeight
	idleSince time.Time     // nothing is under way although something is missing; zero: busy
	arrivals  int           // chunks that came here
	took      time.Duration // from ask to chunk, of late
	untold    []int         // gained, and not told yet
	told      []int         // told last: an action may still speak of it, so it is used again only after that
	untoldAt  time.Time

	lease lease
	web   []mirror // of the vendor, see web.go
	bytesBy
}

// chunkState is what is known of one chunk of a payload. All of it lies together, because it is looked at together,
// in an order that nobody can foresee.
type chunkState struct {
	// at is when a neighbour was first seen to hold it, or, below zero, when its last holder left (ns); 0: neither.
	at       int64
	avail    uint16 // how many neighbours hold it
	fetching uint8  // how many requests are out for it
}

// notLost: a chunk that lost its last holder just now counts as never seen.
func (k *chunkState) notLost() {
	if k.avail == 0 {
		k.at = min(k.at, 0)
	}
}

// bytesBy counts payload bytes by the tier they came from.
type bytesBy struct {
	Subnet, Site, Cache, Media, Neighbour, Seed, Origin, Wasted, Duplicate int64
}

// wanted: this machine is fetching, or would if it could.
func (l *payload) wanted() bool {
	return !l.ready && (l.selfWant || l.relay || l.cached || l.help || l.heal)
}

// needed: this machine is fetching for itself, for a neighbour that asked, or as a cache. Only that is told to neighbours: if helpers told theirs too,
// two of them would each fetch for the other, across the WAN, what nobody needs any more.
func (l *payload) needed() bool { return !l.ready && (l.selfWant || l.relay || l.cached) }

// addPayload makes a payload known, with what the store has of it. Two updates may share one.
func (c *Core) addPayload(i PayloadInfo) {
	if c.byMap[i.ID] != nil {
		return
	}
	sum := i.ID.SHA256()
	l := &payload{
		id: i.ID, key: sum[:], chunks: i.Chunks, chunkBytes: int64(i.ChunkBytes), bytes: i.StoredBytes,
		knownAt: c.now, since: c.news.version, base: baseWeight(sum[:], c.self.Peer),
		have: content.NewBits(i.Chunks), ready: i.Published,
		each: make([]chunkState, i.Chunks), web: make([]mirror, min(max(i.Mirrors, 0), policy.MaxOrigins)),
	}
	if i.Have != nil && i.Have.Len() == i.Chunks {
		l.have = i.Have.Clone()
		l.opened = !i.Published
	}
	l.markAll()
	l.haveBytes = l.countBytes()
	c.restoreBytes(l)
	l.said = make([]*remote, len(c.peers))
	if i, found := c.findBook(l.id); found {
		l.book = c.trails.books[i]
	}
	at, _ := slices.BinarySearchFunc(c.payloads, l.id, func(q *payload, id content.ID) int { return q.id.Compare(id) })
	c.payloads = slices.Insert(c.payloads, at, l)
	c.byMap[l.id] = l
	for _, p := range c.peers {
		p.keep(l, p.have.of(l.id))
	}
	c.toNeighbours(func(p *peer) {
		if r := p.have.of(l.id); r != nil {
			r.movedAt, r.base = c.now, baseWeight(l.key, p.id)
			c.countHolder(l, p, r)
		}
	})
	c.countSole(l)
	c.takeEarlyClaims(l)
	if l.have.Count() > 0 {
		c.tellHave(l)
	}
	c.setRelay(l)
}

// countBytes estimates the stored bytes held: exact but for the last chunk.
func (l *payload) countBytes() int64 {
	if l.have.Full() {
		return l.bytes
	}
	return min(int64(l.have.Count())*l.chunkBytes, l.bytes)
}

// dropUnnamedPayloads forgets payloads that no approval names any more. The store keeps the bytes.
func (c *Core) dropUnnamedPayloads() {
	named := map[content.ID]bool{}
	for _, a := range c.news.manifest.Approvals {
		if d := c.news.descs[a.Descriptor]; d != nil {
			named[d.Payload] = true
		}
	}
	c.payloads = slices.DeleteFunc(c.payloads, func(l *payload) bool {
		if named[l.id] {
			return false
		}
		c.cancelFetches(l)
		if l.lease.held {
			c.release(l, "")
		}
		l.selfWant, l.help, l.relay, l.cached = false, false, false, false
		delete(c.byMap, l.id)
		l.unnamed, l.said = true, nil
		return true
	})
}

// cancelFetches withdraws what is asked of neighbours for a payload.
func (c *Core) cancelFetches(l *payload) {
	c.cancel(func(r *request) bool { return r.payload == l })
}

// tellHave sends the full list to everybody who may take from here: on a new wish, or when much changed at once.
func (c *Core) tellHave(l *payload) {
	c.toListeners(func(p *peer) {
		c.act(TellHave{To: p.id, Payload: l.id, Want: l.needed(), Bits: l.have})
	})
}

// setWants says which payloads this machine's own plan needs.
func (c *Core) setWants(needs func(*payload) bool) {
	moved := false
	for _, l := range c.payloads {
		if want := needs(l); want != l.selfWant {
			c.setWant(l, want)
			moved = true
		}
	}
	if moved {
		c.driveLink()
	}
}

func (c *Core) setWant(l *payload, want bool) {
	was := l.needed()
	l.selfWant = want
	if l.needed() != was {
		c.tellHave(l)
		if !l.needed() {
			c.cancelFetches(l)
		} else if again := c.now.Add(c.cfg.SpaceRetry); l.blockedUntil.After(again) {
			l.blocks, l.blockedUntil = 0, again // a helper's pause is not for what it needs itself
		}
	}
	c.drive(l)
}

// drive moves a payload forward as far as it goes now: open, fetch, lease, assemble.
func (c *Core) drive(l *payload) {
	if l.unnamed {
		return // withdrawn: what was asked for may still arrive, and must not start anything new
	}
	c.driveTrail(l)
	c.driveLease(l)
	c.driveRelay(l)
	if !l.wanted() || l.opening || l.assembly || l.dropping {
		return
	}
	if c.now.Before(l.blockedUntil) {
		c.wakeBy(l.blockedUntil)
		return
	}
	if !l.opened {
		l.opening = true
		id := c.begin(request{kind: reqOpen, payload: l})
		c.act(OpenPayload{Req: id, Payload: l.id})
		return
	}
	if l.have.Full() {
		l.assembly = true
		id := c.begin(request{kind: reqAssemble, payload: l})
		c.act(Assemble{Req: id, Payload: l.id, Installs: c.installsNext(l)})
		return
	}
	if c.picks(l) {
		c.pick(l)
	}
}

// unfit: the store did not take this payload when it was last asked, and is asked again before anything is fetched.
func (l *payload) unfit() bool { return l.needed() && !l.opened && l.reason != "" }

// picks: chunks of a payload are fetched from neighbours now. A helper fetches across the WAN only.
func (c *Core) picks(l *payload) bool {
	return (l.needed() || l.heal) && l.opened && !l.opening && !l.assembly && !l.dropping && !c.now.Before(l.blockedUntil)
}

func (c *Core) payloadOpened(e PayloadOpened) {
	r := c.end(e.Req)
	if r == nil {
		return
	}
	l := r.payload
	if c.byMap[l.id] != l {
		return
	}
	if l.carried {
		l.carried, l.opening = false, false
		c.drive(l) // asks again
		return
	}
	l.opening, l.opened, l.blocks = false, true, 0
	l.reason, l.detail, l.facts = "", "", nil
	if e.Have != nil && e.Have.Len() == l.chunks {
		l.have = e.Have.Clone()
		l.haveBytes = l.countBytes()
		c.countSole(l)
	}
	c.tellHave(l)
	c.drive(l)
	c.payloadChanged(l)
}

func (c *Core) assembled(e Assembled) {
	r := c.end(e.Req)
	if r == nil {
		return
	}
	l := r.payload
	if c.byMap[l.id] != l {
		return
	}
	l.assembly, l.ready, l.help, l.heal = false, true, false, false
	l.reason, l.detail, l.facts = "", "", nil
	c.tellHave(l)
	c.driveLease(l)
	c.driveLink()
	c.payloadChanged(l)
}

// payloadFailed: the store could not open or assemble. A full disk is tried again soon; damage means
// that chunks on disk are not what they were, so the store is asked again what it has.
func (c *Core) payloadFailed(r *request, e Failed) {
	l := r.payload
	l.opening, l.assembly = false, false
	l.opened = false
	c.block(l, e)
	c.payloadChanged(l)
}

// payloadDamaged: what was published is not what it was any more. The store has found out which chunks are
// wrong and counts them as missing, so it is opened again; to install the same bytes over and over would
// fail for ever.
func (c *Core) payloadDamaged(l *payload) {
	if l == nil || !l.ready {
		return
	}
	l.ready, l.opened = false, false
	c.tellHave(l)
	c.drive(l)
}

// maxBlocks bounds how often the pause of a helper doubles: to about a minute.
const maxBlocks = 5

// block pauses fetching of a payload and says why. Who would only help has to claim the lease to find out whether there is
// room again, so it asks less and less often.
func (c *Core) block(l *payload, e Failed) {
	l.reason, l.detail, l.facts = e.Reason, e.Detail, e.Facts
	pause := c.cfg.SpaceRetry
	if !l.needed() {
		pause <<= l.blocks
		l.blocks = min(l.blocks+1, maxBlocks)
	}
	l.blockedUntil = c.now.Add(pause)
	c.wakeBy(l.blockedUntil)
	if l.lease.held {
		c.release(l, e.Reason)
	}
	c.makeSpace(l, e)
	c.cacheShort(l, e)
}
