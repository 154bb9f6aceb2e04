package node

import (
	"context"
	"strings"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// R-H11: the first ring opens with the evidence that it asks for as well, and no sooner.
func TestRH11TheFirstRingAsksForItsEvidenceToo(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	ctx := context.Background()
	plan := policy.RingPlan{Name: "p", Rings: []policy.Ring{
		{Name: "lab", Groups: []string{"unassigned"}, Evidence: []policy.Check{policy.CheckBusiness, policy.CheckEffectiveness}}, {Name: "broad", Groups: []string{"all"}, SoakMinutes: 60},
	}}
	if _, err := m.seed.SetRings(ctx, api.RingsRequest{Plan: plan}); err != nil {
		t.Fatal(err)
	}
	m.file("u1", payload(1000))
	along := api.ApproveRequest{Update: "u1", Rings: "p"}
	if p, err := m.seed.Approve(ctx, along); api.ClassOf(err) != api.ClassRefused || !strings.Contains(err.Error(), "business check: not recorded") {
		t.Fatalf("approved without evidence: %+v, %v", p, err)
	}
	if _, err := m.seed.RecordEvidence(ctx, api.EvidenceRequest{Update: "u1", Check: "business", Passed: true, By: "ann"}); err != nil {
		t.Fatal(err)
	}
	if p, err := m.seed.Approve(ctx, along); err != nil || !p.Published {
		t.Fatalf("%+v, %v", p, err)
	}
	m.file("u1", payload(2000)) // other bytes: nobody has tested those
	if _, err := m.seed.Approve(ctx, along); api.ClassOf(err) != api.ClassRefused {
		t.Fatalf("another revision went along with the evidence of the one before: %v", err)
	}
}

// R-H5: to take an update off along rings asks for the evidence of the first ring as an install does, and for a tried
// rollback besides; and it begins with the first ring, however far the install has come.
func TestRH5ARemovalAlongRingsAsksForEvidenceAndBeginsWithTheFirstRing(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	n, _ := openSeedFolder(t, "")
	plan := policy.RingPlan{Name: "p", Rings: []policy.Ring{
		{Name: "lab", Groups: []string{"unassigned"}, Evidence: []policy.Check{policy.CheckBusiness}, SkipEmpty: true}, {Name: "broad", Groups: []string{"all"}},
	}}
	if _, err := n.SetRings(ctx, api.RingsRequest{Plan: plan}); err != nil {
		t.Fatal(err)
	}
	bring(t, n, "u1", "a patch", nil)
	record := func(check string) {
		t.Helper()
		if _, err := n.RecordEvidence(ctx, api.EvidenceRequest{Update: "u1", Check: check, Passed: true, By: "ann"}); err != nil {
			t.Fatal(err)
		}
	}
	opened := func() int { return len(n.believer.current().Manifest().Approvals[0].RingsOpened) }
	record("business")
	if p, err := n.Approve(ctx, api.ApproveRequest{Update: "u1", Rings: "p"}); err != nil || !p.Published || len(p.Warnings) != 0 {
		t.Fatalf("%+v, %v", p, err)
	}
	if p, err := n.Promote(ctx, api.PromoteRequest{Update: "u1"}); err != nil || !p.Published || opened() != 2 {
		t.Fatalf("%+v, %v, %d rings", p, err, opened())
	}
	off := api.ApproveRequest{Update: "u1", Action: "remove", Rings: "p"}
	if p, err := n.Approve(ctx, off); api.ClassOf(err) != api.ClassRefused || !strings.Contains(err.Error(), "rollback check: not recorded") {
		t.Fatalf("taken off without evidence: %+v, %v", p, err)
	}
	if p, err := n.Approve(ctx, api.ApproveRequest{Update: "u1", Action: "remove", Rings: "p", Expedite: true}); err != nil || len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "rollback check: not recorded") {
		t.Fatalf("expedited: %+v, %v", p, err)
	}
	if _, err := n.Approve(ctx, api.ApproveRequest{Update: "u1", Rings: "p"}); err != nil {
		t.Fatal(err)
	}
	record("rollback")
	if p, err := n.Promote(ctx, api.PromoteRequest{Update: "u1"}); err != nil || !p.Published || opened() != 2 {
		t.Fatalf("%+v, %v, %d rings", p, err, opened())
	}
	if p, err := n.Approve(ctx, off); err != nil || !p.Published || len(p.Warnings) != 0 || opened() != 1 {
		t.Fatalf("tried, and refused or done everywhere at once: %+v, %v, %d rings", p, err, opened())
	}
}

// R-H11: a draft that an approval rule or the switch for revisions prepares opens the first ring as well: neither is made
// before the evidence is there, and the list of what rules fit says what is missing.
func TestRH11DraftsOfRulesAskForTheEvidenceOfTheFirstRing(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	n, wait := openSeedFolder(t, "")
	plan := policy.RingPlan{Name: "p", Rings: []policy.Ring{{Name: "lab", Groups: []string{"all"}, Evidence: []policy.Check{policy.CheckRestart, policy.CheckEffectiveness}}}}
	if _, err := n.SetRings(ctx, api.RingsRequest{Plan: plan}); err != nil {
		t.Fatal(err)
	}
	rule := policy.ApprovalRule{Name: "fast", Severities: []string{"critical"}, Group: "all", Action: policy.ActionInstall, RingPlan: "p"}
	if _, err := n.SetApprovalRule(ctx, api.RuleRequest{Rule: rule}); err != nil {
		t.Fatal(err)
	}
	if _, err := n.SetSetting(ctx, api.SettingRequest{Setting: policy.Setting{Name: policy.SetRevisions, Group: "all", Value: "any"}}); err != nil {
		t.Fatal(err)
	}
	refused := func(when string) {
		t.Helper()
		if p, err := n.Propose(ctx, api.ProposeRequest{}); err != nil || !p.Unchanged {
			t.Fatalf("%s: a draft was made: %+v, %v", when, p, err)
		}
		v, err := n.ApprovalRules(ctx, api.RulesQuery{})
		why := "ring lab of plan p opens with test evidence: restart check: "
		if err != nil || !strings.Contains(v.Matches[len(v.Matches)-1].Why, why) || v.Matches[len(v.Matches)-1].Proposed {
			t.Fatalf("%s: told as %+v, %v", when, v, err)
		}
	}
	propose := func(when string) {
		t.Helper()
		if _, err := n.RecordEvidence(ctx, api.EvidenceRequest{Update: "u1", Check: "restart", Passed: true, By: "ann"}); err != nil {
			t.Fatal(err)
		}
		if p, err := n.Propose(ctx, api.ProposeRequest{}); err != nil || p.Unchanged {
			t.Fatalf("%s: %+v, %v", when, p, err)
		}
		if p, err := n.Sign(ctx, api.SignRequest{}); err != nil || !p.Published {
			t.Fatalf("%s: %+v, %v", when, p, err)
		}
	}
	wait(2 * time.Second) // stamps are whole seconds
	bring(t, n, "u1", "a patch", nil)
	refused("new")
	propose("new and tested")
	bring(t, n, "u1", "another patch", nil)
	refused("another revision")
	propose("another revision, tested")
	bring(t, n, "u1", "another patch", func(r *api.ImportRequest) { r.Title = "a better name" })
	if p, err := n.Propose(ctx, api.ProposeRequest{}); err != nil || p.Unchanged {
		t.Errorf("a revision in which nothing but the title is new asks for tests: %+v, %v", p, err)
	}
}
