package node

import (
	"context"
	"strings"
	"testing"

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
