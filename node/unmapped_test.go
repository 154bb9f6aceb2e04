package node

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/node/state"
	"patchmesh/policy"
)

// flipAt damages one byte of a file in the payload folder of a stopped node.
func (m *mesh) flipAt(name, file string, at int64) {
	m.t.Helper()
	path := filepath.Join(m.dir, name, "payloads", file)
	b, err := os.ReadFile(path)
	if err != nil {
		m.t.Fatal(err)
	}
	b[at] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// loseDoc takes a document out of the database of a stopped node.
func (m *mesh) loseDoc(name string, id content.ID) {
	m.t.Helper()
	db, err := state.Open(filepath.Join(m.dir, name, "state.db"))
	if err != nil {
		m.t.Fatal(err)
	}
	defer db.Close()
	if n, err := db.DropDocs(func(o content.ID, _ string) bool { return o != id }); n != 1 || err != nil {
		m.t.Fatalf("%d documents dropped, %v", n, err)
	}
}

// storeEvents are the texts of the events of kind store.
func (r *running) storeEvents(t *testing.T) string {
	t.Helper()
	l, err := r.Events(context.Background(), api.EventQuery{Kind: "store"})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range l.Events {
		b.WriteString(e.Update + ": " + e.Detail + "\n")
	}
	return b.String()
}

// A machine that waits for its window loses the map of what it fetched, with a chunk, and even the map among its
// documents: it asks the mesh for the map and for that chunk, and for nothing else.
func TestDamagedMapComesAgainAndItsPayloadIsNotFetchedAnew(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	m.closedNow()
	m.file("u1", noise(7, 3<<20))
	m.approve("u1")
	fetched := func(r *running) func() bool {
		return func() bool { u := r.update(t, "u1"); return u.State == "waiting-window" && u.StoredBytes > 0 }
	}
	until(t, "u1 to be fetched", fetched(a))
	id := a.payloadID(t, "u1")
	until(t, "u1 to be published", func() bool { return a.store.Published(id) })
	stored := a.update(t, "u1").StoredBytes
	a.stop()
	m.flipAt("a", id.String()+".map", 100)
	m.flipAt("a", id.String(), 2<<20)

	before := listing(t, a.cfg.DataDir)
	f := checked(t, m.doctorStopped("a", false, api.ScopeStore), "payload maps")
	if f.OK || !f.CanFix || f.Did != "" || f.Reason != string(policy.ReasonTrustBadChunk) || f.Facts["damaged_maps"] != 1 || !strings.Contains(f.Detail, "u1") {
		t.Errorf("%+v", f)
	}
	if after := listing(t, a.cfg.DataDir); after != before {
		t.Errorf("changed without --fix:\n%s\nbefore:\n%s", after, before)
	}
	m.loseDoc("a", id)
	if f = checked(t, m.doctorStopped("a", false, api.ScopeStore), "payload maps"); f.CanFix || f.Facts["maps_here"] != 0 || f.NextStep == "" {
		t.Errorf("without the map: %+v", f)
	}

	a = m.run("a", Config{Egress: EgressYes})
	until(t, "u1 to be whole again", func() bool { return a.store.Published(id) && fetched(a)() })
	if got := a.update(t, "u1").Bytes.Total(); got <= stored || got > stored+content.MaxChunkBytes {
		t.Errorf("%d bytes were fetched of %d, of which a chunk twice", got, stored)
	}
	if v, err := a.StoreVerify(context.Background()); err != nil || len(v.Damaged) != 0 || v.Payloads != 1 {
		t.Errorf("%+v, %v", v, err)
	}
	p, err := a.Provenance(context.Background(), "u1", "a")
	checkProvenance(t, p, err)
	if got := a.storeEvents(t); !strings.Contains(got, "u1: the payload map of u1 is damaged") || !strings.Contains(got, "is here again") {
		t.Errorf("the event log does not tell of it:\n%s", got)
	}
	if !a.refusedFor(t, "trust-bad-chunk") {
		t.Error("status does not tell of the damage")
	}
}

// The seed may have the only copy. Its documents have the map: it mends itself when it starts, and with 'doctor --fix'.
func TestSeedKeepsThePayloadOfADamagedMap(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	body := noise(8, 1<<20)
	m.file("u1", body)
	id := m.seed.payloadID(t, "u1")
	for _, mend := range []func(){
		func() {
			f := checked(t, m.doctorStopped("seed", true, api.ScopeStore), "payload maps")
			if f.OK || !strings.Contains(f.Did, "1 of 1") {
				t.Errorf("%+v", f)
			}
			if f := checked(t, m.doctorStopped("seed", true, api.ScopeStore), "payloads"); !f.OK {
				t.Errorf("a second time: %+v", f)
			}
		},
		func() {},
	} {
		m.seed.stop()
		m.flipAt("seed", id.String()+".map", 100)
		mend()
		m.seed = m.run("seed", Config{})
		until(t, "the payload to be whole again", func() bool { return m.seed.store.Published(id) })
	}
	a := m.machine("a", "", Config{Egress: EgressYes})
	m.approve("u1")
	installed(t, "u1", a)
	if b, err := os.ReadFile(filepath.Join(a.root, "srv", "u1")); err != nil || string(b) != string(body) {
		t.Errorf("%d bytes were installed, %v", len(b), err)
	}
}

// What nobody needs goes first when room is short, and by hand: that its map is damaged does not make it immortal.
func TestUnmappedPayloadIsListedAndDropped(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	m.file("u1", noise(9, 1<<20))
	m.approve("u1")
	installed(t, "u1", a)
	id, ctx := a.payloadID(t, "u1"), context.Background()
	until(t, "u1 to be published", func() bool { return a.store.Published(id) })
	a.stop()
	m.seed.stop() // nobody has the map
	m.flipAt("a", id.String()+".map", 100)
	m.loseDoc("a", id)
	a = m.run("a", Config{Egress: EgressYes})
	s, err := a.Store(ctx)
	if err != nil || len(s.Payloads) != 1 || s.Payloads[0].HeldBytes < 1<<20 || !strings.Contains(s.Payloads[0].Text, "damaged") || s.UsedBytes < 1<<20 {
		t.Fatalf("%+v, %v", s, err)
	}
	if d, err := a.Doctor(ctx, api.DoctorQuery{Scopes: []string{api.ScopeStore}}); err != nil || checked(t, d, "payload maps").OK {
		t.Errorf("%+v, %v", d, err)
	}
	if d, err := a.StoreDrop(ctx, api.DropRequest{Update: "u1", Force: true}); err != nil || d.FreedBytes < 1<<20 {
		t.Fatalf("%+v, %v", d, err)
	}
	if s, err = a.Store(ctx); err != nil || len(s.Payloads) != 0 || s.UsedBytes != 0 {
		t.Errorf("after the drop: %+v, %v", s, err)
	}
}
