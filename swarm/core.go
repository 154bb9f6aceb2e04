package swarm

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
)

// Self is what does not change about this node while it runs.
type Self struct {
	Peer PeerID
	Site SiteID
	// Seed: this node publishes and serves everything it has to every member; it runs no tasks.
	Seed bool
	// Egress: this machine may use the WAN (it has a route to a seed and is allowed to).
	Egress bool
	// Cache: this machine stores what is approved for any machine of its site, see cache.go. Ignored on a seed.
	Cache bool
	// Machine holds the facts that plans are made from. Ignored on a seed.
	Machine policy.Machine
}

// Core is the state machine of one node. It is not safe for concurrent use: one goroutine owns it.
type Core struct {
	now     time.Time
	wake    time.Time // when a sweep is due; zero: none
	gainDue time.Time // when gained chunks are to be told; zero: none wait
	acts    []Action
	toldTo  []PeerID // those whom this step tells of them
	lastReq Req
	open    []*request // not yet ended, in the order they were made
	ended   []*request // by this step
	spare   []*request // ended before: used again

	peers      []*peer  // sorted by id
	tails      []uint32 // of their names, in the same order
	byID       map[PeerID]*peer
	neighbours int // of peers

	news     newsState
	link     linkState
	slots    slotState
	tasks    taskState
	reports  reportState
	retain   retainState
	rates    rateState
	budget   budgetState
	adjacent adjacentState
	far      farSources
	gates    gateState
	trails   trailState
	orchs    orchState
	cache    cacheState
	together togetherState

	payloads []*payload // sorted by id
	byMap    map[content.ID]*payload
	order    []*payload // as they go first; empty: all are equal
	askBytes int64      // outstanding at neighbours
	scratch  []wish
	quiets   []quiet

	cfg     Config // last, as much of it is seldom read: what every step needs lies together
	self    Self
	rng     *rand.Rand
	started time.Time
}

// request is one thing asked of the driver and not yet ended.
type request struct {
	id         Req
	kind       reqKind
	peer       PeerID
	holder     *peer // of a chunk request at a neighbour: its session, which the request does not outlive
	payload    *payload
	index      int
	bytes      int64
	at         time.Time
	mirror     int  // of a request to a web host, whose peer is empty
	hedged     bool // a second holder was asked because of this one's silence
	withdrawn  bool // CancelFetch was said
	descriptor content.ID
	task       *task
	failure    *Failed // of a look that tells whether the change did fail, and changed its kind
	changed    reqKind
	confirmed  bool // that look is over
}

// reqKind is what was asked of the driver.
type reqKind uint8

// The kinds of requests.
const (
	reqManifest reqKind = iota + 1
	reqDescriptor
	reqOpen
	reqChunk
	reqOrigin
	reqAdjacent
	reqAssemble
	reqDetect
	reqInstall
	reqRemove
)

// New makes a core that continues from the last saved snapshot (the zero Snapshot on a new machine).
// The driver then sends ManifestArrived for the manifest it has, if any.
func New(cfg Config, self Self, last Snapshot, rng *rand.Rand, now time.Time) (*Core, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("swarm configuration: %w", err)
	}
	if self.Peer == "" || self.Site == "" {
		return nil, fmt.Errorf("swarm core needs a peer id and a site, has %q and %q", self.Peer, self.Site)
	}
	c := &Core{
		cfg: cfg, self: self, rng: rng, now: now, started: now,
		byID:  map[PeerID]*peer{},
		byMap: map[content.ID]*payload{},
		gates: gateState{use: cfg.Metered}, far: cfg.Sources.far(),
	}
	c.startRates()
	c.gates.told = c.gateTold()
	c.restore(last)
	c.wakeBy(now.Add(cfg.JoinGrace))
	return c, nil
}

// Step tells the core one event and returns what to do, in order. The slice is valid until the next Step.
// Time never goes back: an earlier now counts as the latest seen.
func (c *Core) Step(now time.Time, ev Event) []Action {
	if now.After(c.now) {
		c.orchTick(now.Sub(c.now))
		c.now = now
	}
	c.acts, c.toldTo = c.acts[:0], c.toldTo[:0]
	c.spare, c.ended = append(c.spare, c.ended...), c.ended[:0]
	if _, news := ev.(ManifestArrived); !news { // which plans anew by itself: it may bring a hold
		c.refreshPlan()
	}
	c.dispatch(ev)
	c.habitsMoved() // once all of the event is done: it drives everything
	if !c.wake.IsZero() && !c.now.Before(c.wake) {
		c.wake = time.Time{}
		c.sweep()
	}
	if c.gainsDue() {
		c.sweepGained()
	}
	return c.acts
}

// Wake is when the next Tick is due; zero means no need.
func (c *Core) Wake() time.Time {
	if !c.gainDue.IsZero() && (c.wake.IsZero() || c.gainDue.Before(c.wake)) {
		return c.gainDue
	}
	return c.wake
}

func (c *Core) gainsDue() bool { return !c.gainDue.IsZero() && !c.now.Before(c.gainDue) }

func (c *Core) dispatch(ev Event) {
	switch e := ev.(type) {
	case Tick:
		if !c.gainsDue() {
			c.wake = c.now // sweep below
		}
	case PeerUp:
		c.peerUp(e)
	case PeerChanged:
		c.peerChanged(e)
	case PeerSynced:
		c.peerSynced(e)
	case PeerDown:
		c.peerDown(e)
	case LinkFailed:
		c.linkFailed()
	case EgressChanged:
		c.egressChanged(e)
	case Heard:
		c.heard(e)
	case ManifestArrived:
		c.manifestArrived(e)
	case DescriptorArrived:
		c.descriptorArrived(e)
	case HaveArrived:
		c.haveArrived(e)
	case GainedArrived:
		c.gainedArrived(e)
	case LostArrived:
		c.lostArrived(e)
	case LeaseHeard:
		c.leaseHeard(e)
	case PayloadOpened:
		c.payloadOpened(e)
	case ChunkStored:
		c.chunkStored(e)
	case ChunksCarried:
		c.chunksCarried(e)
	case Assembled:
		c.assembled(e)
	case UploadAsked:
		c.uploadAsked(e)
	case UploadEnded:
		c.uploadEnded(e)
	case Detected:
		c.detected(e)
	case Installed:
		c.installed(e)
	case InventoryChanged:
		c.inventoryChanged(e)
	case ReportQueued:
		c.reportQueued(e)
	case ReportAcked:
		c.reportAcked(e)
	case Failed:
		c.failed(e)
	default:
		c.dispatchLimits(ev)
	}
}

// dispatchLimits is for events about what may be moved and what not.
func (c *Core) dispatchLimits(ev Event) {
	switch e := ev.(type) {
	case RatesChanged:
		c.ratesChanged(e)
	case BudgetChanged:
		c.budgetChanged(e)
	case SpentHeard:
		c.spentHeard(e)
	case ConditionsChanged:
		c.conditionsChanged(e)
	case GatesChanged:
		c.gatesChanged(e)
	case PeerGated:
		c.peerGated(e)
	case TrailHeard:
		c.trailHeard(e)
	case RelayAsked:
		c.relayAsked(e)
	case CardHeard:
		c.cardHeard(e)
	case SiteSized:
		c.siteSized(e)
	case AdjacentAllowed:
		c.adjacentAllowed(e)
	case AdjacentFailed:
		c.adjacentFailed()
	case RoleHeard:
		c.roleHeard(e)
	default:
		c.dispatchStore(ev)
	}
}

// sweep looks at everything that time alone can change and sets the next wake.
func (c *Core) sweep() {
	c.sweepSilence()
	c.sweepShuns()
	c.sweepLinks()
	c.sweepNews()
	c.sweepTasks()
	c.sweepCache()
	c.driveOrchestrations()
	c.sweepTrails()
	c.driveAll()
	c.driveLink()
	c.sweepAdjacent()
	c.sweepBudget()
	c.fillSlots()
	c.sweepReports()
}

// failed sends the end of a request to the file of its concept.
func (c *Core) failed(e Failed) {
	r := c.end(e.Req)
	if r == nil {
		return
	}
	switch r.kind {
	case reqManifest:
		c.manifestFailed(r, e)
	case reqDescriptor:
		c.descriptorFailed(r, e)
	case reqOpen, reqAssemble:
		c.payloadFailed(r, e)
	case reqChunk, reqOrigin, reqAdjacent:
		c.chunkFailed(r, e)
	case reqDetect:
		c.detectFailed(r, e)
	case reqInstall, reqRemove:
		c.installFailed(r, e)
	}
}

func (c *Core) act(a Action) { c.acts = append(c.acts, a) }

// begin registers a request and returns its number.
func (c *Core) begin(r request) Req {
	c.lastReq++
	r.id, r.at = c.lastReq, c.now
	if n := len(c.spare); n > 0 {
		c.open = append(c.open, c.spare[n-1])
		c.spare = c.spare[:n-1]
	} else {
		c.open = append(c.open, new(request))
	}
	*c.open[len(c.open)-1] = r
	return r.id
}

// find is the place of an open request, or where it would be.
func (c *Core) find(id Req) (int, bool) {
	return slices.BinarySearchFunc(c.open, id, func(r *request, id Req) int { return cmp.Compare(r.id, id) })
}

// request is an open request; nil if it has ended.
func (c *Core) request(id Req) *request {
	if i, found := c.find(id); found {
		return c.open[i]
	}
	return nil
}

// end closes a request; nil if it is not open, which happens when its peer is already gone. What it returns is
// good until the next Step.
func (c *Core) end(id Req) *request {
	i, found := c.find(id)
	if !found {
		return nil
	}
	r := c.open[i]
	c.open = slices.Delete(c.open, i, i+1)
	c.ended = append(c.ended, r)
	return r
}

// holderOf is the session at which a request is outstanding; nil if it is over, or if there is none.
func (c *Core) holderOf(r *request) *peer {
	if r.holder == nil {
		return c.byID[r.peer]
	}
	if r.holder.gone {
		return nil
	}
	return r.holder
}

// requests lists the open requests that match, in the order they were made.
func (c *Core) requests(match func(*request) bool) []Req {
	var ids []Req
	for _, r := range c.open {
		if match(r) {
			ids = append(ids, r.id)
		}
	}
	return ids
}

// cancel withdraws the chunk requests at neighbours that match.
func (c *Core) cancel(match func(*request) bool) {
	for _, id := range c.requests(func(r *request) bool { return r.kind == reqChunk && match(r) }) {
		c.act(CancelFetch{Req: id})
	}
}

// wakeBy makes sure that a Tick comes no later than t. The wake never lies in the past, or a driver would spin.
func (c *Core) wakeBy(t time.Time) {
	if t.Before(c.now) {
		t = c.now.Add(time.Millisecond)
	}
	if c.wake.IsZero() || t.Before(c.wake) {
		c.wake = t
	}
}
