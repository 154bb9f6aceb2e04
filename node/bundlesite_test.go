package node

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"patchmesh/node/api"
)

// What a site has counts, not what the machine has that packed the way back; and a plan says what a medium
// would fix.
func TestIncrementalStickGoesByWhatTheWholeSiteHas(t *testing.T) {
	m := newMesh(t)
	a := m.offline("a", "north")
	b := m.offline("b", "north", a.addr)
	body := static(4 << 20)
	m.file("u1", body)
	m.approve("u1")
	stick := t.TempDir()
	m.export(ExportRequest{Dir: stick, Site: "north"})
	a.feed(t, stick)
	for _, r := range []*running{a, b} {
		until(t, "u1 to be installed", func() bool { return r.update(t, "u1").State == "installed" })
	}
	home := func(r *running) {
		t.Helper()
		if _, err := ExportReturn(context.Background(), r.socket(t), stick); err != nil {
			t.Fatal(err)
		}
		if in, err := ImportReturns(context.Background(), m.seed, nil, stick); err != nil || !in.Complete {
			t.Fatalf("%+v, %v", in, err)
		}
	}
	home(a)
	m.file("u2", static(2<<20))
	m.approve("u2")
	have, err := m.seed.LastHave(context.Background(), api.CargoQuery{Site: "north"})
	if err != nil {
		t.Fatal(err)
	}
	plan := m.export(ExportRequest{Site: "north", Have: have, Plan: true})
	if plan.There != int64(len(body)) || len(plan.Fixes) != 1 || plan.Fixes[0] != (Fix{Update: "u2", Machines: 2, Bytes: 2 << 20}) {
		t.Errorf("%+v", plan)
	}
	// The machine that packs next time has lost its copy: the other one has it still.
	id := (&site{mesh: m}).payload("u1")
	if err := b.store.Drop(id); err != nil {
		t.Fatal(err)
	}
	for name := range files(t, stick) {
		if strings.HasPrefix(name, "return-") {
			if err := os.Remove(filepath.Join(stick, "pm-bundle", name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	home(b)
	if have, err = m.seed.LastHave(context.Background(), api.CargoQuery{Site: "north"}); err != nil {
		t.Fatal(err)
	}
	if again := m.export(ExportRequest{Site: "north", Have: have, Plan: true}); again.There != int64(len(body)) {
		t.Errorf("%d bytes are known to be at the site, want %d", again.There, len(body))
	}
	// A machine that was locked out is none of the site any more.
	if _, err := m.seed.Revoke(context.Background(), api.RevokeRequest{Machine: a.id, Reason: "sold"}); err != nil {
		t.Fatal(err)
	}
	if have, err = m.seed.LastHave(context.Background(), api.CargoQuery{Site: "north"}); err != nil {
		t.Fatal(err)
	}
	if again := m.export(ExportRequest{Site: "north", Have: have, Plan: true}); len(again.Fixes) != 1 || again.Fixes[0].Machines != 1 {
		t.Errorf("after the lock-out: %+v", again)
	}
	if _, err := m.seed.LastHave(context.Background(), api.CargoQuery{Site: "south"}); api.ClassOf(err) != api.ClassNotFound {
		t.Errorf("a site that sent nothing back: %v", err)
	}
}

// Two years without a stick: new root, roster key and timestamp key, and a lock-out, all come on the next one.
func TestSiteThatWasAwayForTwoYearsCatchesUpByStick(t *testing.T) {
	r := newRound(t)
	r.approveAny()
	a := r.at("a", "north")
	b := r.at("b", "north", a.addr)
	r.outgoing("north")
	r.visit(a)
	r.home()
	first := a.believer.current()
	r.clock.forward(300 * days)
	r.file("v1", static(1<<20)) // approvers sign again, as they must each quarter
	r.approve("v1")
	r.rotateTimestamp("timestamp-2")
	r.clock.forward(300 * days)
	r.file("v2", static(1<<20))
	r.approve("v2")
	r.rotateKey("roster-2", func(pem string) api.RootRequest { return api.RootRequest{Roster: pem} })
	if _, err := r.seed.Revoke(context.Background(), api.RevokeRequest{Machine: b.id, Reason: "gone"}); err != nil {
		t.Fatal(err)
	}
	r.clock.forward(130 * days)
	r.file("u2", static(1<<20))
	r.approve("u2")
	r.outgoing("north")
	i, _ := r.visit(a)
	if i.Approvals != "newer" || !i.Complete {
		t.Fatalf("%+v", i)
	}
	now, want := a.believer.current(), r.seed.believer.current()
	if now.RootVersion() != first.RootVersion()+2 || now.HeadVersion() != want.HeadVersion() || !now.Roster().IsRevoked(b.id) {
		t.Errorf("root %d, head %d of %d", now.RootVersion(), now.HeadVersion(), want.HeadVersion())
	}
	until(t, "what the stick brought to be installed", func() bool { return a.update(t, "u2").State == "installed" })
	if i.Renewals == nil || i.Renewals.Renewed || !strings.Contains(i.Renewals.Detail, "new token") {
		t.Errorf("a membership that ended two years ago: %+v", i.Renewals)
	}
	// A stick from the time before the rotation brings nothing back.
	if _, err := a.checkCert(b.id, b.hello().Cert); err == nil {
		t.Error("the machine that was locked out is one of the site")
	}
}
