package swarm

import (
	"cmp"
	"container/heap"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
)

// world drives cores in virtual time over links with a rate. It is the smallest driver that keeps
// the promises of node/do.go: enough to see that cores together do what one script cannot show.
type world struct {
	t     *testing.T
	now   time.Time
	seq   int
	queue worldQueue
	nodes map[PeerID]*worldNode
	order []PeerID

	manifest *policy.Manifest
	descs    map[content.ID]*policy.Descriptor
	infos    map[content.ID]PayloadInfo
	version  int64
	broken   map[policy.UpdateID]policy.Reason // installs that fail

	wanRate  float64 // bytes per second, shared by the site
	lanRate  float64 // bytes per second up, per machine
	wanFree  time.Time
	wanBytes int64
	wanDown  bool
	sparse   bool
	boast    bool   // liars say that they have everything
	links    *links // nil: each machine sends one chunk after the other, and downlinks have no end
	shape    worldShape
}

// worldShape says what a world looks like.
type worldShape struct {
	machines, withoutEgress int
	sparse                  bool   // a dozen sessions each instead of all to all
	seedSite                SiteID // hq, unless it is in the branch
	lanBits, wanBits        float64
	chunkBytes              int
	seed                    uint64
	tune                    func(*Config)
}

type worldNode struct {
	id        PeerID
	site      SiteID
	seed      bool
	egress    bool
	core      *Core
	alive     bool
	store     map[content.ID]*content.Bits
	ready     map[content.ID]bool
	installed map[policy.UpdateID]time.Time
	upFree    time.Time
	refs      map[uint64]worldAsk
	saved     Snapshot
	sessions  map[PeerID]bool
	lies      bool   // sends wrong chunks
	hostile   string // says that it has everything, and: silent, drips, absent, busy; or claims the WAN lease: squats
	banned    bool   // the seed admits it no more
	mute      bool   // passes no news on and answers no question for documents
	asks      int    // for documents, to others
	notes     []worldNote
	fetched   map[string]int // chunk to how often it arrived here
	reports   map[PeerID]uint64

	sentChunks map[chunkKey]int
}

type worldNote struct {
	Note
	at time.Time
}

type worldAsk struct {
	from PeerID
	req  Req
}

type worldEvent struct {
	at  time.Time
	seq int
	do  func()
}

type worldQueue []worldEvent

func (q worldQueue) Len() int { return len(q) }
func (q worldQueue) Less(i, j int) bool {
	if !q[i].at.Equal(q[j].at) {
		return q[i].at.Before(q[j].at)
	}
	return q[i].seq < q[j].seq
}
func (q worldQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *worldQueue) Push(x any)   { *q = append(*q, x.(worldEvent)) }
func (q *worldQueue) Pop() any {
	old := *q
	x := old[len(old)-1]
	*q = old[:len(old)-1]
	return x
}

const (
	worldChunk = 256 << 10
	lanDelay   = 500 * time.Microsecond
	wanDelay   = 10 * time.Millisecond
)

func newWorld(t *testing.T, machines, withoutEgress int) *world {
	t.Helper()
	return newWorldOf(t, machines, withoutEgress, false)
}

// newWorldOf makes a world in which machines are linked all to all, or sparse, a dozen each.
func newWorldOf(t *testing.T, machines, withoutEgress int, sparse bool) *world {
	t.Helper()
	return newWorldLike(t, worldShape{machines: machines, withoutEgress: withoutEgress, sparse: sparse})
}

func newWorldLike(t *testing.T, s worldShape) *world {
	t.Helper()
	if s.seedSite == "" {
		s.seedSite = "hq"
	}
	if s.chunkBytes == 0 {
		s.chunkBytes = worldChunk
	}
	w := &world{
		t: t, shape: s, sparse: s.sparse, now: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), nodes: map[PeerID]*worldNode{},
		descs: map[content.ID]*policy.Descriptor{}, infos: map[content.ID]PayloadInfo{},
		manifest: &policy.Manifest{Org: "o", Epoch: 1}, version: 1, wanRate: 50e6 / 8, lanRate: 200e6 / 8,
	}
	if s.lanBits > 0 {
		newLinks(w, s.lanBits, s.wanBits)
	}
	w.addNode("seed", s.seedSite, true, false)
	for i := range s.machines {
		w.addNode(PeerID(fmt.Sprintf("m%02d", i)), "branch", false, i >= s.withoutEgress)
	}
	for _, id := range w.order {
		w.start(w.nodes[id])
	}
	w.run(6 * time.Second)
	return w
}

func (w *world) addNode(id PeerID, site SiteID, seed, egress bool) {
	w.nodes[id] = &worldNode{
		id: id, site: site, seed: seed, egress: egress, store: map[content.ID]*content.Bits{}, ready: map[content.ID]bool{},
		installed: map[policy.UpdateID]time.Time{}, refs: map[uint64]worldAsk{}, sessions: map[PeerID]bool{}, fetched: map[string]int{},
		reports: map[PeerID]uint64{},
	}
	w.order = append(w.order, id)
}

// start boots a node and opens its sessions with the neighbours that are up.
func (w *world) start(n *worldNode) {
	cfg := DefaultConfig()
	if w.shape.tune != nil {
		w.shape.tune(&cfg)
	}
	core, err := New(cfg, Self{
		Peer: n.id, Site: n.site, Seed: n.seed, Egress: n.egress,
		Machine: policy.Machine{ID: string(n.id), Site: string(n.site), Installers: []string{"file"}},
	}, n.saved, rand.New(rand.NewPCG(7+w.shape.seed, uint64(len(n.id)+int(n.id[len(n.id)-1])))), w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	n.core, n.alive = core, true
	w.step(n, ManifestArrived{Version: w.version, Manifest: w.manifest, ExpiresAt: w.now.Add(24 * time.Hour)})
	w.step(n, ConditionsChanged{}) // drivers look at their machine at once
	for _, id := range w.order {
		if o := w.nodes[id]; o != n && o.alive && o.site == n.site && w.linked(n, o) && !n.sessions[id] { // one session each: a second would drop what the first has told
			w.connect(n, o)
		}
	}
}

func (w *world) linked(a, b *worldNode) bool {
	if !w.sparse {
		return true
	}
	i, j := slices.Index(w.order, a.id), slices.Index(w.order, b.id)
	d := max(i-j, j-i)
	return min(d, len(w.order)-d) <= 4 || (i+j)%53 == 0
}

func (w *world) connect(a, b *worldNode) {
	a.sessions[b.id], b.sessions[a.id] = true, true
	up := func(n, o *worldNode) {
		w.after(w.halfTrip(), func() {
			if n.alive && n.sessions[o.id] {
				w.step(n, PeerUp{Peer: o.id, Site: o.site, Seed: o.seed, Egress: o.egress, HeadVersion: o.core.news.version})
			}
		})
	}
	up(a, b)
	up(b, a)
}

// kill ends a node: sessions break at once, what it stored stays.
func (w *world) kill(id PeerID) {
	n := w.nodes[id]
	n.alive = false
	for _, o := range w.order {
		if w.nodes[o].sessions[id] {
			w.disconnect(n, w.nodes[o])
		}
	}
}

func (w *world) disconnect(a, b *worldNode) {
	delete(a.sessions, b.id)
	delete(b.sessions, a.id)
	if w.links != nil {
		w.links.drop(a, b)
	}
	for _, p := range [][2]*worldNode{{a, b}, {b, a}} {
		n, o := p[0], p[1]
		w.after(0, func() {
			if n.alive {
				w.step(n, PeerDown{Peer: o.id})
			}
		})
	}
}

func (w *world) after(d time.Duration, f func()) {
	w.seq++
	heap.Push(&w.queue, worldEvent{w.now.Add(d), w.seq, f})
}

func (w *world) at(t time.Time, f func()) { w.after(max(t.Sub(w.now), 0), f) }

func (w *world) run(d time.Duration) { w.until(d, func() bool { return false }) }

// until runs until done or the time is over, and says how long it took.
func (w *world) until(d time.Duration, done func() bool) time.Duration {
	begin, end := w.now, w.now.Add(d)
	for len(w.queue) > 0 && !w.queue[0].at.After(end) && !done() {
		e := heap.Pop(&w.queue).(worldEvent)
		w.now = e.at
		e.do()
	}
	took := w.now.Sub(begin)
	if !done() {
		w.now = end
	}
	return took
}

func (w *world) step(n *worldNode, ev Event) {
	acts := slices.Clone(n.core.Step(w.now, ev))
	for _, a := range acts {
		w.do(n, a)
	}
	if at := n.core.Wake(); !at.IsZero() {
		core := n.core
		w.at(at, func() {
			if n.alive && n.core == core && !core.Wake().IsZero() && !w.now.Before(core.Wake()) {
				w.step(n, Tick{})
			}
		})
	}
}

// later sends an event to a node after a delay, unless it dies or restarts meanwhile.
func (w *world) later(n *worldNode, d time.Duration, ev Event) {
	core := n.core
	w.after(d, func() {
		if n.alive && n.core == core {
			w.step(n, ev)
		}
	})
}

func (w *world) tell(n *worldNode, to PeerID, ev Event) {
	if o := w.nodes[to]; n.sessions[to] && o.alive {
		w.later(o, w.halfTrip(), ev)
	}
}

func (w *world) do(n *worldNode, act Action) {
	switch a := act.(type) {
	case Link:
		w.doLink(n, a.Want)
	case Unlink:
		w.disconnect(n, w.nodes[a.Peer])
		w.comeBack(n, w.nodes[a.Peer])
	case Announce:
		for _, id := range w.order {
			if n.sessions[id] && !w.nodes[id].seed && !n.mute {
				w.tell(n, id, Heard{From: n.id, Version: a.Version})
			}
		}
	case AskManifest:
		n.asks++
		if o := w.nodes[a.From]; o == nil || o.mute {
			w.later(n, 30*time.Second, Failed{Req: a.Req, Class: Retry, Reason: policy.ReasonNetTimeout})
			return
		}
		w.later(n, 5*time.Millisecond, ManifestArrived{Req: a.Req, Version: w.version, Manifest: w.manifest, ExpiresAt: w.now.Add(24 * time.Hour)})
	case AskDescriptor:
		if a.From != "" {
			n.asks++
		}
		info := w.infos[w.descs[a.ID].Payload]
		info.Have, info.Published = n.store[info.ID], n.ready[info.ID]
		w.later(n, 2*time.Millisecond, DescriptorArrived{Req: a.Req, ID: a.ID, Descriptor: w.descs[a.ID], Payload: info})
	case TellHave:
		bits := a.Bits.Clone()
		if n.hostile != "" && n.hostile != "squats" || n.lies && w.boast {
			bits = content.FullBits(bits.Len())
		}
		w.tell(n, a.To, HaveArrived{From: n.id, Payload: a.Payload, Want: a.Want, Bits: bits})
	case TellSynced:
		w.tell(n, a.To, PeerSynced{Peer: n.id})
	case TellGained:
		for _, to := range a.To {
			w.tell(n, to, GainedArrived{From: n.id, Payload: a.Payload, Indexes: slices.Clone(a.Indexes)})
		}
	case TellSpent:
		w.tell(n, a.To, SpentHeard{From: n.id, Entries: slices.Clone(a.Entries)})
	case TellGate:
		w.tell(n, a.To, PeerGated{Peer: n.id, Serve: a.Serve, WAN: a.WAN})
	case TellLease:
		w.tell(n, a.To, LeaseHeard{From: n.id, Payload: a.Payload, Held: a.Held})
	case TellTrail:
		w.tell(n, a.To, TrailHeard{From: n.id, Payload: a.Payload, Trail: a.Trail})
	case AskRelay:
		w.tell(n, a.To, RelayAsked{From: n.id, Payload: a.Payload, On: a.On})
	case TellLost:
		w.tell(n, a.To, LostArrived{From: n.id, Payload: a.Payload})
	case Evict:
		w.evict(n, a)
	case TellEgress:
		w.tell(n, a.To, PeerChanged{Peer: n.id, Egress: a.Egress})
	case OpenPayload:
		if n.store[a.Payload] == nil {
			n.store[a.Payload] = content.NewBits(w.infos[a.Payload].Chunks)
		}
		w.later(n, time.Millisecond, PayloadOpened{Req: a.Req, Payload: a.Payload, Have: n.store[a.Payload].Clone()})
	case FetchChunk:
		w.fetch(n, a.Req, a.From, a.Payload, a.Index)
	case FetchOrigin:
		if n.hostile == "squats" {
			return // it has the lease and does nothing with it
		}
		w.fetch(n, a.Req, a.From, a.Payload, a.Index)
	case CancelFetch:
		w.cancelFetch(n, a.Req)
	case Serve:
		if w.links != nil {
			w.serveOverLinks(n, a)
		} else {
			w.serve(n, a)
		}
	case RefuseUpload:
		ask := n.refs[a.Ref]
		delete(n.refs, a.Ref)
		w.later(w.nodes[ask.from], w.halfTrip(), Failed{Req: ask.req, Class: a.Class})
	case Assemble:
		n.ready[a.Payload] = true
		w.later(n, 50*time.Millisecond, Assembled{Req: a.Req})
	case Detect:
		_, there := n.installed[w.descs[a.Descriptor].Update]
		w.later(n, time.Millisecond, Detected{Req: a.Req, Present: there})
	case Install:
		u := w.descs[a.Descriptor].Update
		if !n.ready[w.descs[a.Descriptor].Payload] {
			w.t.Fatalf("%s installs %s without its payload", n.id, u)
		}
		if why := w.broken[u]; why != "" {
			w.later(n, 10*time.Millisecond, Failed{Req: a.Req, Class: Retry, Reason: why})
			return
		}
		n.installed[u] = w.now
		w.later(n, 10*time.Millisecond, Installed{Req: a.Req})
	case Report:
		w.later(n, time.Millisecond, ReportQueued{Machine: n.id, Seq: a.Seq})
	case Forward:
		w.forward(n, a)
	case Save:
		b, _ := json.Marshal(a.Snapshot)
		n.saved = Snapshot{}
		if err := json.Unmarshal(b, &n.saved); err != nil {
			w.t.Fatal(err)
		}
	case Note:
		n.notes = append(n.notes, worldNote{a, w.now})
	}
}

func (w *world) doLink(n *worldNode, want bool) {
	seed := w.nodes["seed"]
	switch {
	case seed.site == n.site: // a neighbour like others: no driver dials it, or lets it go, as a link across the WAN
		if want {
			w.later(n, 3*time.Second, LinkFailed{})
		}
	case !want:
		if n.sessions[seed.id] {
			w.disconnect(n, seed)
		}
	case n.sessions[seed.id]:
	case !n.egress:
		w.t.Fatalf("%s has no egress and tries the WAN", n.id)
	case w.wanDown || !seed.alive || n.banned:
		w.later(n, 3*time.Second, LinkFailed{})
	default:
		w.connect(n, seed)
	}
}

func (w *world) forward(n *worldNode, a Forward) {
	o := w.nodes[a.To]
	if !n.sessions[a.To] || !o.alive {
		return
	}
	if o.seed {
		o.reports[a.Machine] = max(o.reports[a.Machine], a.Seq)
	} else if o.sessions["seed"] {
		w.later(o, lanDelay, ReportQueued{Machine: a.Machine, Seq: a.Seq})
	} else {
		return
	}
	w.later(n, 2*lanDelay, ReportAcked{Machine: a.Machine, Seq: a.Seq})
}

var worldRef uint64

func (w *world) fetch(n *worldNode, req Req, from PeerID, payload content.ID, index int) {
	o := w.nodes[from]
	if !n.sessions[from] || !o.alive {
		w.later(n, 0, Failed{Req: req, Class: Retry, Reason: policy.ReasonNetTimeout})
		return
	}
	if w.trouble(n, o, req) {
		return
	}
	worldRef++
	ref := worldRef
	o.refs[ref] = worldAsk{n.id, req}
	w.later(o, w.halfTrip(), UploadAsked{From: n.id, Ref: ref, Payload: payload, Index: index})
}

// serve moves a chunk over the sender's link, and over the site's WAN link if it crosses that.
func (w *world) serve(o *worldNode, a Serve) {
	ask := o.refs[a.Ref]
	delete(o.refs, a.Ref)
	n := w.nodes[ask.from]
	start := w.now
	var end time.Time
	if o.site != n.site {
		if w.wanDown {
			w.at(w.now.Add(5*time.Second), func() {
				w.later(n, 0, Failed{Req: ask.req, Class: Retry, Reason: policy.ReasonNetTimeout})
				w.later(o, 0, UploadEnded{Ref: a.Ref})
			})
			return
		}
		if w.wanFree.After(start) {
			start = w.wanFree
		}
		end = start.Add(time.Duration(worldChunk / w.wanRate * 1e9))
		w.wanFree = end
		w.wanBytes += worldChunk
		end = end.Add(wanDelay)
	} else {
		if o.upFree.After(start) {
			start = o.upFree
		}
		end = start.Add(time.Duration(worldChunk / w.lanRate * 1e9))
		o.upFree = end
		end = end.Add(lanDelay)
	}
	core := n.core
	w.at(end, func() {
		if o.alive {
			w.step(o, UploadEnded{Ref: a.Ref, Bytes: worldChunk})
		}
		if !n.alive || n.core != core || !n.sessions[o.id] {
			return
		}
		w.arrive(n, o, ask.req, a, worldChunk)
	})
}

// publish approves one update of so many chunks for everybody; the seed has it.
func (w *world) publish(name string, chunks int) {
	d := &policy.Descriptor{
		Update: policy.UpdateID(name), Revision: 1, Installer: "file", Requires: []string{"file"},
		Payload: content.Sum([]byte("payload " + name)),
	}
	id := content.Sum([]byte("descriptor " + name))
	w.descs[id] = d
	w.infos[d.Payload] = PayloadInfo{ID: d.Payload, Chunks: chunks, ChunkBytes: w.shape.chunkBytes, StoredBytes: int64(chunks) * int64(w.shape.chunkBytes)}
	next := *w.manifest
	next.Epoch++
	next.Approvals = append(slices.Clone(next.Approvals), policy.Approval{Update: d.Update, Revision: 1, Descriptor: id, Group: "all", Action: policy.ActionInstall})
	slices.SortFunc(next.Approvals, func(a, b policy.Approval) int { return cmp.Compare(a.Update, b.Update) })
	full := content.NewBits(chunks)
	for i := range chunks {
		full.Set(i)
	}
	w.nodes["seed"].store[d.Payload], w.nodes["seed"].ready[d.Payload] = full, true
	w.spread(&next)
}

func (w *world) spread(m *policy.Manifest) {
	w.manifest = m
	w.version++
	w.step(w.nodes["seed"], ManifestArrived{Version: w.version, Manifest: m, ExpiresAt: w.now.Add(24 * time.Hour)})
}

func (w *world) installedOn(u policy.UpdateID) int {
	n := 0
	for _, id := range w.order {
		if _, ok := w.nodes[id].installed[u]; ok {
			n++
		}
	}
	return n
}

func (w *world) count(f func(*worldNode) int64) (sum int64) {
	for _, id := range w.order {
		sum += f(w.nodes[id])
	}
	return sum
}

func chunkName(payload content.ID, index int) string {
	return fmt.Sprintf("%s/%d", payload.Short(), index)
}

func duplicates(n *worldNode) (d int64) {
	for _, times := range n.fetched {
		d += int64(times - 1)
	}
	return d
}

// everybody waits until all machines have installed u; it fails the test after limit.
func (w *world) everybody(u policy.UpdateID, machines int, limit time.Duration) time.Duration {
	w.t.Helper()
	took := w.until(limit, func() bool { return w.installedOn(u) == machines })
	if got := w.installedOn(u); got != machines {
		for _, id := range w.order {
			n := w.nodes[id]
			if n.alive && !n.seed {
				for _, k := range n.core.View().Tasks {
					w.t.Logf("%s: %s %s %s", id, k.State, k.Reason, k.Detail)
				}
				for _, p := range n.core.View().Payloads {
					w.t.Logf("%s: %d of %d chunks, leased %v, claimed by %s", id, p.HaveChunks, p.Chunks, p.Leased, p.LeaseClaimant)
				}
			}
		}
		w.t.Fatalf("%d of %d machines installed %s in %v", got, machines, u, limit)
	}
	return took
}

func TestColdBranchCrossesTheWANOnceAtWireSpeed(t *testing.T) {
	w := newWorld(t, 10, 4)
	w.publish("u1", 256)
	took := w.everybody("u1", 10, time.Minute)
	floor := time.Duration(256 * worldChunk / w.wanRate * 1e9)
	t.Logf("took %v, floor %v (%.3f), WAN %d chunks", took, floor, took.Seconds()/floor.Seconds(), w.wanBytes/worldChunk)
	if w.wanBytes != 256*worldChunk {
		t.Errorf("the WAN carried %d chunks of 256", w.wanBytes/worldChunk)
	}
	if took > floor*110/100 {
		t.Errorf("took %v, the WAN alone needs %v", took, floor)
	}
	if d := w.count(duplicates); d > 0 {
		t.Errorf("%d chunks arrived twice somewhere", d)
	}
	w.run(5 * time.Second)
	if got := len(w.nodes["seed"].reports); got != 10 {
		t.Errorf("reports of %d machines reached the seed, want 10", got)
	}
	links := 0
	for _, id := range w.order {
		if w.nodes["seed"].sessions[id] {
			links++
		}
	}
	if links != 1 {
		t.Errorf("%d machines keep a session with the seed, want the uplink alone", links)
	}
}

func TestManyUpdatesAtOnceCrossTheWANOnceEach(t *testing.T) {
	w := newWorld(t, 12, 2)
	for i := range 5 {
		w.publish(fmt.Sprintf("u%d", i), 20+i)
	}
	for i := range 5 {
		w.everybody(policy.UpdateID(fmt.Sprintf("u%d", i)), 12, time.Minute)
	}
	if want := int64(20+21+22+23+24) * worldChunk; w.wanBytes != want {
		for _, id := range w.order {
			for _, n := range w.nodes[id].notes {
				if n.Kind == NoteLease {
					t.Logf("%v %s lease of %s %s %s", n.at.Sub(w.now), id, n.Payload.Short(), n.Text, n.Reason)
				}
			}
		}
		t.Errorf("the WAN carried %d chunks, want %d", w.wanBytes/worldChunk, want/worldChunk)
	}
}

func TestThirdOfTheMachinesKilledAndStartedAgain(t *testing.T) {
	for seed := range 8 {
		w := newWorld(t, 10, 4)
		w.publish("u1", 256)
		w.run(5 * time.Second)
		rng := rand.New(rand.NewPCG(uint64(seed), 2))
		victims := rng.Perm(10)[:3]
		for _, v := range victims {
			w.kill(PeerID(fmt.Sprintf("m%02d", v)))
		}
		w.run(2 * time.Second)
		for _, v := range victims {
			w.start(w.nodes[PeerID(fmt.Sprintf("m%02d", v))])
		}
		took := w.everybody("u1", 10, time.Minute)
		extra := float64(w.wanBytes)/(256*worldChunk) - 1
		t.Logf("seed %d: %v more, WAN +%.1f %%, duplicates %d", seed, took, 100*extra, w.count(duplicates))
		if extra > 0.06 {
			t.Errorf("seed %d, victims %v: the WAN carried %.1f %% too much", seed, victims, 100*extra)
		}
	}
}

func TestSeedAwayInTheMiddle(t *testing.T) {
	w := newWorld(t, 6, 2)
	w.publish("u1", 200)
	w.run(3 * time.Second)
	w.wanDown = true
	for _, id := range w.order {
		if w.nodes["seed"].sessions[id] {
			w.disconnect(w.nodes["seed"], w.nodes[id])
		}
	}
	w.run(20 * time.Second)
	if got := w.installedOn("u1"); got != 0 {
		t.Fatalf("%d installed while the WAN is cut", got)
	}
	w.wanDown = false
	took := w.everybody("u1", 6, time.Minute)
	t.Logf("healed: %v more, WAN %d chunks of 200", took, w.wanBytes/worldChunk)
	if w.wanBytes > 216*worldChunk {
		t.Errorf("the WAN carried %d chunks of 200", w.wanBytes/worldChunk)
	}
}

// Liars hold everything and send wrong bytes: each victim wastes at most one chunk on each liar.
func TestLiarsAreShunnedAndTheRestGoesOn(t *testing.T) {
	w := newWorld(t, 8, 2)
	for _, id := range []PeerID{"m05", "m06"} {
		w.nodes[id].lies = true
	}
	w.publish("u1", 64)
	took := w.everybody("u1", 8, 2*time.Minute)
	var refused int64
	for _, id := range w.order {
		for _, n := range w.nodes[id].notes {
			if n.Kind == NoteRefused {
				refused++
				if n.Reason != policy.ReasonTrustBadChunk || !w.nodes[n.Peer].lies {
					t.Errorf("%s refused %s: %s", id, n.Peer, n.Reason)
				}
			}
		}
	}
	if refused == 0 {
		t.Error("nobody noticed the liars")
	}
	// Up to four chunks may be under way to a liar when the first of them turns out wrong.
	if refused > 2*7*4 {
		t.Errorf("%d wrong chunks were taken from two liars by seven victims", refused)
	}
	t.Logf("took %v, %d wrong chunks, WAN %d chunks", took, refused, w.wanBytes/worldChunk)
}

func TestHoldStopsWhatIsNotInstalled(t *testing.T) {
	w := newWorld(t, 5, 2)
	w.publish("u1", 100)
	w.run(time.Second)
	held := *w.manifest
	held.Epoch++
	held.Holds = []policy.Hold{{ID: "h1", Update: "u1", Kind: "pause", Reason: "breaks printers"}}
	w.spread(&held)
	w.run(30 * time.Second)
	if got := w.installedOn("u1"); got != 0 {
		t.Fatalf("%d machines installed a held update", got)
	}
	for _, id := range w.order[1:] {
		if v := w.nodes[id].core.View().Tasks[0]; v.State != policy.StateHeld || v.Reason != policy.ReasonPolicyHold {
			t.Errorf("%s: %s %s", id, v.State, v.Reason)
		}
	}
	released := *w.manifest
	released.Epoch++
	released.Holds = nil
	w.spread(&released)
	w.everybody("u1", 5, time.Minute)
	if w.wanBytes > 104*worldChunk {
		t.Errorf("the WAN carried %d chunks of 100", w.wanBytes/worldChunk)
	}
}

func TestSameSeedSameActions(t *testing.T) {
	trace := func() string {
		worldRef = 0
		w := newWorld(t, 6, 2)
		w.publish("u1", 40)
		w.everybody("u1", 6, time.Minute)
		s := ""
		for _, id := range w.order {
			s += fmt.Sprintf("%s %v %d;", id, w.nodes[id].installed["u1"].UnixNano(), w.nodes[id].core.lastReq)
		}
		return s
	}
	if a, b := trace(), trace(); a != b {
		t.Fatalf("two runs differ:\n%s\n%s", a, b)
	}
}
