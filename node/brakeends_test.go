package node

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// R-B10: a role that may hold for all cannot take off what the seed has braked: its hold, of an hour or released again, is
// no word of the approvers, and when it ends the brake still stands.
func TestRB10ARoleTakesNoBrakeOff(t *testing.T) {
	ctx := context.Background()
	at := time.Now()
	n, _, back := haltedSeed(t, func() time.Time { return at })
	k, err := NewKey(filepath.Join(n.cfg.DataDir, "keys"), "bob", "")
	if err != nil {
		t.Fatal(err)
	}
	back()
	if p, err := n.Grant(ctx, api.GrantRequest{Role: "ops", Groups: []string{"all"}, Actions: []string{"hold"}, Keys: []string{k.PEM}, Threshold: 1}); err != nil || !p.Published {
		t.Fatalf("%+v, %v", p, err)
	}
	takeHome(t, n.cfg.DataDir)
	turn(t, n.seed)
	if kinds := n.holdKinds(); len(kinds) != 1 || kinds[0] != policy.HoldBrake {
		t.Fatalf("holds %v", kinds)
	}
	if p, err := n.Hold(ctx, api.HoldRequest{Update: "u1", Reason: "for an hour", Role: "ops", HoldScope: api.HoldScope{ExpiresAt: at.Add(time.Hour)}}); err != nil || !p.Published {
		t.Fatalf("%+v, %v", p, err)
	}
	turn(t, n.seed)
	at = at.Add(2 * time.Hour)
	turn(t, n.seed)
	if held, _ := n.believer.current().Manifest().HeldEverywhere("u1", 1, at); !held {
		t.Errorf("nothing holds it any more: %v", n.holdKinds())
	}
}

// R-B10: a hold of an hour that has ended long ago, and still stands in the document, does not stand for the halt that is
// due: with the approver's key at hand the halt is signed, and does not end with a brake.
func TestRB10AHoldThatHasEndedKeepsNoHaltAway(t *testing.T) {
	ctx := context.Background()
	at := time.Now()
	n, _, back := haltedSeed(t, func() time.Time { return at })
	back()
	if p, err := n.Hold(ctx, api.HoldRequest{Update: "u1", Reason: "for an hour", HoldScope: api.HoldScope{ExpiresAt: at.Add(time.Hour)}}); err != nil || !p.Published {
		t.Fatalf("%+v, %v", p, err)
	}
	at = at.Add(2 * time.Hour)
	turn(t, n.seed)
	if _, signed := n.believer.current().Manifest().HeldEverywhere("u1", 1, at.Add(policy.MaxBrakeLife)); !signed {
		t.Errorf("no halt was signed: %v", n.holdKinds())
	}
}

// R-B10, R-B1: a brake goes with the approval that it stopped. That the update is looked for afterwards, as all of the
// catalogue is, gives approvers nothing to decide about.
func TestRB10ABrakeGoesWithTheApproval(t *testing.T) {
	n, _, back := haltedSeed(t, time.Now)
	back()
	all, err := n.seed.rollouts(n.believer.current().Manifest())
	if err != nil || len(all) != 1 {
		t.Fatalf("%+v, %v", all, err)
	}
	if err := n.seed.brake(all[0], "it fails"); err != nil {
		t.Fatal(err)
	}
	if p, err := n.Approve(context.Background(), api.ApproveRequest{Update: "u1", Group: "all", Withdraw: true}); err != nil || !p.Published || listedHere(n) != "other u1" {
		t.Fatalf("%+v, %v: %s", p, err, listedHere(n))
	}
	if kinds := n.holdKinds(); len(kinds) != 1 || kinds[0] != policy.HoldBrake {
		t.Fatalf("holds %v", kinds)
	}
	turn(t, n.seed)
	if kinds := n.holdKinds(); len(kinds) != 0 {
		t.Errorf("holds %v on what nobody approves", kinds)
	}
}
