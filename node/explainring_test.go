package node

import (
	"context"
	"strings"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// R-B9, R-B10, R-G8: a machine whose ring waits behind one in which no machine needs the update is told so: since when,
// who decides, and the commands that end it; where the ring before it has machines, what those still have to show.
func TestRB10AnEmptyRingIsToldToThoseWhoWaitBehindIt(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	n, _ := openSeedFolder(t, "")
	waiting := newMachine(t, n.seed, time.Now)
	rings := []policy.Ring{{Name: "lab", Groups: []string{"lab"}, SoakMinutes: 60, FailCount: 1}, {Name: "broad", Groups: []string{"unassigned"}, FailPercent: 5}}
	set := func(first policy.Ring) {
		t.Helper()
		if _, err := n.SetRings(ctx, api.RingsRequest{Plan: policy.RingPlan{Name: "p", Rings: []policy.Ring{first, rings[1]}}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.db.PutGroup("lab", ""); err != nil {
		t.Fatal(err)
	}
	set(rings[0])
	bring(t, n, "u1", "a patch", nil)
	if p, err := n.Approve(ctx, api.ApproveRequest{Update: "u1", Rings: "p"}); err != nil || !p.Published {
		t.Fatalf("%+v, %v", p, err)
	}
	since := n.believer.current().Manifest().Approvals[0].OpenedAt(0).UTC().Format(time.RFC3339)
	reported(t, n.seed, waiting, 1, api.Update{Update: "u1", Revision: 1, Compliance: "required", State: "offered", Reason: string(policy.ReasonRingNotReached)})
	explain := func() *api.Explanation {
		t.Helper()
		e, err := n.Explain(ctx, "u1", waiting)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	e := explain()
	for _, want := range []string{
		"none of its 0 machines needs the update since it was opened at " + since, "an admin decides",
		"patchmesh rings set p --ring 'lab:groups=lab,success=0,soak=60m,skip-empty,fail=1' --ring 'broad:groups=unassigned,success=0,fail=5%'",
	} {
		if !strings.Contains(chainText(e), want) {
			t.Errorf("no %q in\n%s", want, chainText(e))
		}
	}
	if e.Owner != "admin" || !strings.Contains(e.NextStep, "'patchmesh promote u1'") || !strings.Contains(e.NextStep, "skip-empty in ring lab") {
		t.Errorf("%s: %s", e.Owner, e.NextStep)
	}
	skipping := rings[0]
	skipping.SkipEmpty = true
	set(skipping)
	if e := explain(); strings.Contains(chainText(e)+e.NextStep, "skip-empty") || !strings.Contains(chainText(e), "it soaks until") {
		t.Errorf("where the plan passes it: %s\nnext: %s", chainText(e), e.NextStep)
	}
	apart := rings[0]
	apart.Groups = []string{"unassigned"}
	set(apart)
	if e := explain(); strings.Contains(chainText(e)+e.NextStep, "none of its") {
		t.Errorf("in the open ring: %s\nnext: %s", chainText(e), e.NextStep)
	}
	rings[1].Groups = []string{"lab"}
	set(rings[0])
	if e := explain(); !strings.Contains(e.NextStep, "put one of the machine's groups into a ring of plan p") {
		t.Errorf("in no ring: %s\nnext: %s", chainText(e), e.NextStep)
	}
}
