package node

import (
	"context"
	"strings"
	"testing"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// R-C11: what a machine does not take it neither fetches nor installs, and says so; once its group takes it, it is
// installed.
func TestRC11ExplainSaysThatAMachineDoesNotTakeTheKind(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	m := newMesh(t)
	m.join("a")
	take := func(value string) {
		r := api.SettingRequest{Setting: policy.Setting{Name: policy.SetTakeClasses, Group: "office", Value: value}}
		if p, err := m.seed.SetSetting(ctx, r); err != nil || !p.Published {
			t.Fatalf("%+v, %v", p, err)
		}
	}
	take("security")
	a := m.run("a", Config{Egress: EgressYes})
	m.file("u1", payload(1000)) // of class other
	m.approve("u1")
	until(t, "the machine to see that it does not take it", func() bool { return a.update(t, "u1").Reason == string(policy.ReasonPolicyClass) })
	if u := a.update(t, "u1"); u.HaveBytes != 0 {
		t.Errorf("it was fetched: %+v", u)
	}
	e, err := a.Explain(ctx, "u1", "a")
	if err != nil || e.Reason != string(policy.ReasonPolicyClass) || e.Owner != "admin" || !strings.Contains(e.NextStep, "policy show") {
		t.Errorf("%+v, %v", e, err)
	}
	take("security,other")
	until(t, "it to be installed", func() bool { return a.update(t, "u1").State == "installed" })
}
