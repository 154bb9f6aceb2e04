package node

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/content/disk"
	"patchmesh/node/api"
	"patchmesh/policy"
	"patchmesh/swarm"
)

// installed waits until all have installed an update.
func installed(t *testing.T, id string, on ...*running) {
	t.Helper()
	for _, r := range on {
		until(t, id+" to be installed", func() bool { return r.update(t, id).State == "installed" })
	}
}

// payloadID is the payload of an update that a node knows.
func (r *running) payloadID(t *testing.T, update string) content.ID {
	t.Helper()
	ids, err := r.findPayloads(update)
	if err != nil || len(ids) != 1 {
		t.Fatalf("payloads of %s: %v, %v", update, ids, err)
	}
	return ids[0]
}

// checkProvenance wants shares that sum up to the payload exactly.
func checkProvenance(t *testing.T, p *api.Provenance, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var bytes int64
	var chunks int
	var percent float64
	for _, s := range p.Sources {
		bytes, chunks, percent = bytes+s.Bytes, chunks+s.Chunks, percent+s.Percent
		if s.Tier != api.TierStore && (s.Peer == "" || s.FirstAt.IsZero() || s.LastAt.Before(s.FirstAt)) {
			t.Errorf("a share without a giver or a time: %+v", s)
		}
	}
	if bytes != p.StoredBytes || p.HeldBytes != bytes || chunks != p.Chunks || math.Abs(percent-100) > 1e-9 {
		t.Errorf("shares of %d bytes and %v %% for a payload of %d: %+v", bytes, percent, p.StoredBytes, p)
	}
}

func TestProvenanceSumsUpOnTheMachineAndOnTheSeed(t *testing.T) {
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	b := m.machine("b", a.addr, Config{Egress: EgressNo})
	body := append(noise(1, 3<<20), make([]byte, 1<<20)...) // a part that compresses: chunks differ in size
	m.file("u1", body)
	m.approve("u1")
	installed(t, "u1", a, b)
	ctx := context.Background()
	p, err := b.Provenance(ctx, "u1", "b")
	checkProvenance(t, p, err)
	if len(p.Sources) != 1 || p.Sources[0].Name != "a" || p.Sources[0].Peer != a.id || p.Sources[0].Tier != api.TierSubnet {
		t.Errorf("b had it all from a, in its subnet: %+v", p.Sources)
	}
	p, err = a.Provenance(ctx, "u1", "a")
	checkProvenance(t, p, err)
	if p.Sources[0].Tier != api.TierSeed || p.Sources[0].Name != "seed" {
		t.Errorf("a had it from the seed: %+v", p.Sources)
	}
	until(t, "the seed to know who gave what to b", func() bool {
		p, err := m.seed.Provenance(ctx, "u1", "b")
		return err == nil && len(p.Sources) == 1 && p.Sources[0].Peer == a.id
	})
	p, err = m.seed.Provenance(ctx, "u1", "b")
	checkProvenance(t, p, err)
	if _, err := m.seed.Provenance(ctx, "u1", "nobody"); api.ClassOf(err) != api.ClassNotFound {
		t.Errorf("provenance on a machine that does not exist: %v", err)
	}
	if _, err := b.Provenance(ctx, "u2", "b"); api.ClassOf(err) != api.ClassNotFound {
		t.Errorf("provenance of an update that does not exist: %v", err)
	}
	checkBytes(t, m, a, b)
}

// checkBytes compares what the machines have booked, and the seed from their reports.
func checkBytes(t *testing.T, m *mesh, a, b *running) {
	t.Helper()
	ctx := context.Background()
	stored := a.update(t, "u1").StoredBytes
	until(t, "the seed to have booked both machines", func() bool {
		r, err := m.seed.BytesReport(ctx, api.BytesQuery{})
		return err == nil && r.Total.WANBytes == stored && r.Total.SavedBytes == stored
	})
	for _, by := range []string{"site", "machine", "update", "tier", "day"} {
		r, err := m.seed.BytesReport(ctx, api.BytesQuery{By: by, Since: time.Now().Add(-time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		var sum api.BytesRow
		for _, row := range r.Rows {
			sum.WANBytes += row.WANBytes
			sum.SavedBytes += row.SavedBytes
		}
		if sum.WANBytes != stored || sum.SavedBytes != stored || r.Total.SavedPercent != 50 {
			t.Errorf("by %s: %+v", by, r)
		}
	}
	if r, err := m.seed.BytesReport(ctx, api.BytesQuery{Until: time.Now().Add(-48 * time.Hour)}); err != nil || r.Total.WANBytes != 0 {
		t.Errorf("before anything happened: %+v, %v", r, err)
	}
	if _, err := m.seed.BytesReport(ctx, api.BytesQuery{By: "weather"}); api.ClassOf(err) != api.ClassUsage {
		t.Errorf("by weather: %v", err)
	}
	until(t, "a to have booked what it gave to b", func() bool {
		r, err := a.BytesReport(ctx, api.BytesQuery{})
		return err == nil && r.Total.SentBytes >= stored && r.Total.WANBytes == stored
	})
	// Over a restart nothing is forgotten and nothing counted twice.
	a.stop()
	m.seed.stop()
	m.seed = m.run("seed", Config{Listen: m.seed.addr})
	a = m.run("a", Config{Egress: EgressYes, Listen: a.addr})
	installed(t, "u1", a, b)
	until(t, "a to report again", func() bool {
		f, err := m.seed.Status(ctx, api.StatusQuery{Machine: "a"})
		return err == nil && f.Machines[0].LastReport.After(m.seed.started)
	})
	p, err := a.Provenance(ctx, "u1", "a")
	checkProvenance(t, p, err)
	r, err := m.seed.BytesReport(ctx, api.BytesQuery{By: "machine"})
	if err != nil || len(r.Rows) != 3 || r.Total.WANBytes != stored || r.Total.SavedBytes != stored {
		t.Errorf("after the restart: %+v, %v", r, err)
	}
	until(t, "the totals of the books to be there again", func() bool {
		b := m.seed.keeper.booked.Load()
		return b != nil && b.WAN() == stored && b.Saved() == stored
	})
	if u := a.update(t, "u1"); u.Bytes.WAN() != stored || u.Bytes.Total() != stored {
		t.Errorf("after the restart a had %+v of %d", u.Bytes, stored)
	}
}

func TestFlippedBitInARunningMeshHealsFromTheSite(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	b := m.machine("b", a.addr, Config{Egress: EgressNo})
	m.file("u1", noise(2, 3<<20))
	m.approve("u1")
	installed(t, "u1", a, b)
	id, ctx := b.payloadID(t, "u1"), context.Background()
	path := filepath.Join(m.dir, "b", "payloads", id.String())
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	raw[2<<20] ^= 0x10
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	v, err := b.StoreVerify(ctx)
	if err != nil || len(v.Damaged) != 1 || v.Damaged[0].Update != "u1" || len(v.Damaged[0].Chunks) != 1 {
		t.Fatalf("verify found %+v, %v", v, err)
	}
	until(t, "the chunk to come again", func() bool { return b.store.Published(id) })
	if v, err := b.StoreVerify(ctx); err != nil || len(v.Damaged) != 0 {
		t.Errorf("verify after healing: %+v, %v", v, err)
	}
	if d, h := b.keeper.damaged.Load(), b.keeper.healed.Load(); d != 1 || h != 1 {
		t.Errorf("%d chunks damaged and %d healed, want 1 and 1", d, h)
	}
	p, err := b.Provenance(ctx, "u1", "b")
	checkProvenance(t, p, err)
	if a.refusedFor(t, "trust-bad-chunk") || !b.refusedFor(t, "trust-bad-chunk") || b.refused()[0].Peer != b.id {
		t.Errorf("whose disk rots should say so of itself, and nobody be taken for a liar: %+v, %+v", b.refused(), a.refused())
	}
}

func TestStoreListPinDropAndEviction(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	m.file("u1", noise(3, 600_000))
	m.file("u2", noise(4, 700_000))
	m.approve("u1")
	m.approve("u2")
	installed(t, "u1", a)
	installed(t, "u2", a)
	ctx := context.Background()
	if r, err := a.StorePin(ctx, api.PinRequest{Update: "u1"}); err != nil || !r.Pinned || r.Unchanged || !r.Here {
		t.Fatalf("pin: %+v, %v", r, err)
	}
	keep := func(update string) string {
		s, err := a.Store(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range s.Payloads {
			if p.Update == update {
				return p.Keep
			}
		}
		return ""
	}
	until(t, "both to be listed", func() bool { return keep("u1") == "pinned" && keep("u2") == string(swarm.KeepCopy) })
	for update, class := range map[string]api.Class{"u1": api.ClassRefused, "u9": api.ClassNotFound} {
		if _, err := a.StoreDrop(ctx, api.DropRequest{Update: update}); api.ClassOf(err) != class {
			t.Errorf("drop %s: %v", update, err)
		}
	}
	if _, err := a.StorePin(ctx, api.PinRequest{Update: "u9"}); api.ClassOf(err) != api.ClassNotFound {
		t.Errorf("pin of an unknown update: %v", err)
	}
	// Withdrawn from everybody, both have no use any more; the pinned one stays all the same.
	for _, id := range []string{"u1", "u2"} {
		if _, err := m.seed.Approve(ctx, api.ApproveRequest{Update: id, Group: "office", Action: "decline"}); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "u2 to be declined", func() bool { return keep("u2") == string(swarm.KeepDeclined) })
	a.store.Tune(limited(1))
	until(t, "u2 to be evicted", func() bool { return keep("u2") == "" })
	if keep("u1") != "pinned" || a.keeper.evicted.Load() != 1 {
		t.Errorf("u1 is kept as %q, %d payloads were evicted", keep("u1"), a.keeper.evicted.Load())
	}
	if r, err := a.StorePin(ctx, api.PinRequest{Update: "u1", Unpin: true}); err != nil || r.Pinned {
		t.Fatalf("unpin: %+v, %v", r, err)
	}
	until(t, "u1 to be evicted", func() bool { return keep("u1") == "" })
	if d, err := a.StoreDrop(ctx, api.DropRequest{Update: "u1"}); api.ClassOf(err) != api.ClassNotFound {
		t.Errorf("drop of what is gone: %+v, %v", d, err)
	}
}

// A payload that this machine must install and that does not fit makes room by itself.
func TestQuotaMakesRoomForWhatHasToBeInstalled(t *testing.T) {
	t.Parallel()
	m, clock := newMesh(t), &testClock{}
	a := m.machine("a", "", Config{Egress: EgressYes, StoreQuota: "1MiB", StoreReserve: "none", Now: clock.now})
	for _, id := range []string{"u1", "u2", "u3"} {
		m.file(id, append([]byte(id), noise(5, 700_000)...))
		m.approve(id)
		if id == "u1" {
			installed(t, id, a)
			clock.forward(time.Minute) // nothing that others may need goes in the first half minute after a start
			continue
		}
		until(t, id+" to be installed", func() bool { return a.update(t, id).State == "installed" })
	}
	u, err := a.store.Usage()
	if err != nil || u.UsedBytes > 1<<20 {
		t.Errorf("the quota of 1 MiB holds %d bytes, %v", u.UsedBytes, err)
	}
	p, err := a.Provenance(context.Background(), "u1", "a")
	if err != nil || p.HeldBytes == 0 || p.Sources[0].Tier != api.TierSeed {
		t.Errorf("where u1 came from is forgotten with its payload: %+v, %v", p, err)
	}
	f, err := a.statusInDetail(api.StatusQuery{Machine: "a", Update: "u1"})
	if err != nil || f.Machines[0].Updates[0].Sources[0].Percent != 0 {
		t.Errorf("to ask for it has written into the books: %+v, %v", f, err)
	}
}

// A thousand weeks of scrubbing in a moment.
func TestScrubTakesItsShareAndNoMore(t *testing.T) {
	p := scrubPace{share: scrubShare, every: scrubEvery}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var busy, total time.Duration
	passes := 0
	for begin := now; passes < 1000; {
		if wait := p.due(now); wait > 0 {
			now = now.Add(wait)
			continue
		}
		p.begin(now)
		for range 50 {
			took := time.Duration(1+passes%7) * time.Millisecond
			rest := p.pause(took)
			busy, total = busy+took, total+took+rest
			now = now.Add(took + rest)
		}
		p.end(now)
		passes++
		if weeks := now.Sub(begin) / scrubEvery; int(weeks) > passes {
			t.Fatalf("%d passes in %d weeks", passes, weeks)
		}
	}
	if share := float64(busy) / float64(total); share > scrubShare*1.001 {
		t.Errorf("a pass takes %.3f of a core", share)
	}
	if got := p.pause(time.Hour); got != maxPause {
		t.Errorf("after a chunk that took an hour it rests for %v", got)
	}
	if got := p.due(now.Add(-300 * 24 * time.Hour)); got != 0 {
		t.Errorf("a clock that went back keeps the scrub waiting for %v", got)
	}
}

func TestLimitsOfTheStoreAreReadStrictly(t *testing.T) {
	for text, want := range map[string][2]int64{"usual": {0, 0}, "none": {-1, 0}, "20GiB": {20 << 30, 0}, "30%": {0, 30}, "5 %": {0, 5}} {
		r, err := policy.ParseRoom(text)
		if err != nil || r.Bytes != want[0] || int64(r.Percent) != want[1] {
			t.Errorf("%q is %+v, %v", text, r, err)
		}
	}
	for _, text := range []string{"0", "0%", "100%", "-5GiB", "many", "%", "12 parsecs", "1e400"} {
		if r, err := policy.ParseRoom(text); err == nil {
			t.Errorf("%q is taken as %+v", text, r)
		}
	}
	if _, err := Open(Config{DataDir: t.TempDir(), StoreQuota: "lots"}); api.ClassOf(err) != api.ClassUsage {
		t.Errorf("a node with a quota of lots: %v", err)
	}
}

func limited(quota int64) disk.Options { return disk.Options{QuotaBytes: quota, ReserveBytes: -1} }

// The only machine that holds a payload has a flipped bit, and is asked for it. It finds that before it
// serves, is not taken for a liar, and the one who asks gets the chunk elsewhere; then both are whole.
func TestRottenChunkIsNotServed(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	m.file("u1", noise(6, 3<<20))
	m.approve("u1")
	installed(t, "u1", a)
	id := a.payloadID(t, "u1")
	path := filepath.Join(m.dir, "a", "payloads", id.String())
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)/2] ^= 1
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	b := m.machine("b", a.addr, Config{Egress: EgressYes, Peers: []string{a.addr}})
	installed(t, "u1", b)
	until(t, "a to be healed", func() bool { return a.store.Published(id) })
	if b.refusedFor(t, "trust-bad-chunk") {
		t.Error("b was given wrong bytes")
	}
	for _, p := range b.view.Load().Peers {
		if p.Shunned {
			t.Errorf("b shuns %s", p.ID)
		}
	}
	if got := b.update(t, "u1").Bytes; got.WAN() > 1<<20 || got.Wasted != 0 {
		t.Errorf("b fetched more than the rotten chunk over the WAN: %+v", got)
	}
	p, err := a.Provenance(context.Background(), "u1", "a")
	checkProvenance(t, p, err)
}

// C-30: what has no room keeps no approvals away: they are taken and acted on, be it a stop for the very update that does not fit,
// and what fits is installed.
func TestC30WhatDoesNotFitKeepsNoApprovalsAway(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes, StoreQuota: "1MiB", StoreReserve: "none"})
	m.file("big", noise(8, 3<<20))
	m.approve("big")
	until(t, "it to find no room", func() bool { return a.update(t, "big").Reason == string(policy.ReasonDiskShort) })
	m.file("small", noise(9, 100_000))
	m.approve("small")
	installed(t, "small", a)
	if u := a.update(t, "big"); u.Reason != string(policy.ReasonDiskShort) || u.Facts["needed_bytes"] == 0 {
		t.Errorf("big: %+v", u)
	}
	p, err := m.seed.Hold(ctx, api.HoldRequest{Update: "big", Reason: "too large"})
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the hold to count", func() bool { return a.update(t, "big").State == "held" })
	if f, err := a.Status(ctx, api.StatusQuery{}); err != nil || f.Epoch != p.Epoch {
		t.Errorf("it is at epoch %d of %d, %v", f.Epoch, p.Epoch, err)
	}
}
