package swarm

import (
	"slices"
	"time"

	"patchmesh/policy"
	"patchmesh/swarm/rate"
)

// lease is the WAN lease of one payload as this machine sees it.
type lease struct {
	held     bool
	heldAt   time.Time
	used     bool // something was fetched by it, and people were told
	asks     int
	askBytes int64 // outstanding at the seed
	cursor   int   // where the next look for a missing chunk begins

	needAt     time.Time // since when the site needs the WAN for this payload; zero: it does not
	progressAt time.Time // when a chunk last came into the site

	claims []claim // of neighbours
	past   []claim // of those whose session has ended, the newest last

	rate      float64 // bytes per second from the seed, smoothed
	rateAt    time.Time
	rateBytes int64
}

// claim is what a neighbour said last about the lease.
type claim struct {
	peer PeerID
	held bool // claims it, or gave it up
	// firstAt is when it claimed first since the last progress: claiming again and again without
	// fetching anything (a squatter) gains no more time.
	firstAt time.Time
	// stalled: it claimed for LeaseSilence and the site got nothing. Until something comes from it, its claims do
	// not count, or a squatter could take the lease back from whoever fetches, again and again.
	stalled bool
}

// siteWants: this machine or a neighbour is fetching the payload.
func (c *Core) siteWants(l *payload) bool {
	if l.needed() {
		return true
	}
	for _, p := range c.peers {
		if c.neighbour(p) && !p.seed {
			if r := p.of(l); r != nil && r.want {
				return true
			}
		}
	}
	return false
}

// nextForWAN is the first chunk at or after from (wrapping once) that nobody in the site has and
// nobody here is fetching; -1: none. Chunks lost with a neighbour that may come back are left out
// for a while.
func (c *Core) nextForWAN(l *payload, from int) int { return c.nextLacking(l, from, nil) }

// nextLacking is nextForWAN among the chunks that fit; nil: all do.
func (c *Core) nextLacking(l *payload, from int, fit func(i int) bool) int {
	for _, half := range [][2]int{{from, l.chunks}, {0, from}} {
		for i := nextMark(l.marks.none, half[0]); i >= 0 && i < half[1]; i = nextMark(l.marks.none, i+1) {
			if fit != nil && !fit(i) {
				continue
			}
			if at := l.each[i].at; at < 0 {
				if back := time.Unix(0, -at).Add(c.cfg.OrphanWait); c.now.Before(back) {
					c.wakeBy(back)
					continue
				}
			}
			return i
		}
	}
	return -1
}

// settled: this machine has heard what its neighbours hold, so that its wish for the WAN is informed.
func (c *Core) settled(l *payload) bool {
	due := l.knownAt.Add(c.cfg.LeaseSettle)
	settle := c.cfg.LeaseSettle
	if c.now.Before(c.started.Add(c.cfg.JoinGrace)) {
		settle = max(settle, c.cfg.StartSettle)
	}
	alone := true
	for _, p := range c.peers {
		if !c.neighbour(p) {
			continue
		}
		alone = false
		if t := p.upAt.Add(settle); t.After(due) {
			due = t
		}
		if t := p.upAt.Add(c.cfg.HedgeAfter); !p.synced && t.After(due) {
			due = t
		}
	}
	if t := c.started.Add(c.cfg.JoinGrace); alone && t.After(due) {
		due = t
	}
	if c.now.Before(due) {
		c.wakeBy(due)
		return false
	}
	return true
}

// leaseDue says whether it is this machine's turn to hold the WAN lease of a payload: the site needs
// chunks that nobody in it has, and this machine is the first of the live egress peers in the
// payload's hash order, a cache before others. After a LeaseSilence without a new chunk in the site one more in
// line may go, after two of them three more, then seven: who claims and stalls delays the site, and no longer.
func (c *Core) leaseDue(l *payload) bool {
	if !c.wanEgress(l) || c.localSeed() != nil || c.now.Before(l.blockedUntil) || l.unfit() || !c.siteWants(l) && !c.soughtAfar(l) || !c.wanAllows(l) && !c.adjacentMay(l) || c.wanGate() != "" || !l.selfWant && c.gates.help != "" {
		l.lease.needAt = time.Time{}
		return false
	}
	if c.nextForWAN(l, 0) < 0 {
		if l.lease.asks == 0 {
			l.lease.needAt = time.Time{}
		}
		return false
	}
	if l.lease.needAt.IsZero() {
		l.lease.needAt = c.now
	}
	quietSince := l.lease.needAt
	if l.lease.progressAt.After(quietSince) {
		quietSince = l.lease.progressAt
	}
	for _, o := range l.lease.claims {
		if c.stands(o) && o.firstAt.After(quietSince) {
			quietSince = o.firstAt
		}
	}
	if at := c.trailSince(l); at.After(quietSince) {
		quietSince = at
	}
	silences := int(c.now.Sub(quietSince) / c.cfg.LeaseSilence)
	c.wakeBy(quietSince.Add(time.Duration(silences+1) * c.cfg.LeaseSilence))
	if silences > 0 {
		l.lease.stallClaims()
		c.stallTrails(l)
		c.passOver(l, quietSince, silences)
	}
	skips := 1<<min(silences, 16) - 1
	// Neighbours that come and go without end and never say what they hold must not keep the site from
	// the WAN: after a silence nobody waits for them any more.
	if !c.settled(l) && skips == 0 {
		return false
	}
	if skips == 0 && (c.claimedByOther(l) || c.claimedAfar(l)) {
		return false
	}
	return c.inLine(l) <= skips
}

// claimedByOther: a neighbour says that it holds the lease.
func (c *Core) claimedByOther(l *payload) bool {
	return slices.ContainsFunc(l.lease.claims, c.stands)
}

// stands: a claim is one to wait for.
func (c *Core) stands(k claim) bool {
	p := c.byID[k.peer]
	return k.held && !k.stalled && !c.shunned(k.peer) && (p == nil || !p.apart())
}

// stallClaims notes that nothing came of the claims there are.
func (k *lease) stallClaims() {
	for i := range k.claims {
		k.claims[i].stalled = k.claims[i].stalled || k.claims[i].held
	}
}

// hasStalled says whether nothing came of a peer's claim.
func (k *lease) hasStalled(id PeerID) bool {
	return slices.ContainsFunc(k.claims, func(x claim) bool { return x.peer == id && x.stalled })
}

// inLine is this machine's place (from 0) among the live egress peers for a payload. What a shunned one fetches
// across the WAN would help nobody, so it is not waited for.
func (c *Core) inLine(l *payload) int {
	mine, order := weight(l.key, 0, c.self.Peer), c.line()
	n := 0
	c.toNeighbours(func(p *peer) {
		if (p.egress || p.webEgress && !c.egress()) && !p.seed && c.sharesLine(p) && !p.mute && !c.shunned(p.id) && !l.lease.hasStalled(p.id) &&
			order.goesBefore(l, p, mine) {
			n++
		}
	})
	return n
}

// sharesLine: a neighbour takes its turn at the WAN, as far as this machine is concerned. Who asks no seed is nobody to wait for,
// but among those that all ask none the order is the ordinary one: else each of them would claim at once, and fetch what
// the others fetch. Its word alone does not tell it from one that asks nobody beyond the site, so it has to have claimed
// once.
func (c *Core) sharesLine(p *peer) bool {
	return !p.apart() && (p.gate.wan == "" || p.gate.wan == policy.ReasonNetPeersOnly && p.claimed && c.sourceGate() != "" && c.leavesSite())
}

// apart: a neighbour is at the far end of a tunnel, or at another site, and gives to those alone that are with it. What it
// fetches over the WAN does not come here, however well it gets on, so nobody here waits for it.
func (p *peer) apart() bool {
	return p.gate.serve == policy.ReasonNetVPN || p.gate.serve == policy.ReasonNetSiteUnknown
}

// driveLease claims, uses or gives up the lease of a payload.
func (c *Core) driveLease(l *payload) {
	k := &l.lease
	if !k.held {
		if !c.leaseDue(l) {
			return
		}
		if (c.linkedSeed() == nil || !c.far.seed) && !c.webUsable(l) && !c.adjacentHas(l) {
			if !c.link.wanted {
				c.driveLink()
			}
			return
		}
		if c.claim(l); !k.held {
			return
		}
	}
	if !c.wanEgress(l) || !c.siteWants(l) && !c.soughtAfar(l) || (k.asks == 0 && c.nextForWAN(l, k.cursor) < 0 && !c.orphans(l)) {
		c.release(l, "")
		return
	}
	if k.asks == 0 && c.runDry(l) {
		c.release(l, c.sourceGate())
		return
	}
	if why := c.wanStops(l); k.asks == 0 && why != "" && (c.wanGate() != "" || !c.adjacentMay(l)) {
		c.release(l, why)
		c.payloadChanged(l)
		return
	}
	if !l.selfWant && !l.ready {
		l.help = true
	}
	c.pickOrigin(l)
}

// orphans: chunks are still missing in the site, left alone for a while.
func (c *Core) orphans(l *payload) bool {
	for i := l.have.NextMissing(0); i >= 0; i = l.have.NextMissing(i + 1) {
		if l.each[i].avail == 0 && l.each[i].at < 0 {
			return true
		}
	}
	return false
}

func (c *Core) claim(l *payload) {
	l.lease.held, l.lease.heldAt, l.lease.used = true, c.now, false
	l.lease.rateAt, l.lease.rateBytes = c.now, 0
	l.lease.cursor = c.beginAt(l)
	c.driveAdjacent(c.adjacent.allowed)
	c.tellLease(l)
	c.driveTrail(l)
	if !c.wide() {
		c.useLease(l)
	}
}

// beginAt is the first chunk to fetch by a lease. Who is first in line to all, and knows of no claim before, begins at the
// front, since whoever copies the payload while it comes (CopyEarly) can begin only there. Others begin at different
// places, so that two which both believe to hold the lease for a moment fetch different chunks.
func (c *Core) beginAt(l *payload) int {
	k := &l.lease
	if c.inLine(l) == 0 && !c.wide() && len(k.claims)+len(k.past) == 0 && !c.ownLine() {
		return 0
	}
	return int(weight(l.key, 1, c.self.Peer) % uint64(l.chunks))
}

// ownLine: others may see another line for the WAN lease than this machine. It leaves somebody out for what it knows of
// them, or neighbours leave it out since it asks no seed.
func (c *Core) ownLine() bool {
	return c.sourceGate() != "" || slices.ContainsFunc(c.peers, func(p *peer) bool {
		return c.neighbour(p) && !p.seed && p.egress && (p.mute || c.shunned(p.id) || c.cache.passed.has(p.id, c.now))
	})
}

// useLease begins to fetch by a lease.
func (c *Core) useLease(l *payload) {
	l.lease.used = true
	c.act(Note{Kind: NoteLease, Payload: l.id, Text: "claimed"})
}

func (c *Core) release(l *payload, reason policy.Reason) {
	if !l.lease.held {
		return
	}
	l.lease.held, l.help = false, false
	c.tellLease(l)
	c.driveTrail(l)
	if l.lease.used {
		c.act(Note{Kind: NoteLease, Payload: l.id, Reason: reason, Text: "given up"})
	}
}

func (c *Core) releaseAll(reason policy.Reason) {
	for _, l := range c.payloads {
		if !c.wanEgress(l) {
			c.release(l, reason)
		}
	}
}

func (c *Core) tellLease(l *payload) {
	c.toNeighbours(func(p *peer) { c.act(TellLease{To: p.id, Payload: l.id, Held: l.lease.held}) })
}

// leaseHeard books a neighbour's claim. If both hold it, the one later in line gives it up.
func (c *Core) leaseHeard(e LeaseHeard) {
	p, l := c.byID[e.From], c.byMap[e.Payload]
	if p == nil || !c.neighbour(p) {
		return
	}
	p.claimed = p.claimed || e.Held
	if l == nil {
		p.claimEarly(e.Payload, e.Held)
		return
	}
	k := claim{peer: p.id, held: e.Held, firstAt: c.now}
	for _, old := range slices.Concat(l.lease.past, l.lease.claims) {
		if old.peer == p.id {
			k.stalled = old.stalled
			if !l.lease.progressAt.After(old.firstAt) {
				k.firstAt = old.firstAt
			}
		}
	}
	l.lease.forget(p.id)
	l.lease.claims = append(l.lease.claims, k)
	if e.Held && l.lease.held && !k.stalled && !p.apart() && c.line().goesBefore(l, p, weight(l.key, 0, c.self.Peer)) {
		c.release(l, "wan-lease-wait")
	}
	c.drive(l)
	c.driveLink()
}

// forget drops what a peer said about the lease.
func (k *lease) forget(id PeerID) {
	theirs := func(x claim) bool { return x.peer == id }
	k.claims, k.past = slices.DeleteFunc(k.claims, theirs), slices.DeleteFunc(k.past, theirs)
}

// maxPastClaims bounds what is remembered of those that are gone.
const maxPastClaims = 32

// sessionEnded: the claim counts no more, but is remembered: who claims and stalls gains nothing by beginning a new session.
func (k *lease) sessionEnded(id PeerID) {
	i := slices.IndexFunc(k.claims, func(x claim) bool { return x.peer == id })
	if i < 0 {
		return
	}
	gone := k.claims[i]
	k.forget(id)
	if len(k.past) >= maxPastClaims {
		k.past = slices.Delete(k.past, 0, 1)
	}
	k.past = append(k.past, gone)
}

// claimProgress: the site got something new from a neighbour that claims the lease.
func (c *Core) claimProgress(l *payload, from PeerID) {
	if p := c.byID[from]; p != nil && p.apart() {
		return
	}
	for i, k := range l.lease.claims {
		if k.peer == from && k.held {
			l.lease.progressAt = c.now
			l.lease.claims[i].stalled = false
		}
	}
}

// pickOrigin keeps a bounded amount outstanding at the seed.
func (c *Core) pickOrigin(l *payload) {
	if !l.opened || l.opening || c.now.Before(l.blockedUntil) {
		return
	}
	from, mirror, ok := c.wanSource(l)
	if !ok && !c.adjacentHas(l) {
		return
	}
	k := &l.lease
	if due := k.heldAt.Add(c.cfg.ClaimSettle); !k.used && c.now.Before(due) {
		c.wakeBy(due)
		return
	}
	if !k.used {
		c.useLease(l)
	}
	nextDoor := c.nextDoorFirst(from, ok)
	if nextDoor {
		c.pickAdjacent(l)
	}
	if !ok || nextDoor && c.awaitsAdjacent() {
		return
	}
	var fit func(int) bool
	if nextDoor {
		fit = c.notNextDoor(l)
	}
	window := min(max(int64(k.rate*c.cfg.WANSpan.Seconds()), c.cfg.WANMinBytes), c.cfg.WANMaxBytes)
	for c.wanStops(l) == "" && c.mayAsk(rate.WAN, l) && (k.asks == 0 || k.askBytes+l.chunkBytes <= window && !c.waitsOnWAN(l)) {
		i := c.nextLacking(l, k.cursor, fit)
		if i < 0 {
			return
		}
		k.cursor = i
		id := c.begin(request{kind: reqOrigin, peer: from, mirror: mirror, payload: l, index: i, bytes: l.chunkBytes})
		k.asks++
		k.askBytes += l.chunkBytes
		c.spend(rate.WAN, l)
		c.startFetching(l, i)
		c.act(FetchOrigin{Req: id, From: from, Payload: l.id, Index: i, Mirror: mirror, Ahead: l.bytes - l.haveBytes})
	}
}

// originArrived measures the WAN rate over spans of at least 200 ms.
func (c *Core) originArrived(l *payload, bytes int64) {
	k := &l.lease
	k.progressAt = c.now
	k.rateBytes += bytes
	if dt := c.now.Sub(k.rateAt); dt >= 200*time.Millisecond {
		r := float64(k.rateBytes) / dt.Seconds()
		if k.rate > 0 {
			r = 0.7*k.rate + 0.3*r
		}
		k.rate, k.rateAt, k.rateBytes = r, c.now, 0
	}
}

// originFailed: a seed that fell silent is left; the driver makes a new session or says LinkFailed,
// and then the next in line takes over. What ended with a wrong chunk that was under way beside it says nothing of its session.
func (c *Core) originFailed(r *request, e Failed) {
	if e.Class == Retry && c.byID[r.peer] != nil && e.Reason != policy.ReasonCancelledUser && e.Reason != policy.ReasonTrustBadChunk {
		c.act(Unlink{Peer: r.peer, Reason: e.Reason})
	}
}
