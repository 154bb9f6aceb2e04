package node

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// R-G8, R-B1: a machine that is asked about itself, running or stopped, never says of itself that it has fallen silent; of
// an update that is approved for others it says for whom, and that it is not approved here; of one about which nobody has
// decided just that.
func TestRG8AMachineIsNotSilentToItself(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	m.file("u1", payload(100))
	m.approve("u1")
	if _, err := m.seed.SetGroup(context.Background(), api.GroupRequest{Group: policy.Group{Name: "tills"}}); err != nil {
		t.Fatal(err)
	}
	m.file("u2", payload(100))
	if _, err := m.seed.Approve(context.Background(), api.ApproveRequest{Update: "u2", Group: "tills"}); err != nil {
		t.Fatal(err)
	}
	until(t, "both to be known", func() bool { return a.update(t, "u2").State == "offered" && a.update(t, "u1").State == "installed" })
	check := func(where string, e *api.Explanation, err error) {
		t.Helper()
		silent := func(f api.Fact) bool { return f.Step == "report" }
		if err != nil || e.State != "offered" || e.Reason != string(policy.ReasonNotApproved) || e.Owner != "admin" || slices.ContainsFunc(e.Chain, silent) {
			t.Fatalf("%s: %+v, %v", where, e, err)
		}
		if !strings.Contains(chainText(e), "install of revision 1 is approved for group tills, which this machine is not in") || !strings.Contains(e.NextStep, "tills") || len(e.Losing) > 0 {
			t.Errorf("%s, for whom it is approved: %+v", where, e)
		}
	}
	m.file("u3", payload(100))
	if e, err := m.seed.Explain(context.Background(), "u3", "a"); err != nil || e.Reason != string(policy.ReasonNotApproved) || e.Owner != "admin" || strings.Contains(chainText(e), "not in") {
		t.Errorf("imported, and nobody has decided: %+v, %v", e, err)
	}
	e, err := a.Explain(context.Background(), "u2", "a")
	check("running", e, err)
	a.stop()
	e, err = ExplainStopped(context.Background(), a.cfg.DataDir, "u2", "a", time.Now)
	check("stopped", e, err)
}
