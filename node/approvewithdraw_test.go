package node

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// R-B14, R-B2: an approval can be taken back. The group around it counts again, the machine installs nothing more of
// it, the log tells it, and the group can be dropped.
func TestRB14AnApprovalIsWithdrawn(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	ctx := context.Background()
	m.file("u1", payload(1000))
	if _, err := m.seed.SetGroup(ctx, api.GroupRequest{Group: policy.Group{Name: "lab"}}); err != nil {
		t.Fatal(err)
	}
	for _, r := range []api.ApproveRequest{{Update: "u1", Group: "all", Action: "detect-only"}, {Update: "u1", Group: "lab"}, {Update: "u1", Group: "office"}} {
		if r.Group == "office" {
			m.closedNow() // so that it is here, and waits
		}
		if p, err := m.seed.Approve(ctx, r); err != nil || !p.Published {
			t.Fatalf("%+v, %v", p, err)
		}
	}
	until(t, "it to wait for its window", func() bool { return a.update(t, "u1").State == "waiting-window" })
	for _, bad := range []api.ApproveRequest{{Update: "u1", Group: "unassigned", Withdraw: true}, {Update: "u2", Group: "office", Withdraw: true}} {
		if _, err := m.seed.Approve(ctx, bad); api.ClassOf(err) != api.ClassNotFound {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if _, err := m.seed.Approve(ctx, api.ApproveRequest{Update: "u1", Group: "office", Withdraw: true, Expedite: true}); api.ClassOf(err) != api.ClassUsage {
		t.Errorf("half withdrawn: %v", err)
	}
	for _, g := range []string{"office", "lab"} {
		p, err := m.seed.Approve(ctx, api.ApproveRequest{Update: "u1", Group: g, Withdraw: true, Reason: "wrong group"})
		if err != nil || !p.Published {
			t.Fatalf("%s: %+v, %v", g, p, err)
		}
	}
	until(t, "the word for all machines to count", func() bool { return a.update(t, "u1").State == "offered" })
	if _, err := m.seed.SetWindow(ctx, api.WindowRequest{Window: policy.Window{ID: "far"}, Drop: true}); err != nil {
		t.Fatal(err)
	}
	m.file("u2", payload(2000)) // whatever comes after it has come through
	m.approve("u2")
	until(t, "the next one to be installed", func() bool { return a.update(t, "u2").State == "installed" })
	if _, err := os.Stat(filepath.Join(a.root, "srv", "u1")); err == nil || a.update(t, "u1").State != "offered" {
		t.Errorf("what was withdrawn is installed: %+v", a.update(t, "u1"))
	}
	log, err := m.seed.ApprovalLog(ctx, api.LogQuery{})
	if err != nil {
		t.Fatal(err)
	}
	withdrawn := 0
	for _, e := range log.Entries {
		for _, c := range e.Changes {
			if strings.HasPrefix(c, "- approval  install u1 revision 1") && e.Reason == "wrong group" {
				withdrawn++
			}
		}
	}
	if withdrawn != 2 {
		t.Errorf("%d withdrawals in the log: %+v", withdrawn, log.Entries)
	}
	if _, err := m.seed.SetGroup(ctx, api.GroupRequest{Group: policy.Group{Name: "lab"}, Drop: true}); err != nil {
		t.Errorf("the group is still in use: %v", err)
	}
}

// R-A9: an approval names a revision. The older one can be approved again, and then the machine has that.
func TestRA9AnOlderRevisionIsApprovedAgain(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	ctx := context.Background()
	good, bad := payload(1000), payload(2000)
	m.file("u1", good)
	m.file("u1", bad)
	there := func(want []byte) func() bool {
		return func() bool {
			got, err := os.ReadFile(filepath.Join(a.root, "srv", "u1"))
			return err == nil && bytes.Equal(got, want) && a.update(t, "u1").State == "installed"
		}
	}
	m.approve("u1")
	until(t, "the newest revision to be installed", there(bad))
	if _, err := m.seed.Approve(ctx, api.ApproveRequest{Update: "u1", Group: "office", Revision: 3}); api.ClassOf(err) != api.ClassNotFound {
		t.Errorf("a revision that there is not: %v", err)
	}
	if p, err := m.seed.Approve(ctx, api.ApproveRequest{Update: "u1", Group: "office", Revision: 1}); err != nil || !p.Published {
		t.Fatalf("%+v, %v", p, err)
	}
	until(t, "the older revision to be installed", there(good))
	e, err := m.seed.Explain(ctx, "u1", "a")
	if err != nil || !strings.Contains(chainText(e), "of revision 1 is approved") || !strings.Contains(chainText(e), "revision 2 is the newest in the catalogue") {
		t.Errorf("%+v, %v", e, err)
	}
}
