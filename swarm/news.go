package swarm

import (
	"slices"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
)

// newsState is what this machine knows and has heard of approvals.
type newsState struct {
	version   int64 // of the adopted head
	root      int64 // version of the root behind it
	expiresAt time.Time
	manifest  *policy.Manifest
	heard     int64 // newest verified head heard of
	heardRoot int64 // version of the root whose keys have signed it
	asking    Req
	retryAt   time.Time
	tried     map[PeerID]bool // for this heard version
	descs     map[content.ID]*policy.Descriptor
	wantDescs []*descWant // approved, not at hand; in manifest order
	wants     map[content.ID]*descWant
	asked     int        // of them: how many are asked for
	lackSince time.Time  // of the newest manifest
	wordless  passedList // peers that keep documents to themselves
}

// descWant is a descriptor that the manifest names and that is not at hand.
type descWant struct {
	id      content.ID
	asking  Req
	askedAt int // how many peers were asked
	retryAt time.Time
	since   time.Time // it has been missing, or the last uplink was passed over because of that
	come    bool      // and waits to be taken up, see together.go
}

// stale: the newest head has expired. Nothing new is taken up; what was begun goes on.
func (c *Core) stale() bool {
	return !c.news.expiresAt.IsZero() && c.now.After(c.news.expiresAt)
}

func (c *Core) heard(e Heard) {
	if p := c.byID[e.From]; p != nil && e.Version > p.headVersion {
		p.headVersion = e.Version
	}
	c.considerVersion(e.Version, e.Root)
	c.sweepNews()
}

// considerVersion notes a head that a peer or a rumour has shown. What is signed under newer keys counts
// whatever its version; what was signed under older ones does not count any more.
func (c *Core) considerVersion(v, root int64) {
	n := &c.news
	if root < n.heardRoot || root == n.heardRoot && v <= n.heard {
		return
	}
	n.heard, n.heardRoot = v, root
	n.tried = nil
	n.retryAt = time.Time{}
	n.lackSince = c.now
}

// sweepNews asks for what is missing: first the manifest of the newest head, then descriptors.
func (c *Core) sweepNews() {
	c.askManifest()
	c.askDescriptors()
	if c.news.manifest != nil && !c.stale() && !c.news.expiresAt.IsZero() {
		c.wakeBy(c.news.expiresAt.Add(time.Second))
	}
}

func (c *Core) askManifest() {
	n := &c.news
	if n.heard <= n.version || n.asking != 0 && !c.overdue(n.asking) {
		return
	}
	n.asking = 0
	n.lackSince = c.lacksSince(n.lackSince)
	if c.now.Before(n.retryAt) {
		c.wakeBy(n.retryAt)
		return
	}
	from := c.newsSource()
	if from == nil {
		// Everybody was asked, or nobody is there: begin anew a little later.
		n.tried = nil
		n.retryAt = c.askAgain(content.ID{})
		if len(c.peers) > 0 {
			c.wakeBy(n.retryAt)
		}
		return
	}
	if n.tried == nil {
		n.tried = map[PeerID]bool{}
	}
	n.tried[from.id] = true
	n.asking = c.begin(request{kind: reqManifest, peer: from.id})
	c.beImpatient(from)
	c.act(AskManifest{Req: n.asking, From: from.id, Version: n.heard})
}

// newsSource picks whom to ask for the newest manifest: a neighbour that has adopted it, else a
// seed, else any neighbour that was not asked yet. A seed across the WAN comes after neighbours,
// so that documents too cross the WAN once per site.
func (c *Core) newsSource() *peer {
	var best *peer
	bestRank := 0
	for _, p := range c.peers {
		if c.news.tried[p.id] || c.now.Before(p.busyUntil) || c.askedNow(p.id, content.ID{}) {
			continue
		}
		rank := 0
		switch {
		case c.neighbour(p) && c.wordlessNow(p.id):
			rank = 1
		case c.neighbour(p) && p.headVersion >= c.news.heard:
			rank = 3
		case p.seed:
			rank = 2
		case c.neighbour(p) && p.headVersion == 0:
			rank = 1
		}
		if rank > bestRank || (rank == bestRank && rank == 3 && c.rng.IntN(2) == 0) {
			best, bestRank = p, rank
		}
	}
	return best
}

func (c *Core) manifestFailed(r *request, e Failed) {
	if c.news.asking == r.id {
		c.news.asking = 0
		c.news.retryAt = c.now.Add(c.cfg.AskRetry)
	}
	if e.Class == Refuse {
		// Bytes that do not verify are the peer's doing: say so, and leave it alone for a while.
		c.noteRefused(r.peer, e.Reason, e.Detail)
		if p := c.byID[r.peer]; p != nil {
			p.busyUntil = c.now.Add(c.cfg.LinkRetryMax)
		}
	}
	c.sweepNews()
}

// manifestArrived adopts a manifest that the driver has verified and made durable, spreads the news
// and re-plans. An older epoch cannot arrive: policy.Trust refuses it.
func (c *Core) manifestArrived(e ManifestArrived) {
	n := &c.news
	if e.Req != 0 {
		c.documentFrom(c.end(e.Req))
		if n.asking == e.Req || e.Version > n.version { // who was asked beside is not waited for
			n.asking = 0
		}
	}
	if e.Version <= n.version && e.Root <= n.root && n.manifest != nil {
		c.sweepNews()
		return
	}
	if e.Root > n.root && n.manifest != nil {
		c.doubtAbsent()
		c.doubtHeads()
	}
	brought := c.takeUp() // by what was approved until now
	n.version, n.root = e.Version, max(n.root, e.Root)
	if n.root > n.heardRoot || e.Version > n.heard {
		n.heard, n.heardRoot = e.Version, n.root
	}
	was := n.manifest
	n.manifest = e.Manifest
	n.expiresAt = e.ExpiresAt
	if n.descs == nil {
		n.descs = map[content.ID]*policy.Descriptor{}
	}
	c.act(Note{Kind: NoteNews, Text: "manifest adopted"})
	c.act(Announce{Version: e.Version})
	c.listDescriptors()
	c.headRenewed()
	c.replan()
	c.driveBrought(brought)
	c.scanForNews(was)
	c.sweepNews()
	c.sweepReports()
}

// doubtHeads forgets which heads neighbours have: those that they showed under newer keys could not be read here,
// they are not shown again, and who passed for being behind would not be asked any more.
func (c *Core) doubtHeads() {
	for _, p := range c.peers {
		p.headVersion = 0
	}
}

// listDescriptors notes which documents the manifest names and this node lacks, and forgets those
// that no approval names any more.
func (c *Core) listDescriptors() {
	n := &c.news
	old := n.wants
	n.wantDescs, n.wants, n.asked = nil, map[content.ID]*descWant{}, 0
	named := map[content.ID]bool{}
	for _, a := range n.manifest.Approvals {
		if named[a.Descriptor] {
			continue
		}
		named[a.Descriptor] = true
		if n.descs[a.Descriptor] != nil {
			continue
		}
		w := old[a.Descriptor]
		if w == nil {
			w = &descWant{id: a.Descriptor}
		}
		if w.asking != 0 {
			n.asked++
		}
		n.wantDescs, n.wants[w.id] = append(n.wantDescs, w), w
	}
	listedLast(n.manifest, n.wantDescs)
	for id := range n.descs { // deletes only: order does not matter
		if !named[id] {
			delete(n.descs, id)
		}
	}
	c.dropUnnamedPayloads()
}

func (c *Core) askDescriptors() {
	open := 0
	for _, w := range c.news.wantDescs {
		if w.come {
			continue
		}
		if w.asking != 0 {
			if !c.overdue(w.asking) {
				open++
				continue
			}
			c.askEnded(w)
			w.askedAt = 1 // whose turn it is begins anew, without that peer
		}
		if open >= c.cfg.MaxDocAsks {
			return
		}
		if c.now.Before(w.retryAt) {
			c.wakeBy(w.retryAt)
			continue
		}
		var p *peer
		from := PeerID("")
		if w.askedAt > 0 { // the first ask looks at home only
			for p = c.docSource(w.askedAt - 1); p != nil && c.askedNow(p.id, w.id); p = c.docSource(w.askedAt - 1) {
				w.askedAt++
			}
			if p == nil {
				w.retryAt = c.askAgain(w.id)
				if len(c.peers) > 0 {
					c.wakeBy(w.retryAt)
				}
				w.askedAt = 1
				continue
			}
			from = p.id
		}
		w.askedAt++
		w.since = c.lacksSince(w.since)
		w.asking = c.begin(request{kind: reqDescriptor, peer: from, descriptor: w.id})
		c.news.asked++
		c.beImpatient(p)
		c.act(AskDescriptor{Req: w.asking, From: from, ID: w.id})
		open++
	}
}

// docSource is the nth choice for a document: the uplink, which has it first, then seeds, then the
// neighbours that adopted this manifest, then the others, those last that keep documents to themselves. The uplink itself begins
// with the seed. So a document crosses the WAN once, and nobody is asked who cannot have it yet. Nil when n is past the end.
func (c *Core) docSource(n int) *peer {
	if up := c.byID[c.uplink()]; up != nil {
		if n < uplinkAsks {
			return up
		}
		n -= uplinkAsks
	}
	for _, want := range []func(*peer) bool{
		func(p *peer) bool { return p.seed },
		func(p *peer) bool {
			return c.neighbour(p) && p.headVersion >= c.news.version && !c.wordlessNow(p.id)
		},
		func(p *peer) bool {
			return c.neighbour(p) && p.headVersion < c.news.version && !c.wordlessNow(p.id)
		},
		func(p *peer) bool { return c.neighbour(p) && c.wordlessNow(p.id) },
	} {
		for _, p := range c.peers {
			if !want(p) {
				continue
			}
			if n == 0 {
				return p
			}
			n--
		}
	}
	return nil
}

func (c *Core) descriptorFailed(r *request, e Failed) {
	if e.Class == Refuse {
		c.noteRefused(r.peer, e.Reason, e.Detail)
	}
	if w := c.news.wants[r.descriptor]; w != nil && w.asking == r.id {
		c.askEnded(w)
		if r.peer != "" {
			w.retryAt = c.now.Add(c.cfg.AskRetry)
		}
	}
	c.askDescriptors()
}

func (c *Core) descriptorArrived(e DescriptorArrived) {
	if e.Req != 0 {
		c.documentFrom(c.end(e.Req))
	}
	if w := c.news.wants[e.ID]; w != nil && !w.come {
		c.askEnded(w)
		w.come = true
		c.together.descs = append(c.together.descs, e)
		c.come()
	} else if w == nil {
		c.driveBrought([]content.ID{e.Payload.ID})
	}
	c.askDescriptors()
}

// askEnded: a descriptor that was asked for has come, or is to be asked for anew.
func (c *Core) askEnded(w *descWant) {
	if w.asking != 0 {
		w.asking = 0
		c.news.asked--
	}
}

// dropCome forgets that what has been taken up was missing.
func (n *newsState) dropCome() {
	n.wantDescs = slices.DeleteFunc(n.wantDescs, func(w *descWant) bool { return w.come })
}

// uplinkAsks is how often the uplink is asked before anybody else: it may be fetching the document
// itself just then.
const uplinkAsks = 6

// noteRefused says that input was turned away and whose it was.
func (c *Core) noteRefused(from PeerID, reason policy.Reason, detail string) {
	c.act(Note{Kind: NoteRefused, Peer: from, Reason: reason, Text: detail})
	c.reportSoon()
}
