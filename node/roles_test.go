package node

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"patchmesh/node/api"
)

// grantCrew lets a key that lies on the seed decide for the group office.
func (m *mesh) grantCrew(actions ...string) {
	m.t.Helper()
	k, err := NewKey(filepath.Join(m.dir, "seed", "keys"), "bob", "")
	if err != nil {
		m.t.Fatal(err)
	}
	p, err := m.seed.Grant(context.Background(), api.GrantRequest{Role: "crew", Groups: []string{"office"}, Actions: actions, Keys: []string{k.PEM}, Threshold: 1})
	if err != nil || !p.Published {
		m.t.Fatalf("%+v, %v", p, err)
	}
}

// What a delegated role approves reaches machines as what the main approvers do: those that run, those
// that join later through a machine that has it, and after a restart.
func TestDelegatedApprovalReachesMachinesAndSurvivesRestart(t *testing.T) {
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	m.grantCrew("install", "hold")
	body := payload(200_000)
	m.file("u1", body)
	p, err := m.seed.Approve(context.Background(), api.ApproveRequest{Update: "u1", Group: "office", Role: "crew"})
	if err != nil || !p.Published || p.Role != "crew" || p.Machines != 1 {
		t.Fatalf("%+v, %v", p, err)
	}
	b := m.machine("b", a.addr, Config{Egress: EgressNo})
	for _, r := range []*running{a, b} {
		until(t, "the update to be installed", func() bool { return r.update(t, "u1").State == "installed" })
		if got, err := os.ReadFile(filepath.Join(r.root, "srv", "u1")); err != nil || !bytes.Equal(got, body) {
			t.Fatalf("installed file: %d bytes, %v", len(got), err)
		}
	}
	if _, err := m.seed.Hold(context.Background(), api.HoldRequest{Update: "all", Group: "office", Role: "crew", Reason: "stop"}); err != nil {
		t.Fatal(err)
	}
	until(t, "the hold to arrive", func() bool { return len(a.believer.current().Manifest().Holds) == 1 })
	a.stop()
	a = m.run("a", Config{Egress: EgressYes})
	s, err := a.TrustState(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if last := s.Roles[len(s.Roles)-1]; last.Name != "crew" || last.Version != 2 || last.Refused != "" || len(last.Here) != 0 {
		t.Fatalf("after a restart: %+v", last)
	}
	m.file("u2", payload(1000))
	m.approve("u2") // by the main approvers: the role's hold stops it on its group
	until(t, "the update to be held", func() bool { return a.update(t, "u2").State == "held" })

	// Every machine has witnessed how far the log had come.
	seen, err := witnesses(a.db)
	if err != nil || len(seen) == 0 {
		t.Fatalf("%v, %v", seen, err)
	}
	if l := approvalLogOf(t, m.seed.Node); !l.Verified || l.Entries[seen[len(seen)-1].Entries-1].ID != seen[len(seen)-1].Head {
		t.Fatalf("the seed's log does not lead through what a machine has seen: %+v", l)
	}
	if e, err := m.seed.Explain(context.Background(), "u1", "a"); err != nil || len(e.Chain) == 0 {
		t.Fatal(err)
	}
}

// The signatures of a role end after 30 days; the seed goes on freshening everything else.
func TestWarningsComeBeforeSignaturesEnd(t *testing.T) {
	n := loggedSeed(t)
	at := func(after time.Duration) []string {
		n.cfg.Now = func() time.Time { return time.Now().Add(after) }
		s, err := n.TrustState(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return s.Warnings
	}
	hour := time.Hour
	if got := at(0); len(got) != 3 { // one key can approve; that key and the root's lie here
		t.Errorf("fresh: %q", got)
	}
	if got := at(70 * 24 * hour); len(got) < 5 { // approvals soon, online roles long past, stale
		t.Errorf("after 70 days: %q", got)
	}
}

// Between looking at a draft and signing it somebody slips another key under it.
func TestDraftThatChangedSinceItWasShownIsNotSigned(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "seed")
	if _, err := Found(FoundRequest{DataDir: dir, Org: "acme", Threshold: 2}, time.Now); err != nil {
		t.Fatal(err)
	}
	kd := filepath.Join(dir, "keys")
	for _, suffix := range []string{".key", ".pub"} {
		if err := os.Rename(filepath.Join(kd, "approver-2"+suffix), filepath.Join(dir, "approver-2"+suffix)); err != nil {
			t.Fatal(err)
		}
	}
	n, err := OpenOffline(dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	ctx := context.Background()
	grant := func(name string) {
		t.Helper()
		k, err := NewKey(filepath.Join(dir, "people"), name, "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.Grant(ctx, api.GrantRequest{Role: "crew", Groups: []string{"all"}, Actions: []string{"install"}, Keys: []string{k.PEM}}); err != nil {
			t.Fatal(err)
		}
	}
	grant("bob")
	v, err := n.Draft(ctx, api.DraftQuery{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Sign(ctx, api.SignRequest{Digest: v.Digest}); err != nil {
		t.Fatalf("unchanged: %v", err)
	}
	grant("thief")
	if _, err := n.Sign(ctx, api.SignRequest{Digest: v.Digest}); api.ClassOf(err) != api.ClassRefused {
		t.Fatalf("changed: %v", err)
	}
}
