package node

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// R-B1: an update that is approved for one group before it was ever listed is looked for by the machines of all others,
// too: the seed's status has it as needed, there, or not for them, each not approved, nothing of it is fetched, and explain
// says for whom it is approved. The machines of the group itself go by the approval, as if there were no list.
func TestRB1ApprovedForOneGroupIsLookedForByTheOthers(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	m := newMesh(t)
	inv, err := m.seed.Invite(ctx, api.InviteRequest{Site: "main", Groups: []string{"tills"}, Uses: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Join(ctx, JoinRequest{DataDir: filepath.Join(m.dir, "till"), Token: inv.Token, Name: "till"}, time.Now); err != nil {
		t.Fatal(err)
	}
	till, desk := m.run("till", Config{Egress: EgressYes}), m.machine("desk", "", Config{Egress: EgressYes})
	body := payload(3000)
	if err := os.MkdirAll(filepath.Join(desk.root, "srv"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(desk.root, "srv", "there"), body, 0o644); err != nil { // by somebody else
		t.Fatal(err)
	}
	m.file("needed", payload(4000))
	m.file("there", body)
	bring(t, m.seed.Node, "foreign", "for tills", func(r *api.ImportRequest) { r.Applicable = json.RawMessage(`{"file":{"path":"/etc/till"}}`) })
	for _, id := range []string{"needed", "there", "foreign"} {
		if p, err := m.seed.Approve(ctx, api.ApproveRequest{Update: id, Group: "tills"}); err != nil || !p.Published || id == "needed" && !slices.Equal(p.Listed, []string{"foreign", "needed", "there"}) {
			t.Fatalf("%s: %+v, %v", id, p, err)
		}
	}
	row := func(update string) (u api.Update) {
		f, err := m.seed.Status(ctx, api.StatusQuery{Machine: "desk"})
		if err != nil {
			t.Fatal(err)
		}
		if i := slices.IndexFunc(f.Machines[0].Updates, func(u api.Update) bool { return u.Update == update }); i >= 0 {
			u = f.Machines[0].Updates[i]
		}
		return u
	}
	for id, want := range map[string]policy.Compliance{"needed": policy.Required, "there": policy.Installed, "foreign": policy.NotApplicable} {
		until(t, id+" to be told of by the machine that it is not approved for", func() bool { return row(id).Compliance == string(want) })
		if u := row(id); want != policy.NotApplicable && u.Reason != string(policy.ReasonNotApproved) || u.HaveBytes != 0 || u.Bytes.WAN() != 0 {
			t.Errorf("%s: %+v", id, u)
		}
	}
	for where, n := range map[string]*Node{"the seed": m.seed.Node, "itself": desk.Node} {
		until(t, where+" to explain that it is approved for others", func() bool { // what a machine shows of itself is a moment old
			e, err := n.Explain(ctx, "needed", "desk")
			return err == nil && e.State == "offered" && e.Reason == string(policy.ReasonNotApproved) && strings.Contains(chainText(e), "approved for group tills, which this machine is not in")
		})
	}
	until(t, "the other one to install it", func() bool { return till.update(t, "needed").State == "installed" })
	e, err := m.seed.Explain(ctx, "needed", "till")
	if err != nil || len(e.Losing) != 0 || strings.Contains(chainText(e), "not in") || !strings.Contains(chainText(e), "approved for group tills") {
		t.Errorf("for the machine that it is approved for: %+v, %v", e, err)
	}
	if _, err := os.Stat(filepath.Join(desk.root, "srv", "needed")); err == nil {
		t.Error("it was installed where it is not approved")
	}
}

// R-B1: an approval for one group is one thing to sign and one version of the approvals, with the keys here or elsewhere:
// that the others look for it is shown and signed with it. It stands unchanged afterwards, and no withdrawal means it.
func TestRB1ApprovedForOneGroupIsSignedOnce(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	n, wait := openSeedFolder(t, "")
	if _, err := n.SetGroup(ctx, api.GroupRequest{Group: policy.Group{Name: "tills"}}); err != nil {
		t.Fatal(err)
	}
	bring(t, n, "u1", "bytes of u1", nil)
	before := n.believer.current()
	back := takeHome(t, n.cfg.DataDir)
	p, err := n.Approve(ctx, api.ApproveRequest{Update: "u1", Group: "tills"})
	if err != nil || p.Published || !slices.Equal(p.Listed, []string{"u1"}) {
		t.Fatalf("%+v, %v", p, err)
	}
	v, err := n.Draft(ctx, api.DraftQuery{})
	if err != nil {
		t.Fatal(err)
	}
	shown := ""
	for _, c := range v.Changes {
		shown += c.Text + "\n"
	}
	if !strings.Contains(shown, "install u1 revision 1 for group tills") || !strings.Contains(shown, "detect-only u1 revision 1 for group all") {
		t.Errorf("what is shown before it is signed:\n%s", shown)
	}
	back()
	if p, err := n.Sign(ctx, api.SignRequest{Digest: v.Digest}); err != nil || !p.Published {
		t.Fatalf("%+v, %v", p, err)
	}
	after := n.believer.current()
	if after.Epoch() != before.Epoch()+1 || after.HeadVersion() != before.HeadVersion()+1 || approvedIDs(n) != "u1:install" || listedHere(n) != "u1" {
		t.Errorf("epoch %d, head %d; before %d, %d: %s, %s", after.Epoch(), after.HeadVersion(), before.Epoch(), before.HeadVersion(), approvedIDs(n), listedHere(n))
	}
	listed := func() policy.Approval {
		all := n.believer.current().Manifest().Approvals
		return all[slices.IndexFunc(all, policy.Approval.Listed)]
	}
	was := listed()
	wait(time.Hour)
	if p, err := n.Approve(ctx, api.ApproveRequest{Update: "u1", Group: "tills", Expedite: true}); err != nil || !p.Published || len(p.Listed) != 0 || !listed().At.Equal(was.At) {
		t.Errorf("approved anew: %+v, %v: %+v", p, err, listed())
	}
	_, err = n.Approve(ctx, api.ApproveRequest{Update: "u1", Group: "unassigned", Withdraw: true})
	var e *api.Error
	if !errors.As(err, &e) || e.Class != api.ClassNotFound || !strings.HasSuffix(e.Hint, "approved for: tills") {
		t.Errorf("withdrawn for a group without an approval: %+v", err)
	}
	if p, err := n.Approve(ctx, api.ApproveRequest{Update: "u1", Group: "all", Action: "decline"}); err != nil || len(p.Listed) != 0 || listedHere(n) != "" {
		t.Errorf("declined for all: %+v, %v: %s", p, err, listedHere(n))
	}
}
