package node

import (
	"context"
	"slices"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// R-G8: a machine that is asked about itself, running or stopped, never says of itself that it has fallen silent; of an
// update that is approved for others it says just that, and of one about which nobody has decided that.
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
	until(t, "both to be known", func() bool { return a.knownUpdate("u2") && a.update(t, "u1").State == "installed" })
	check := func(where string, e *api.Explanation, err error) {
		t.Helper()
		silent := func(f api.Fact) bool { return f.Step == "report" }
		if err != nil || e.State != "offered" || e.Reason != string(policy.ReasonPolicyDeclined) || e.Owner != "admin" || slices.ContainsFunc(e.Chain, silent) {
			t.Errorf("%s: %+v, %v", where, e, err)
		}
	}
	m.file("u3", payload(100))
	if e, err := m.seed.Explain(context.Background(), "u3", "a"); err != nil || e.Reason != string(policy.ReasonNotApproved) || e.Owner != "admin" {
		t.Errorf("imported, and nobody has decided: %+v, %v", e, err)
	}
	e, err := a.Explain(context.Background(), "u2", "a")
	check("running", e, err)
	a.stop()
	e, err = ExplainStopped(context.Background(), a.cfg.DataDir, "u2", "a", time.Now)
	check("stopped", e, err)
}
