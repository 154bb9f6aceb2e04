package swarm

import (
	"slices"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
)

// peer is one open session.
type peer struct {
	// What the looks at all neighbours read, for each chunk again, lies together: it comes to a processor at once.
	near       bool // a neighbour
	seed       bool
	sameSubnet bool
	air        bool  // wifi, and the order of sources minds it
	rank       uint8 // among the holders, see rankPeer
	gone       bool  // the session is over
	mute       bool  // silent so often that what it says it holds does not count for now
	closed     bool  // gate.serve is set
	egress     bool
	webEgress  bool      // as egress, but for the state of its way to the seeds
	cache      bool      // it says that it is a cache of the site
	older      bool      // its program knows nothing of caches
	wifi       bool      // it says that it is on Wi-Fi
	wifiSaid   bool      // so it said last, see believesLink
	wifiAt     time.Time // when wifi changed; zero: it did not
	claimed    bool      // it has claimed a lease since it came
	linkless   bool      // its program does not know who is
	asks       int       // chunks outstanding there
	at         int       // in Core.peers
	// pace is the time from one chunk of this peer to the next while more are asked for, smoothed; zero: none yet.
	pace      time.Duration
	busyUntil time.Time // refused or silent: not asked before
	id        PeerID

	have        haveLists // by payload
	haveChunks  int       // length of all its have-lists together
	site        SiteID
	adjacent    bool // its site gives chunks to this one, see adjacent.go
	takes       bool // its site takes chunks from this one
	letGo       bool // an adjacent peer that has nothing: the driver was told
	groups      []string
	synced      bool
	headVersion int64
	upAt        time.Time

	far        map[content.ID]*farHave // of an adjacent peer
	silences   int                     // in a row
	answeredAt time.Time               // its last chunk, or the first ask after a pause
	triedAt    time.Time               // the first ask since its last chunk; zero: it owes nothing
	silentAt   time.Time               // when a silence was counted last

	early  []content.ID // payloads that are not known here, whose lease it claims
	relays []content.ID // payloads that it asks this machine to relay

	servedAt uint64 // slotState.served when it got a slot last
	running  int    // uploads to it that hold a slot
	waiting  int    // and that wait for one

	bytesIn, bytesOut int64

	held held // for people, as of the last look at the store
	gate gate // what it does not do at present, by its own word
}

// remote is what a peer said of one payload.
type remote struct {
	bits content.Bits
	base uint64 // see baseWeight; zero: the payload is not known here, or the peer is shunned
	sole int    // chunks that this machine lacks and that it alone has
	want bool   // it is fetching this payload for itself
	// movedAt is when it last gained a chunk, movedAtArrival what payload.arrivals was then.
	movedAtArrival int
	movedAt        time.Time
}

// neighbour: a peer of this machine's own site. Nobody else serves or is asked, but for seeds and, where signed
// policy says so, neighbour sites (adjacent.go).
func (c *Core) neighbour(p *peer) bool { return p.near }

// wanSeed: a seed that can be reached only across the WAN.
func (c *Core) wanSeed(p *peer) bool { return p.seed && p.site != c.self.Site }

func (c *Core) peerUp(e PeerUp) {
	if c.byID[e.Peer] != nil {
		c.peerDown(PeerDown{Peer: e.Peer}) // the driver lost the order; the newer session counts
	}
	p := &peer{
		id: e.Peer, site: e.Site, near: e.Site == c.self.Site, seed: e.Seed, egress: e.Egress, webEgress: e.Egress, sameSubnet: e.SameSubnet,
		headVersion: e.HeadVersion, upAt: c.now, groups: e.Groups, older: e.Older, linkless: e.Linkless,
	}
	foreign := !p.near && !p.seed && !c.self.Seed
	p.adjacent, p.takes = foreign && e.Gives, foreign && e.Takes
	c.rankPeer(p)
	c.forgetAbsent(p.id)
	c.seat(p)
	c.byID[p.id] = p
	if c.neighbour(p) {
		c.neighbours++
	}
	p.running = c.slots.runningTo(p.id) // of a session before
	c.recallSilence(p)
	if c.neighbour(p) {
		c.tellAll(p)
	} else if p.takes {
		c.tellTaker(p)
	}
	if p.adjacent && c.shunned(p.id) {
		c.act(Unlink{Peer: p.id, Reason: policy.ReasonTrustBadChunk})
	}
	if c.wanSeed(p) {
		c.linkUp()
	}
	c.considerVersion(e.HeadVersion, e.Root)
	c.cacheMeets(p)
	c.membershipChanged()
}

// tellAll opens a session with a neighbour: all have-lists, claims, then Synced.
func (c *Core) tellAll(p *peer) {
	for _, l := range c.payloads {
		if l.have.Count() > 0 || l.wanted() || l.opened { // what is gained later counts only after a list
			c.act(TellHave{To: p.id, Payload: l.id, Want: l.needed(), Bits: l.have})
		}
		if l.lease.held {
			c.act(TellLease{To: p.id, Payload: l.id, Held: true})
		}
	}
	c.trailsUp(p)
	c.tellCards(p)
	c.act(TellSynced{To: p.id})
	c.tellLedger(p)
	if g := c.gates.told; g.against(p) != "" || g.wan != "" {
		c.act(TellGate{To: p.id, Serve: g.against(p), WAN: g.wan})
	}
	if c.self.Egress != c.egress() {
		c.act(TellEgress{To: p.id, Egress: c.egress()})
	}
}

func (c *Core) peerChanged(e PeerChanged) {
	if p := c.byID[e.Peer]; p != nil && p.egress != e.Egress && (p.near || p.seed) {
		p.egress = e.Egress
		c.membershipChanged()
	}
}

func (c *Core) peerSynced(e PeerSynced) {
	if p := c.byID[e.Peer]; p != nil {
		p.synced = true
		c.driveAll()
	}
}

// peerDown forgets the session. Chunks outstanding there are free to be asked elsewhere at once;
// their late Failed events find no request and are ignored.
func (c *Core) peerDown(e PeerDown) {
	p := c.byID[e.Peer]
	if p == nil {
		return
	}
	c.rememberPeer(p)
	delete(c.byID, e.Peer)
	c.keepSilence(p)
	c.unseat(p)
	if c.neighbour(p) {
		c.neighbours--
	}
	c.dropPendingOf(p)
	for _, l := range c.payloads {
		c.forgetHolder(l, p)
	}
	c.trailsDown(p)
	for _, id := range p.relays {
		if l := c.byMap[id]; l != nil {
			c.setRelay(l)
		}
	}
	c.slotsPeerDown(p.id)
	c.reportsPeerDown(p.id)
	if c.wanSeed(p) {
		c.linkLost()
	}
	c.membershipChanged()
}

// dropPendingOf ends the requests outstanding at a peer, in the order they were made.
func (c *Core) dropPendingOf(p *peer) {
	for _, id := range c.requests(func(r *request) bool { return r.peer == p.id }) {
		c.failed(Failed{Req: id, Class: Retry, Reason: "net-timeout", Detail: "the peer is gone"})
	}
}

// membershipChanged re-decides all that depends on who is there.
func (c *Core) membershipChanged() {
	c.driveLink()
	c.driveAll()
	c.sweepNews()
	c.sweepReports()
}

// driveAll moves all payloads, in the order in which they go first.
func (c *Core) driveAll() {
	all := c.payloads
	if len(c.order) == len(all) {
		all = slices.Clone(c.order) // driving one may change the order
	}
	for _, l := range all {
		c.drive(l)
	}
}

// toNeighbours does f for every neighbour, in order.
func (c *Core) toNeighbours(f func(*peer)) {
	for _, p := range c.peers {
		if c.neighbour(p) {
			f(p)
		}
	}
}
