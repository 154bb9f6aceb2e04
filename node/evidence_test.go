package node

import (
	"context"
	"slices"
	"strings"
	"testing"

	"patchmesh/node/api"
	"patchmesh/node/control"
	"patchmesh/policy"
)

func TestRH11PromotionWaitsForTheEvidenceAndGoesOnByItself(t *testing.T) {
	t.Parallel()
	m, a, b := ringed(t, policy.Ring{SuccessCount: 1, FailCount: 1})
	plan := m.seed.believer.current().Manifest().RingPlans[0]
	plan.Rings[1].Evidence = []policy.Check{policy.CheckBusiness, policy.CheckEffectiveness}
	if _, err := m.seed.SetRings(context.Background(), api.RingsRequest{Plan: plan}); err != nil {
		t.Fatal(err)
	}
	m.file("u1", payload(10_000))
	// What was tested of the revision before says nothing about the one that is approved.
	if _, err := m.seed.RecordEvidence(context.Background(), api.EvidenceRequest{Update: "u1", Check: "business", Passed: true, By: "ann"}); err != nil {
		t.Fatal(err)
	}
	m.file("u1", payload(20_000))
	if _, err := m.seed.Approve(context.Background(), api.ApproveRequest{Update: "u1", Rings: "standard"}); err != nil {
		t.Fatal(err)
	}
	until(t, "the pilot to install", func() bool { return a.update(t, "u1").State == "installed" })
	until(t, "the pilot's report", func() bool { return m.rollout("u1").Rings[0].Installed == 1 })
	if o := m.rollout("u1"); o.Next != "wait" || !strings.Contains(o.Why, "business check: changed since tested") || strings.Contains(o.Why, "effectiveness") {
		t.Fatalf("before it was tested: %+v", o)
	}
	if _, err := m.seed.Promote(context.Background(), api.PromoteRequest{Update: "u1", Force: true}); api.ClassOf(err) != api.ClassRefused {
		t.Fatalf("promoted by hand without evidence: %v", err)
	}
	// Over the local socket, as people do: the books say who it was.
	local, err := control.Dial(m.seed.cfg.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	e, err := local.RecordEvidence(context.Background(), api.EvidenceRequest{Update: "u1", Check: "business", Passed: true, By: "ann", Note: "till 4"})
	if err != nil || len(e.Records) != 1 || !e.Checks[0].OK || !strings.Contains(e.Records[0].By, "ann") || e.Records[0].At.IsZero() {
		t.Fatalf("%+v, %v", e, err)
	}
	until(t, "the rest to install", func() bool { return b.update(t, "u1").State == "installed" })
	log, err := m.seed.ApprovalLog(context.Background(), api.LogQuery{})
	if err != nil || !slices.ContainsFunc(log.Entries, func(e api.LogEntry) bool {
		return strings.Contains(e.Reason, "business check: passed, by ") && strings.Contains(e.Reason, "effectiveness check: found on 1 of 1")
	}) {
		t.Errorf("what the promotion rests on is not in the approval log: %+v, %v", log, err)
	}
	for name, r := range map[string]api.EvidenceRequest{
		"effectiveness": {Update: "u1", Check: "effectiveness", Passed: true}, "another check": {Update: "u1", Check: "beauty", Passed: true},
	} {
		if _, err := local.RecordEvidence(context.Background(), r); api.ClassOf(err) != api.ClassUsage {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := local.RecordEvidence(context.Background(), api.EvidenceRequest{Update: "u1", Revision: 1, Check: "restart", Passed: true}); api.ClassOf(err) != api.ClassRefused {
		t.Errorf("an old revision: %v", err)
	}
	if _, err := local.Evidence(context.Background(), api.EvidenceQuery{Update: "nothing"}); api.ClassOf(err) != api.ClassNotFound {
		t.Errorf("no such update: %v", err)
	}
}
