package node

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// ringed is a seed with a pilot and a broad ring, and one machine in each.
func ringed(t *testing.T, pilot policy.Ring) (m *mesh, a, b *running) {
	t.Helper()
	m = newMesh(t)
	join := func(name, group string) *running {
		inv, err := m.seed.Invite(context.Background(), api.InviteRequest{Site: "main", Groups: []string{group}, Uses: 1})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Join(context.Background(), JoinRequest{DataDir: filepath.Join(m.dir, name), Token: inv.Token, Name: name}, time.Now); err != nil {
			t.Fatal(err)
		}
		return m.run(name, Config{Egress: EgressYes})
	}
	a, b = join("a", "pilot"), join("b", "office")
	pilot.Name, pilot.Groups = "pilot", []string{"pilot"}
	plan := policy.RingPlan{Name: "standard", Rings: []policy.Ring{pilot, {Name: "broad", Groups: []string{"all"}, FailCount: 1}}}
	if p, err := m.seed.SetRings(context.Background(), api.RingsRequest{Plan: plan}); err != nil || !p.Published {
		t.Fatalf("%+v, %v", p, err)
	}
	return m, a, b
}

func (m *mesh) rollout(id string) api.Rollout {
	m.t.Helper()
	v, err := m.seed.Rings(context.Background(), api.RingsQuery{Update: id})
	if err != nil {
		m.t.Fatal(err)
	}
	return v.Rollouts[0]
}

// R-B9, R-B10: the pilot ring first; when its reports say that it works, the rest, without anybody's help.
func TestRB9RB10SuccessInThePilotRingOpensTheNext(t *testing.T) {
	t.Parallel()
	m, a, b := ringed(t, policy.Ring{SuccessCount: 1, FailCount: 1, Manual: true})
	body := payload(100_000)
	m.file("u1", body)
	if p, err := m.seed.Approve(context.Background(), api.ApproveRequest{Update: "u1", Rings: "standard"}); err != nil || !p.Published {
		t.Fatalf("%+v, %v", p, err)
	}
	until(t, "the pilot to install", func() bool { return a.update(t, "u1").State == "installed" })
	until(t, "the other machine to know why it waits", func() bool {
		u := b.update(t, "u1")
		return u.State == "deferred" && u.Reason == string(policy.ReasonRingNotReached)
	})
	until(t, "the pilot's report", func() bool { return m.rollout("u1").Rings[0].Installed == 1 })
	if o := m.rollout("u1"); o.Next != "wait" || !o.Rings[1].OpenedAt.IsZero() {
		t.Fatalf("before anybody promoted: %+v", o)
	}
	if p, err := m.seed.Promote(context.Background(), api.PromoteRequest{Update: "u1"}); err != nil || !p.Published {
		t.Fatalf("%+v, %v", p, err)
	}
	until(t, "the rest to install", func() bool { return b.update(t, "u1").State == "installed" })
	if got, err := os.ReadFile(filepath.Join(b.root, "srv", "u1")); err != nil || !bytes.Equal(got, body) {
		t.Fatalf("installed file: %d bytes, %v", len(got), err)
	}
	if _, err := m.seed.Promote(context.Background(), api.PromoteRequest{Update: "u1"}); api.ClassOf(err) != api.ClassRefused {
		t.Errorf("promoted beyond the last ring: %v", err)
	}

	// The same again, with nobody in the way: the seed opens the next ring by itself.
	plan := m.seed.believer.current().Manifest().RingPlans[0]
	plan.Rings[0].Manual = false
	if _, err := m.seed.SetRings(context.Background(), api.RingsRequest{Plan: plan}); err != nil {
		t.Fatal(err)
	}
	m.file("u2", payload(1000))
	if _, err := m.seed.Approve(context.Background(), api.ApproveRequest{Update: "u2", Rings: "standard"}); err != nil {
		t.Fatal(err)
	}
	until(t, "the rest to install by itself", func() bool { return b.update(t, "u2").State == "installed" })
	if o := m.rollout("u2"); o.Next != "done" || o.Rings[0].Installed != 1 {
		t.Errorf("%+v", o)
	}
}

// R-B10, T19: an update that fails in the pilot ring reaches nobody else, and is held.
func TestRB10FailureInThePilotRingHoldsTheUpdate(t *testing.T) {
	t.Parallel()
	m, a, b := ringed(t, policy.Ring{FailCount: 1})
	id := a.id
	a.stop() // its report is written below: no file can be made to fail to install for the update's own sake
	plan := m.seed.believer.current().Manifest().RingPlans[0]
	plan.Rings[0].SoakMinutes = 60
	if _, err := m.seed.SetRings(context.Background(), api.RingsRequest{Plan: plan}); err != nil {
		t.Fatal(err)
	}
	m.file("u1", payload(1000))
	if _, err := m.seed.Approve(context.Background(), api.ApproveRequest{Update: "u1", Rings: "standard"}); err != nil {
		t.Fatal(err)
	}
	report := func(seq uint64, u api.Update) {
		t.Helper()
		body, err := json.Marshal(api.Machine{ID: id, Updates: []api.Update{u}})
		if err != nil {
			t.Fatal(err)
		}
		if newer, err := m.seed.seed.db.PutReport(id, seq, time.Now(), body); err != nil || !newer {
			t.Fatal(newer, err)
		}
	}
	report(1<<62, api.Update{Update: "u1", Revision: 1, State: "failed-install", Reason: "disk-short"})
	if err := m.seed.seed.turnRings(); err != nil {
		t.Fatal(err)
	}
	if o := m.rollout("u1"); o.Held || o.Next != "wait" || o.Group != "all" {
		t.Fatalf("a full disk of the pilot's stopped everybody: %+v", o)
	}
	report(1<<62+1, api.Update{Update: "u1", Revision: 1, State: "held", Reason: "policy-hold", Failures: 2})
	until(t, "the hold", func() bool { return m.rollout("u1").Held })
	until(t, "the hold to reach the other machine", func() bool { return b.update(t, "u1").State == "held" })
	if _, err := m.seed.Promote(context.Background(), api.PromoteRequest{Update: "u1"}); api.ClassOf(err) != api.ClassRefused {
		t.Errorf("promoted by hand after a failure: %v", err)
	}

	// Released, it is not held again for the failure that the admin has looked at.
	hold := m.seed.believer.current().Manifest().Holds[0]
	if _, err := m.seed.Release(context.Background(), api.ReleaseRequest{Hold: hold.ID}); err != nil {
		t.Fatal(err)
	}
	if err := m.seed.seed.turnRings(); err != nil {
		t.Fatal(err)
	}
	if o := m.rollout("u1"); o.Held || o.Rings[0].Failed != 1 || !strings.Contains(o.Why, "promote u1 --force") {
		t.Errorf("after the release: %+v", o)
	}
}

// Where the approver's key wants a passphrase, the seed cannot promote alone: it prepares the draft, once.
// And it signs nothing that others have put into a draft.
func TestRB10PromotionWaitsForAPassphrase(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "seed")
	if _, err := Found(FoundRequest{DataDir: dir, Org: "acme", Passphrase: "open sesame"}, time.Now); err != nil {
		t.Fatal(err)
	}
	n, err := OpenOffline(dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	ctx := context.Background()
	body := []byte("a patch")
	if _, err := n.Import(ctx, api.ImportRequest{FileName: "u1", SizeBytes: int64(len(body)), ID: "u1", Installer: "file", InstallerArgs: map[string]string{"dest": "/srv/u1"}}, bytes.NewReader(body)); err != nil {
		t.Fatal(err)
	}
	plan := policy.RingPlan{Name: "p", Rings: []policy.Ring{{Name: "one", Groups: []string{"unassigned"}, SkipEmpty: true}, {Name: "two", Groups: []string{"all"}}}}
	if _, err := n.SetRings(ctx, api.RingsRequest{Plan: plan, Passphrase: "open sesame"}); err != nil {
		t.Fatal(err)
	}
	if p, err := n.Approve(ctx, api.ApproveRequest{Update: "u1", Rings: "p", Passphrase: "open sesame"}); err != nil || !p.Published {
		t.Fatalf("%+v, %v", p, err)
	}
	if o, err := n.Rings(ctx, api.RingsQuery{}); err != nil || o.Rollouts[0].Next != "promote" {
		t.Fatalf("%+v, %v", o, err)
	}
	for range 2 {
		if err := n.seed.turnRings(); err != nil {
			t.Fatal(err)
		}
	}
	if opened := n.believer.current().Manifest().Approvals[0].RingsOpened; len(opened) != 1 {
		t.Fatalf("%d rings open without a signature", len(opened))
	}
	v, err := n.Draft(ctx, api.DraftQuery{})
	if err != nil || v.Signatures != 0 || len(v.Changes) != 1 {
		t.Fatalf("draft %+v, %v", v, err)
	}
	if p, err := n.Sign(ctx, api.SignRequest{Passphrase: "open sesame"}); err != nil || !p.Published {
		t.Fatalf("%+v, %v", p, err)
	}
	if opened := n.believer.current().Manifest().Approvals[0].RingsOpened; len(opened) != 2 {
		t.Errorf("%d rings open", len(opened))
	}
}
