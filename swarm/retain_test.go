package swarm

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
)

// evict removes what a node has of a payload, a little later, as a disk would.
func (w *world) evict(n *worldNode, a Evict) {
	core := n.core
	w.after(5*time.Millisecond, func() {
		if n.alive && n.core == core {
			delete(n.store, a.Payload)
			delete(n.ready, a.Payload)
			w.step(n, PayloadDropped{Payload: a.Payload})
		}
	})
}

// pressed tells a node what its store holds and that so many bytes have to go.
func (w *world) pressed(n *worldNode, over int64) {
	ev := StoreChecked{OverBytes: over}
	for _, d := range w.descs {
		if b := n.store[d.Payload]; b != nil {
			ev.Items = append(ev.Items, StoredItem{Payload: d.Payload, Bytes: int64(b.Count()) * worldChunk})
		}
	}
	slices.SortFunc(ev.Items, func(a, b StoredItem) int { return a.Payload.Compare(b.Payload) })
	w.step(n, ev)
}

const everything = int64(1) << 50

func (w *world) machines() (out []*worldNode) {
	for _, id := range w.order {
		if n := w.nodes[id]; !n.seed && n.alive {
			out = append(out, n)
		}
	}
	return out
}

func payloadOf(name string) content.ID { return content.Sum([]byte("payload " + name)) }

// copies counts the machines of the branch that hold a whole payload.
func (w *world) copies(name string) (n int) {
	for _, m := range w.machines() {
		if b := m.store[payloadOf(name)]; b != nil && b.Full() && m.ready[payloadOf(name)] {
			n++
		}
	}
	return n
}

func (w *world) keepOf(n *worldNode, name string) Keep {
	return n.core.keep(StoredItem{Payload: payloadOf(name)})
}

// All disks fill up in the same moment. Nobody asks anybody, and yet three copies stay.
func TestEverybodyEvictsAtOnceAndThreeCopiesStay(t *testing.T) {
	for round := range soak(10, 200) {
		w := newWorld(t, 4+round%9, 2)
		w.publish("u1", 8)
		w.everybody("u1", len(w.order)-1, time.Minute)
		w.run(time.Minute)
		rng := rand.New(rand.NewPCG(uint64(round), 5))
		for range 3 { // and again, by those who are left
			for _, m := range w.machines() {
				w.after(time.Duration(rng.IntN(3000))*time.Microsecond, func() { w.pressed(m, everything) })
			}
			w.run(10 * time.Second)
		}
		if got := w.copies("u1"); got != 3 {
			t.Fatalf("round %d: %d copies are left of %d", round, got, len(w.order)-1)
		}
		// One of the keepers is lost for good. Those who evicted have evicted; nobody else does.
		for _, m := range w.machines() {
			if m.ready[payloadOf("u1")] {
				w.kill(m.id)
				break
			}
		}
		for _, m := range w.machines() {
			w.pressed(m, everything)
		}
		w.run(10 * time.Second)
		if got := w.copies("u1"); got != 2 {
			t.Fatalf("round %d: %d copies are left after a keeper died, want the other 2", round, got)
		}
	}
}

func TestMachineSetUpAnewIsServedByItsSiteAlone(t *testing.T) {
	w := newWorld(t, 8, 2)
	w.publish("u1", 40)
	w.everybody("u1", 8, time.Minute)
	w.run(time.Minute)
	for _, m := range w.machines() {
		w.pressed(m, everything)
	}
	w.run(10 * time.Second)
	before := w.wanBytes
	w.addNode("m99", "branch", false, true)
	w.start(w.nodes["m99"])
	w.everybody("u1", 9, time.Minute)
	if w.wanBytes != before {
		t.Errorf("%d chunks crossed the WAN for a machine whose site has copies", (w.wanBytes-before)/worldChunk)
	}
}

// A machine is away for three weeks. The update that was approved meanwhile waits for it, however full the
// other disks are, also over a restart of everybody.
func TestPayloadOutlivesThreeWeeksOfHoliday(t *testing.T) {
	for _, known := range []bool{false, true} {
		w := newWorld(t, 6, 1)
		if known { // it had begun to fetch when it left
			w.publish("u1", 40)
			w.run(300 * time.Millisecond)
		}
		w.kill("m03")
		if !known {
			w.publish("u1", 40)
		}
		w.everybody("u1", 5, time.Minute)
		w.run(time.Minute)
		for _, m := range w.machines() {
			w.kill(m.id)
			w.run(time.Second)
			w.start(m)
			w.run(10 * time.Second)
		}
		w.run(time.Duration(soak(1, 21)) * 24 * time.Hour)
		for _, m := range w.machines() {
			w.pressed(m, everything)
			// Not even their own need makes them let the last copies go.
			m.core.evict(everything, KeepCopy)
			w.step(m, Tick{})
		}
		w.run(time.Minute)
		if got := w.copies("u1"); got < 3 {
			t.Fatalf("known %v: %d copies are left for the machine that is away", known, got)
		}
		before := w.wanBytes
		w.start(w.nodes["m03"])
		w.everybody("u1", 6, time.Minute)
		if w.wanBytes != before {
			t.Errorf("known %v: %d chunks crossed the WAN again", known, (w.wanBytes-before)/worldChunk)
		}
		w.run(time.Minute)
		for _, m := range w.machines() {
			if k := w.keepOf(m, "u1"); k == KeepAbsent || k == KeepWanted {
				t.Errorf("known %v: %s still keeps it as %s", known, m.id, k)
			}
		}
	}
}

func TestMachineGoneForGoodBindsNobodyForEver(t *testing.T) {
	w := newWorld(t, 5, 1)
	w.kill("m02")
	w.publish("u1", 10)
	w.everybody("u1", 4, time.Minute)
	w.run(time.Minute)
	kept := 0
	for _, m := range w.machines() {
		if w.keepOf(m, "u1") == KeepAbsent {
			kept++
		}
	}
	if kept != 3 {
		t.Fatalf("%d machines keep it for the one that is away, want 3", kept)
	}
	for _, m := range w.machines() {
		m.core.cfg.ForgetPeer = 2 * time.Hour
	}
	w.run(3 * time.Hour)
	for _, m := range w.machines() {
		w.pressed(m, 0)
		if k := w.keepOf(m, "u1"); k == KeepAbsent {
			t.Errorf("%s keeps it as %s after its time", m.id, k)
		}
	}
}

// A machine of another group does not need it, however long it is away.
func TestAbsentMachineOfAnotherGroupNeedsNothing(t *testing.T) {
	w := newWorld(t, 5, 1)
	n := w.nodes["m01"]
	w.publish("u1", 10)
	w.everybody("u1", 5, time.Minute)
	w.manifest.Groups = []policy.Group{{Name: "tills"}, {Name: "desks"}}
	for i, g := range []string{"tills", "desks"} {
		id := PeerID(fmt.Sprintf("x%d", i))
		w.step(n, PeerUp{Peer: id, Site: "branch", Groups: []string{g}, HeadVersion: 1})
		w.step(n, PeerDown{Peer: id})
	}
	w.publish("u2", 10)
	w.run(time.Minute)
	for i := range w.manifest.Approvals {
		if w.manifest.Approvals[i].Update == "u2" {
			w.manifest.Approvals[i].Group = "tills"
		}
	}
	next := *w.manifest
	next.Approvals = slices.Clone(next.Approvals)
	w.spread(&next)
	w.run(time.Minute)
	if l := n.core.byMap[payloadOf("u2")]; n.core.absentNeed(l) != 1 {
		t.Errorf("%d absent machines need an update of the tills, want the one till", n.core.absentNeed(l))
	}
}

// What goes first: nothing that an approval names before what none names, and never what is needed.
func TestWhatNobodyNeedsGoesFirst(t *testing.T) {
	w := newWorld(t, 2, 0)
	for _, u := range []string{"old", "new", "gone", "no", "copy"} {
		w.publish(u, 4)
	}
	for _, u := range []policy.UpdateID{"old", "new", "gone", "no", "copy"} {
		w.everybody(u, 2, time.Minute)
	}
	w.descs[content.Sum([]byte("descriptor new"))].Supersedes = []policy.UpdateID{"old"}
	next := *w.manifest
	next.Approvals = slices.DeleteFunc(slices.Clone(next.Approvals), func(a policy.Approval) bool { return a.Update == "gone" })
	for i := range next.Approvals {
		if next.Approvals[i].Update == "no" {
			next.Approvals[i].Action = policy.ActionDecline
		}
	}
	w.spread(&next)
	w.run(time.Minute)
	m := w.nodes["m00"]
	for name, want := range map[string]Keep{"gone": KeepUnreferenced, "no": KeepDeclined, "old": KeepSuperseded, "new": KeepCopy, "copy": KeepCopy} {
		if got := w.keepOf(m, name); got != want {
			t.Errorf("%s is kept as %s, want %s", name, got, want)
		}
	}
	for _, first := range []string{"gone", "no", "old"} { // one byte too many costs the least one
		w.pressed(m, 1)
		w.run(time.Second)
		if m.store[payloadOf(first)] != nil {
			t.Errorf("%s is still there", first)
		}
	}
	w.pressed(m, everything)
	w.run(time.Second)
	if m.store[payloadOf("new")] == nil || m.store[payloadOf("copy")] == nil {
		t.Error("a copy that the site of two needs was evicted for room that nobody needs")
	}
	if got := len(m.store); got != 2 {
		t.Errorf("%d payloads are left, want 2", got)
	}
}

// The machine's own patch comes before copies for others, but never before what somebody lacks.
func TestOwnNeedMakesRoomAmongCopies(t *testing.T) {
	w := newWorld(t, 2, 0)
	w.publish("u1", 4)
	w.publish("u2", 4)
	w.everybody("u1", 2, time.Minute)
	w.everybody("u2", 2, time.Minute)
	w.run(time.Minute)
	m, o := w.nodes["m00"], w.nodes["m01"]
	w.pressed(m, 0)
	w.step(m, HaveArrived{From: o.id, Payload: payloadOf("u2"), Want: true, Bits: content.NewBits(4)})
	l := &payload{id: content.Sum([]byte("u3")), chunks: 4, chunkBytes: worldChunk, bytes: 4 * worldChunk, selfWant: true, have: content.NewBits(4)}
	m.core.makeSpace(l, Failed{Reason: policy.ReasonDiskShort, Facts: map[string]int64{"needed_bytes": 2000, "free_bytes": 1000}})
	w.step(m, Tick{})
	if v := w.keepOf(m, "u2"); v != KeepWanted {
		t.Errorf("u2 is kept as %s although a neighbour fetches it", v)
	}
	if have := m.core.byMap[payloadOf("u1")].have.Count(); have != 0 {
		t.Error("u1, of which there is another copy, was not let go for the machine's own patch")
	}
	if have := m.core.byMap[payloadOf("u2")].have.Count(); have != 4 {
		t.Error("u2 was let go although a neighbour is fetching it")
	}
}

func TestPinnedStaysWhateverHappens(t *testing.T) {
	w := newWorld(t, 1, 0)
	w.publish("u1", 4)
	w.everybody("u1", 1, time.Minute)
	next := *w.manifest
	next.Approvals = nil
	w.spread(&next)
	w.run(time.Minute)
	m := w.nodes["m00"]
	w.step(m, StoreChecked{OverBytes: everything, Items: []StoredItem{{Payload: payloadOf("u1"), Bytes: 1, Pinned: true}}})
	if len(m.core.View().Store) != 1 || m.core.View().Store[0].Keep != KeepPinned {
		t.Errorf("the store is %+v", m.core.View().Store)
	}
	w.step(m, StoreChecked{OverBytes: everything, Items: []StoredItem{{Payload: payloadOf("u1"), Bytes: 1}}})
	if len(m.core.View().Store) != 0 {
		t.Error("unpinned and unreferenced, it stays")
	}
}

// A start without documents, or with some of them still on the way, tells nothing about what is approved.
func TestNothingIsEvictedBeforeTheApprovalsAreKnown(t *testing.T) {
	c, err := New(DefaultConfig(), Self{Peer: "m", Site: "s"}, Snapshot{}, rand.New(rand.NewPCG(1, 1)), time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	id := payloadOf("u1")
	check := StoreChecked{OverBytes: everything, Items: []StoredItem{{Payload: id, Bytes: 1}}}
	evicts := func(acts []Action) bool {
		return slices.ContainsFunc(acts, func(a Action) bool { _, ok := a.(Evict); return ok })
	}
	if evicts(c.Step(time.Unix(100, 0), check)) {
		t.Error("evicted without a manifest")
	}
	m := &policy.Manifest{Epoch: 1, Approvals: []policy.Approval{{Update: "u1", Revision: 1, Descriptor: content.Sum([]byte("d")), Group: "all", Action: policy.ActionInstall}}}
	c.Step(time.Unix(101, 0), ManifestArrived{Version: 1, Manifest: m, ExpiresAt: time.Unix(1000, 0)})
	if evicts(c.Step(time.Unix(102, 0), check)) {
		t.Error("evicted while a description is on the way that may name it")
	}
	c.Step(time.Unix(103, 0), ManifestArrived{Version: 2, Manifest: &policy.Manifest{Epoch: 2}, ExpiresAt: time.Unix(1000, 0)})
	if !evicts(c.Step(time.Unix(104, 0), check)) {
		t.Error("what no approval names stays for ever")
	}
}

// A flipped bit on one machine: it stops offering the chunk at once and gets it again from its site.
func TestDamageHealsFromTheSiteAndNeverOverTheWAN(t *testing.T) {
	w := newWorld(t, 4, 0)
	w.publish("u1", 20)
	w.everybody("u1", 4, time.Minute)
	w.run(10 * time.Second)
	before := w.wanBytes
	m := w.nodes["m02"]
	m.store[payloadOf("u1")].Clear(7)
	m.ready[payloadOf("u1")] = false
	w.step(m, ChunksLost{Payload: payloadOf("u1"), Indexes: []int{7, 7, 99, -1}})
	if m.core.byMap[payloadOf("u1")].have.Has(7) {
		t.Fatal("a damaged chunk is still offered")
	}
	took := w.until(time.Minute, func() bool { return m.ready[payloadOf("u1")] })
	if !m.ready[payloadOf("u1")] || w.wanBytes != before {
		t.Errorf("healed %v in %v, %d bytes over the WAN", m.ready[payloadOf("u1")], took, w.wanBytes-before)
	}
	if m.fetched[fmt.Sprintf("%s/%d", payloadOf("u1").Short(), 7)] != 2 || len(m.fetched) != 20 {
		t.Error("more than the damaged chunk was fetched")
	}
}

// The last copy is damaged and everybody has installed: nobody crosses the WAN for what nobody needs.
func TestDamageOfTheLastCopyWaitsForSomebodyWhoNeedsIt(t *testing.T) {
	w := newWorld(t, 1, 0)
	w.publish("u1", 20)
	w.everybody("u1", 1, time.Minute)
	w.run(time.Minute)
	before, m := w.wanBytes, w.nodes["m00"]
	m.store[payloadOf("u1")].Clear(3)
	m.ready[payloadOf("u1")] = false
	w.step(m, ChunksLost{Payload: payloadOf("u1"), Indexes: []int{3}})
	w.run(time.Hour)
	if w.wanBytes != before {
		t.Error("the WAN carried a chunk that no machine needs")
	}
	w.addNode("m99", "branch", false, false)
	w.start(w.nodes["m99"])
	w.everybody("u1", 2, time.Minute)
	if got := w.wanBytes - before; got != worldChunk {
		t.Errorf("the WAN carried %d chunks for the one that the site lacks", got/worldChunk)
	}
	w.run(time.Minute)
	if !m.ready[payloadOf("u1")] {
		t.Error("the damage was not healed although the chunk came into the site")
	}
}

// storeEvent plays what a store may say, truly or not.
func (h *hostile) storeEvent() {
	switch h.upTo(4) {
	case 0:
		h.step(ChunksLost{Payload: h.payload(), Indexes: []int{h.index(), h.index()}})
	case 1:
		h.step(PayloadDropped{Payload: h.payload()})
	default:
		ev := StoreChecked{OverBytes: int64(h.upTo(40)) * hostileChunk}
		for _, i := range h.infos {
			ev.Items = append(ev.Items, StoredItem{Payload: i.ID, Bytes: i.StoredBytes, Pinned: h.byte()%8 == 0})
		}
		h.step(ev)
	}
}

// mayEvict: nothing that this machine or a neighbour is fetching, nothing pinned, nothing of a seed's.
func (h *hostile) mayEvict(a Evict) {
	h.reached.evicted++
	h.published[a.Payload] = false
	l := h.c.byMap[a.Payload]
	if h.c.self.Seed {
		h.fail("a seed evicts")
	}
	if l == nil {
		return
	}
	if l.selfWant || l.have.Count() > 0 || l.ready {
		h.fail("evicts what it needs, or goes on offering what it evicts")
	}
	if h.c.wanting(l) > 0 {
		h.fail("evicts what a neighbour is fetching")
	}
	if e, ok := h.last.(StoreChecked); ok {
		for _, it := range e.Items {
			if it.Payload == a.Payload && it.Pinned {
				h.fail("evicts a pinned payload")
			}
		}
	}
}
