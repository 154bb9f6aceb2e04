package node

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// says puts a report of a machine that does not run into the books of the seed.
func (m *mesh) says(id string, seq uint64, u api.Update) {
	m.t.Helper()
	body, err := json.Marshal(api.Machine{ID: id, Updates: []api.Update{u}})
	if err != nil {
		m.t.Fatal(err)
	}
	if newer, err := m.seed.seed.db.PutReport(id, 1<<62+seq, time.Now(), body); err != nil || !newer {
		m.t.Fatal(newer, err)
	}
}

// R-B10, R-B11, R-B13: a hold that has ended, one for machines of another kind and one of a group leave the automatic
// halt on, and promotion too.
func TestRB10OnlyAHoldOfEveryMachineInForceStopsTheRings(t *testing.T) {
	t.Parallel()
	m, a, _ := ringed(t, policy.Ring{FailCount: 1, SuccessCount: 1, SoakMinutes: 60})
	ctx := context.Background()
	id := a.id
	a.stop()
	m.file("u1", payload(1000))
	if _, err := m.seed.Approve(ctx, api.ApproveRequest{Update: "u1", Rings: "standard"}); err != nil {
		t.Fatal(err)
	}
	hold := func(r api.HoldRequest) string {
		t.Helper()
		p, err := m.seed.Hold(ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		return p.Hold
	}
	end := time.Now().Add(3 * time.Second)
	hold(api.HoldRequest{Update: "u1", HoldScope: api.HoldScope{Kind: "safeguard", Match: api.HoldMatch{OS: []string{"plan9"}}}, Reason: "KI-1"})
	hold(api.HoldRequest{Update: "u1", Group: "office", Reason: "till 4 first"})
	if m.rollout("u1").Held {
		t.Fatal("a safeguard of other machines and a hold of one group hold all")
	}
	hold(api.HoldRequest{Update: "all", HoldScope: api.HoldScope{Kind: "freeze", ExpiresAt: end}, Reason: "month end"})
	every := hold(api.HoldRequest{Update: "u1", Group: "all", Reason: "wait"})
	if !m.rollout("u1").Held {
		t.Fatal("a hold of the group all holds nobody")
	}
	if _, err := m.seed.Release(ctx, api.ReleaseRequest{Hold: every}); err != nil {
		t.Fatal(err)
	}
	until(t, "the end of the freeze", func() bool { return !m.rollout("u1").Held })
	if time.Now().Before(end.Truncate(time.Second)) {
		t.Fatal("the freeze has ended early")
	}
	if p, err := m.seed.Promote(ctx, api.PromoteRequest{Update: "u1"}); err != nil || !p.Published {
		t.Fatalf("promotion by hand after the freeze: %+v, %v", p, err)
	}
	m.says(id, 1, api.Update{Update: "u1", Revision: 1, State: "held", Failures: 1})
	until(t, "the halt", func() bool { return m.rollout("u1").Held })
}
