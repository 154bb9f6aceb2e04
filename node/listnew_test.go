package node

import (
	"context"
	"slices"
	"strings"
	"testing"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// listedHere are the updates that the approvals in force list.
func listedHere(n *Node) string {
	var out []string
	for _, a := range n.believer.current().Manifest().Approvals {
		if a.Listed() {
			out = append(out, string(a.Update))
		}
	}
	return strings.Join(out, " ")
}

// R-B1: an import says what becomes of it; what nobody decided about joins what is signed next, and is named there;
// to approve or decline it takes it out, as does the switch.
func TestRB1ImportsJoinTheNextApprovalsAsDetectOnly(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	n, _ := openSeedFolder(t, "")
	epoch := n.believer.current().Epoch()
	for _, id := range []string{"a", "b", "c"} {
		if i := bring(t, n, id, "bytes of "+id, nil); i.Listing != api.ListingNext {
			t.Fatalf("%+v", i)
		}
	}
	if n.believer.current().Epoch() != epoch {
		t.Fatal("an import was published")
	}
	p, err := n.Approve(ctx, api.ApproveRequest{Update: "b", Group: "all"})
	if err != nil || !slices.Equal(p.Listed, []string{"a", "c"}) || listedHere(n) != "a c" || approvedIDs(n) != "b:install" {
		t.Fatalf("%+v, %v: %s, %s", p, err, listedHere(n), approvedIDs(n))
	}
	if p.Machines != 0 || !strings.Contains(p.DeadlineBy, "deadline-critical=168h for group all") {
		t.Errorf("%+v", p)
	}
	if i := bring(t, n, "a", "bytes of a", nil); i.Listing != "" || !i.Unchanged {
		t.Errorf("listed already: %+v", i)
	}
	if p, err = n.Approve(ctx, api.ApproveRequest{Update: "a", Group: "all", Action: "decline"}); err != nil || len(p.Listed) != 0 || listedHere(n) != "c" {
		t.Fatalf("%+v, %v: %s", p, err, listedHere(n))
	}
	if _, err := n.Approve(ctx, api.ApproveRequest{Update: "c", Group: "all", Withdraw: true}); api.ClassOf(err) != api.ClassNotFound || !strings.Contains(err.Error(), "nobody has decided") {
		t.Fatalf("what is only listed was withdrawn: %v", err)
	}
	if p, err = n.Approve(ctx, api.ApproveRequest{Update: "a", Group: "all", Action: "detect-only"}); err != nil || len(p.Listed) != 0 || listedHere(n) != "a c" {
		t.Fatalf("said by somebody, not by nobody: %+v, %v: %s", p, err, listedHere(n))
	}
	if _, err = n.Approve(ctx, api.ApproveRequest{Update: "a", Group: "all", Action: "decline"}); err != nil {
		t.Fatal(err)
	}
	if p, err = n.Approve(ctx, api.ApproveRequest{Update: "c", Group: "unassigned"}); err != nil || listedHere(n) != "c" {
		t.Fatalf("approved for some, looked for by the others: %+v, %v: %s", p, err, listedHere(n))
	}
	if _, err := n.SetSetting(ctx, api.SettingRequest{Setting: policy.Setting{Name: policy.SetListNew, Group: policy.GroupAll, Value: "no"}}); err != nil || listedHere(n) != "" {
		t.Fatalf("switched off: %v: %s", err, listedHere(n))
	}
	if i := bring(t, n, "d", "bytes of d", nil); i.Listing != api.ListingOff {
		t.Errorf("%+v", i)
	}
	if got := approvedIDs(n); got != "a:decline b:install c:install" {
		t.Errorf("decided: %s", got)
	}
}

// R-B1: a machine tells of an update that nobody approved whether it has it, and fetches nothing of it; once it is
// approved it goes on as ever.
func TestRB1MachinesReportWhatNobodyApproved(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	m.file("seen", payload(5000))
	m.file("u1", payload(1000))
	m.approve("u1")
	until(t, "the approved one to be installed", func() bool { return a.update(t, "u1").State == "installed" })
	until(t, "the other one to be looked for", func() bool { return a.update(t, "seen").Compliance == string(policy.Required) })
	if u := a.update(t, "seen"); u.Reason != string(policy.ReasonNotApproved) || u.State != "offered" || u.HaveBytes != 0 || u.Bytes.WAN() != 0 {
		t.Errorf("%+v", u)
	}
	e, err := a.Explain(context.Background(), "seen", "a")
	if err != nil || e.Reason != string(policy.ReasonNotApproved) || e.Owner != "admin" {
		t.Errorf("%+v, %v", e, err)
	}
	m.approve("seen")
	until(t, "it to be installed", func() bool { return a.update(t, "seen").State == "installed" })
}

// R-B5: a deadline by the machines' own clocks is signed as such, and refused where it means nothing or the installer
// asks the user.
func TestRB5LocalDeadlines(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	n, _ := openSeedFolder(t, "")
	bring(t, n, "plain", "x", nil)
	bring(t, n, "asks", "y", func(r *api.ImportRequest) { r.AsksUser = "maybe" })
	at := n.cfg.Now().UTC().Truncate(1e9).AddDate(0, 1, 0)
	for name, r := range map[string]api.ApproveRequest{
		"without a time": {Update: "plain", Group: "all", LocalTime: true}, "of what asks": {Update: "asks", Group: "all", LocalTime: true, Deadline: at},
	} {
		if p, err := n.Approve(ctx, r); err == nil {
			t.Errorf("%s: %+v", name, p)
		}
	}
	p, err := n.Approve(ctx, api.ApproveRequest{Update: "plain", Group: "all", LocalTime: true, Deadline: at})
	if err != nil || p.DeadlineBy != "" {
		t.Fatalf("%+v, %v", p, err)
	}
	i := slices.IndexFunc(n.believer.current().Manifest().Approvals, func(a policy.Approval) bool { return a.Update == "plain" })
	if a := n.believer.current().Manifest().Approvals[i]; !a.LocalTime || !a.Deadline.Equal(at) {
		t.Errorf("%+v", a)
	}
}
