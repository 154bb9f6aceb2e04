package swarm

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
)

// A hostile world: bytes choose events, well-behaved and not, and everything that the core answers is
// checked against its promises. See hostile_test.go for the events and promise_test.go for the promises.

// soak is the short slice by default, the full count with PATCHMESH_SOAK=1.
func soak(short, full int) int {
	if os.Getenv("PATCHMESH_SOAK") != "" {
		return full
	}
	return short
}

func FuzzCore(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(chance(seed, 400))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 4000 {
			in = in[:4000]
		}
		newHostile(t, in).run()
	})
}

// TestCoreKeepsItsPromisesInAHostileWorld is the fuzz target with seeds, so that every run of the tests
// covers the same ground. A failure names its seed.
func TestCoreKeepsItsPromisesInAHostileWorld(t *testing.T) {
	var seen reached
	for seed := range uint64(soak(400, 20000)) {
		h := newHostile(t, chance(seed, 1500))
		h.name = fmt.Sprintf("seed %d", seed)
		h.run()
		seen.add(h.reached)
		if t.Failed() {
			return
		}
	}
	// A world in which nothing happens keeps every promise.
	t.Logf("reached: %+v", seen)
	for what, n := range map[string]int{
		"chunks from neighbours": seen.chunks, "chunks over the WAN": seen.origins, "hedges": seen.hedges,
		"installations": seen.installs, "removals": seen.removals, "uploads": seen.serves, "refusals": seen.refusals, "restarts": seen.restarts, "evictions": seen.evicted,
		"chunks from neighbour sites": seen.adjacent, "chunks for them": seen.taken,
	} {
		if n == 0 {
			t.Errorf("no %s happened: the world is too hostile to show anything", what)
		}
	}
}

func chance(seed uint64, n int) []byte {
	rng := rand.New(rand.NewPCG(seed, 99))
	in := make([]byte, n)
	for i := range in {
		in[i] = byte(rng.Uint32())
	}
	return in
}

// reached counts what a run came to.
type reached struct {
	chunks, origins, hedges, installs, removals, serves, refusals, restarts, evicted, adjacent, taken int
}

func (r *reached) add(o reached) {
	r.chunks += o.chunks
	r.origins += o.origins
	r.hedges += o.hedges
	r.installs += o.installs
	r.removals += o.removals
	r.serves += o.serves
	r.refusals += o.refusals
	r.restarts += o.restarts
	r.evicted += o.evicted
	r.adjacent += o.adjacent
	r.taken += o.taken
}

// hostile is one run: a core, what it has asked, and the bytes that decide.
type hostile struct {
	t    *testing.T
	name string
	in   []byte
	now  time.Time
	c    *Core

	cfg   Config
	self  Self
	saved Snapshot

	version   int64
	manifest  *policy.Manifest
	descs     []*policy.Descriptor
	ids       []content.ID
	infos     []PayloadInfo
	published map[content.ID]bool
	leased    map[content.ID]bool // by what the core says

	open   []asked
	closed []asked // ended requests, to be ended once more
	refs   uint64
	asks   map[uint64]UploadAsked
	acts   []Action
	last   Event
	wall   map[PeerID][2]bool // what policy lets a machine of another site do now: give, take
	mute   map[PeerID]bool    // before the last event: one that is heard again by its end was not in the middle of it
	reached
}

// asked is one request of the core.
type asked struct {
	act  Action
	req  Req
	at   time.Time
	gone bool // its payload was withdrawn or its peer has left: the core has forgotten it
}

const hostileChunk = 64 << 10

var (
	hostilePeers = []PeerID{"a", "b", "d", "far", "seed", "ghost", "next"}
	hostileSites = map[PeerID]SiteID{"a": "s", "b": "s", "d": "s", "far": "elsewhere", "seed": "hq", "ghost": "s", "next": "next"}
	hostileTimes = []time.Duration{
		0, 0, 0, 0, time.Millisecond, time.Millisecond, 40 * time.Millisecond, 40 * time.Millisecond, 300 * time.Millisecond, 300 * time.Millisecond,
		800 * time.Millisecond, 2 * time.Second, 2 * time.Second, 20 * time.Second,
	}
	hostileSleeps = []time.Duration{time.Hour, 25 * time.Hour, 60 * time.Hour}
)

func newHostile(t *testing.T, in []byte) *hostile {
	h := &hostile{
		t: t, in: in, now: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), version: 1,
		published: map[content.ID]bool{}, asks: map[uint64]UploadAsked{},
	}
	h.cfg = DefaultConfig()
	h.cfg.PerPeerAsks, h.cfg.MaxAskBytes = 2, 3*hostileChunk
	h.cfg.ServeSlots, h.cfg.ServeQueue = 2, 4
	h.cfg.WANMinBytes, h.cfg.WANMaxBytes = 2*hostileChunk, 4*hostileChunk
	h.cfg.MaxOutbox, h.cfg.MaxPayloads, h.cfg.MaxDocAsks = 3, 4, 2
	h.cfg.MaxHaveChunks = 40
	h.cfg.JoinGrace = 100 * time.Millisecond
	for i, chunks := range []int{1, 5, 20} {
		d := &policy.Descriptor{
			Update: policy.UpdateID(fmt.Sprintf("u%d", i)), Revision: 1, Installer: "file", Requires: []string{"file"},
			Payload: content.Sum(fmt.Appendf(nil, "payload %d", i)),
		}
		h.descs, h.ids = append(h.descs, d), append(h.ids, content.Sum(fmt.Appendf(nil, "descriptor %d", i)))
		h.infos = append(h.infos, PayloadInfo{ID: d.Payload, Chunks: chunks, ChunkBytes: hostileChunk, StoredBytes: int64(chunks) * hostileChunk})
	}
	egress, role := h.byte(), h.byte()
	h.self = Self{
		Peer: "c", Site: "s", Egress: egress%4 != 0, Seed: role%16 == 0, Cache: role%3 == 1,
		Machine: policy.Machine{ID: "c", Site: "s", Installers: []string{"file"}},
	}
	h.manifest = &policy.Manifest{Org: "o", Epoch: 1}
	for i, d := range h.descs {
		h.manifest.Approvals = append(h.manifest.Approvals, policy.Approval{
			Update: d.Update, Revision: 1, Descriptor: h.ids[i], Group: policy.GroupAll, Action: policy.ActionInstall,
		})
	}
	h.start()
	return h
}

func (h *hostile) start() {
	core, err := New(h.cfg, h.self, h.saved, rand.New(rand.NewPCG(uint64(h.byte()), 3)), h.now)
	if err != nil {
		h.t.Fatal(err)
	}
	h.c, h.open, h.closed = core, nil, nil
	h.asks, h.leased, h.wall = map[uint64]UploadAsked{}, map[content.ID]bool{}, map[PeerID][2]bool{}
	if h.byte()%2 == 0 {
		h.step(AdjacentAllowed{Allowed: true})
	}
	h.step(ManifestArrived{Version: h.version, Manifest: h.manifest, ExpiresAt: h.now.Add(48 * time.Hour)})
	for _, p := range []PeerID{"a", "b", "seed"} { // a site as it should be; the bytes wreck it
		h.step(PeerUp{Peer: p, Site: hostileSites[p], Seed: p == "seed", Egress: h.byte()%2 == 0})
		for _, i := range h.infos {
			h.step(HaveArrived{From: p, Payload: i.ID, Want: h.byte()%2 == 0, Bits: some(i.Chunks, int(h.byte()))})
		}
		h.step(PeerSynced{Peer: p})
	}
}

// some is a set of n with a pattern of its own for each byte.
func some(n, pattern int) *content.Bits {
	b := content.NewBits(n)
	for i := range n {
		if pattern>>(i%8)&1 > 0 {
			b.Set(i)
		}
	}
	return b
}

// byte takes the next decision; zero when there are no more.
func (h *hostile) byte() byte {
	if len(h.in) == 0 {
		return 0
	}
	b := h.in[0]
	h.in = h.in[1:]
	return b
}

func (h *hostile) upTo(n int) int { return int(h.byte()) % n }

func (h *hostile) run() {
	for len(h.in) > 0 && !h.t.Failed() {
		if b := h.byte(); b == 255 {
			h.now = h.now.Add(hostileSleeps[h.upTo(len(hostileSleeps))])
		} else {
			h.now = h.now.Add(hostileTimes[int(b)%len(hostileTimes)])
		}
		if at := h.c.Wake(); !at.IsZero() && !h.now.Before(at) && h.byte()%8 != 0 { // a driver may be late
			h.step(Tick{})
		}
		h.turn()
	}
}

func (h *hostile) step(ev Event) {
	h.last = ev
	h.mute = map[PeerID]bool{}
	for _, p := range h.c.peers {
		h.mute[p.id] = p.mute
	}
	h.acts = slices.Clone(h.c.Step(h.now, ev))
	h.forget()
	h.promises()
}

// forget marks what the core no longer waits for.
func (h *hostile) forget() {
	for i := range h.open {
		o := &h.open[i]
		if r := h.c.request(o.req); r == nil || (r.payload != nil && h.c.byMap[r.payload.id] != r.payload) {
			o.gone = true
		}
	}
}

// fail names the seed, the event and what the core answered.
func (h *hostile) fail(format string, args ...any) {
	h.t.Helper()
	h.t.Fatalf("%s: after %T%+v at %v: %s\nactions: %T %+v", h.name, h.last, h.last, h.now.Format(time.TimeOnly), fmt.Sprintf(format, args...), h.acts, h.acts)
}
