package node

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/policy"
)

// R-G8, R-C1: what is approved and does not come since the machine changes nothing by itself is not told as one that
// somebody should approve; who has said so, the group's policy or the machine's own file, is who can end it.
func TestRG8WhoIsApprovedAndChangesNothingIsToldWhoSaysSo(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	if err := os.WriteFile(filepath.Join(a.cfg.DataDir, "policy.json"), []byte(`{"settings":{"automation":"detect"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, "its own file to count", func() bool {
		p, err := a.Policy(ctx, api.PolicyQuery{})
		return err == nil && p.Local != ""
	})
	m.file("u1", payload(100))
	m.approve("u1")
	ask := func(owner, step string) {
		t.Helper()
		for _, n := range []*running{m.seed, a} {
			until(t, "the machine's word", func() bool {
				e, err := n.Explain(ctx, "u1", "a")
				return err == nil && e.Reason == string(policy.ReasonPolicyDeclined) && e.Owner == owner && strings.Contains(e.NextStep, step)
			})
		}
	}
	ask("machine", "policy.json")
	if _, err := m.seed.SetSetting(ctx, api.SettingRequest{Setting: policy.Setting{Group: "all", Name: policy.SetAutomation, Value: "off"}}); err != nil {
		t.Fatal(err)
	}
	ask("admin", "'patchmesh policy set automation=scheduled --group all'")
}

// R-M1, R-H5, R-G8: a mitigation whose end has come before its fix leaves an open machine, not nothing to do; and what
// cannot be removed since others need it is not mended by approving more.
func TestRM1RH5AnExplanationEndsWithWhatHelps(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	say := func(e explanation, updates ...api.Update) string {
		e.sharpen(updates)
		return e.Owner + ": " + e.NextStep
	}
	ended := explanation{Explanation: api.Explanation{Update: "shut", State: "removed", Owner: "nobody", NextStep: "nothing"}, action: policy.ActionInstall, standsFor: "fix", over: true}
	for want, got := range map[string]string{
		"admin: the machine is open again: see that fix is installed": say(ended, api.Update{Update: "fix", Compliance: "required"}),
		"nobody: nothing": say(ended, api.Update{Update: "fix", Compliance: "installed"}),
		"admin: something on the machine depends on it": say(explanation{Explanation: api.Explanation{Reason: "dep-missing"}, action: policy.ActionRemove}),
		"update: approve what is missing too":           say(explanation{Explanation: api.Explanation{Reason: "dep-missing", Owner: "update", NextStep: "approve what is missing too"}, action: policy.ActionInstall}),
	} {
		if !strings.HasPrefix(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	shut := &policy.Descriptor{Update: "shut", Revision: 1, Mitigates: "fix", MitigationEnds: now, Removable: true}
	man := &policy.Manifest{Approvals: []policy.Approval{{Update: "shut", Revision: 1, Group: "all", Action: policy.ActionInstall, Descriptor: content.Sum([]byte("shut"))}}}
	plan := policy.Plan{Verdicts: []policy.Verdict{{Update: "shut"}}}
	for about, want := range map[string]string{"shut": "it stands in for fix until 2026-03-02T00:00:00Z", "fix": "shut stood in for it until 2026-03-02T00:00:00Z, and does not any more"} {
		e := &explanation{Explanation: api.Explanation{Update: about}}
		explainStandIns(e, man, plan, func(content.ID) *policy.Descriptor { return shut }, now)
		if got := chainText(&e.Explanation); !strings.Contains(got, want) || e.over != (about == "shut") {
			t.Errorf("%s: %q", about, got)
		}
	}
}

// R-M1, R-B5: a mitigation that has ended is not approved as if it would come; to take it off is.
func TestRM1AnEndedMitigationIsNotApproved(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	n, ahead := openSeedFolder(t, "")
	bring(t, n, "fix", "a fix", nil)
	bring(t, n, "shut", "shut", func(r *api.ImportRequest) { r.Mitigates, r.MitigationEnds = "fix", time.Now().Add(24*time.Hour) })
	if p, err := n.Approve(ctx, api.ApproveRequest{Update: "shut", Group: "all"}); err != nil || !p.Published {
		t.Fatalf("%+v, %v", p, err)
	}
	ahead(25 * time.Hour)
	if _, err := n.Approve(ctx, api.ApproveRequest{Update: "shut", Group: "all"}); api.ClassOf(err) != api.ClassRefused || !strings.Contains(err.Error(), "has ended at") {
		t.Errorf("it was approved after its end: %v", err)
	}
	if p, err := n.Approve(ctx, api.ApproveRequest{Update: "shut", Group: "all", Action: "remove"}); err != nil || !p.Published {
		t.Errorf("%+v, %v", p, err)
	}
}

// R-B10, R-G8: where a promotion is prepared and lacks signatures, whoever waits is told to sign it.
func TestRB10WhoWaitsForAPromotionThatIsPreparedIsToldToSignIt(t *testing.T) {
	t.Parallel()
	at := time.Now()
	was := &policy.Approval{Update: "u1", RingPlan: "p", RingsOpened: []time.Time{at}}
	for want, c := range map[bool]policy.Change{
		true:  {WasApproval: was, Approval: &policy.Approval{Update: "u1", RingPlan: "p", RingsOpened: []time.Time{at, at}}},
		false: {WasApproval: was, Approval: &policy.Approval{Update: "u1", RingPlan: "p", RingsOpened: []time.Time{at}, IgnoreWindows: true}},
	} {
		if got := opensMore([]policy.Change{c}, "u1"); got != want || opensMore([]policy.Change{c}, "u2") {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
