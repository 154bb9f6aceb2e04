package node

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"patchmesh/node/api"
	"patchmesh/policy"
	"patchmesh/swarm"
)

// R-G8, R-B10: an update whose approval lacks signatures is not told as one that nobody has approved.
func TestRG8ADraftThatWaitsIsPartOfTheExplanation(t *testing.T) {
	t.Parallel()
	e := &explanation{Explanation: api.Explanation{Update: "u1"}}
	changes := []policy.Change{
		{Approval: &policy.Approval{Update: "u2", Revision: 1, Group: "all", Action: policy.ActionInstall}},
		{Approval: &policy.Approval{Update: "u1", Revision: 3, Group: "office", Action: policy.ActionInstall}},
		{Hold: &policy.Hold{ID: "h-1", Update: policy.AllUpdates, Reason: "freeze"}},
		{WasHold: &policy.Hold{ID: "h-2", Update: "u1", Reason: "over"}},
	}
	got := strings.Join(draftSays(changes, e.Update), "; ")
	if got != "install of revision 3 for group office; hold h-1: freeze; the end of hold h-2" {
		t.Error(got)
	}
	ctx := context.Background()
	m := newMesh(t)
	m.machine("a", "", Config{Egress: EgressYes})
	m.file("u1", payload(100))
	until(t, "its first report", func() bool {
		x, err := m.seed.Explain(ctx, "u1", "a")
		return err == nil && x.Reason == string(policy.ReasonNotApproved)
	})
	back := takeHome(t, filepath.Join(m.dir, "seed"))
	if p, err := m.seed.Approve(ctx, api.ApproveRequest{Update: "u1", Group: "office"}); err != nil || p.Published {
		t.Fatalf("%+v, %v", p, err)
	}
	x, err := m.seed.Explain(ctx, "u1", "a")
	if err != nil || !strings.Contains(chainText(x), "install of revision 1 for group office") || !strings.Contains(x.NextStep, "patchmesh sign") {
		t.Errorf("%+v, %v", x, err)
	}
	back()
	if p, err := m.seed.Sign(ctx, api.SignRequest{}); err != nil || !p.Published || p.Machines != 1 {
		t.Errorf("whom it reaches, once it is signed: %+v, %v", p, err)
	}
}

// R-G8: --fix is offered only where looking again can change something, and what nobody has decided about is no trouble.
func TestRG8DoctorPromisesNoMendingThatTakesApprovers(t *testing.T) {
	t.Parallel()
	for _, k := range []swarm.TaskView{
		{State: policy.StateHeld, Reason: policy.ReasonPolicyBrake, Verdict: policy.Verdict{Hold: "brake.1"}},
		{State: policy.StateFailedInstall, Reason: policy.ReasonInstallerExit, Verdict: policy.Verdict{Hold: "h-1"}},
		{State: policy.StateWaitingWindow, Reason: policy.ReasonWindowLate}, {State: policy.StateRolledBack, Reason: policy.ReasonInstallerExit},
	} {
		if lookingHelps(k) {
			t.Errorf("%+v", k)
		}
	}
	if !lookingHelps(swarm.TaskView{State: policy.StateFailedVerify, Reason: policy.ReasonVerifyNotDetected}) {
		t.Error("what may be there by now is not looked for")
	}
	e := &examination{}
	e.judge(api.Update{Update: "u1", State: policy.StateOffered.String(), Reason: string(policy.ReasonNotApproved)}, nil)
	if e.judge(api.Update{Update: "u2", State: policy.StateHeld.String(), Reason: string(policy.ReasonPolicyBrake)}, nil); !e.Findings[0].OK || e.Findings[1].OK {
		t.Errorf("%+v", e.Findings)
	}
}
