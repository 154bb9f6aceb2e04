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

// enrolled puts a machine into the seed's books as enrolled into groups.
func enrolled(t *testing.T, n *Node, groups ...string) string {
	t.Helper()
	id := newMachine(t, n.seed, time.Now)
	k, err := n.seed.db.Member(id)
	if err != nil {
		t.Fatal(err)
	}
	k.Groups = groups
	for _, g := range groups {
		if err := n.seed.db.PutGroup(g, ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.seed.db.PutMember(k); err != nil {
		t.Fatal(err)
	}
	return id
}

// R-B2, R-B3: a machine that was enrolled into a group is shown with it though nothing signed lists the group yet, and
// what is approved for unassigned machines is not for it.
func TestRB3AGroupThatNothingListsIsShownAndNoMachineOfItIsUnassigned(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	n, _ := openSeedFolder(t, "")
	id := enrolled(t, n, "tills")
	v, err := n.Groups(ctx, api.GroupsQuery{})
	if err != nil || !slices.ContainsFunc(v.Claims, func(c api.GroupClaim) bool {
		return c.ID == id && c.Group == "tills" && c.Source == api.GroupUnlisted
	}) {
		t.Errorf("%+v, %v", v, err)
	}
	bring(t, n, "u1", "a patch", nil)
	if p, err := n.Approve(ctx, api.ApproveRequest{Update: "u1", Group: "unassigned"}); err != nil || p.Machines != 0 {
		t.Errorf("%+v, %v", p, err)
	}
	m := n.believer.current().Manifest()
	if m.InGroup([]string{"tills"}, "unassigned") || !m.InGroup(nil, "unassigned") {
		t.Error("the machine counts as unassigned")
	}
}

// R-B1, R-B4: how many machines an approval is about is said of that approval alone, so that one for the wrong group
// stands out; so with everything else that is signed.
func TestRB4WhatIsPublishedTellsTheMachinesThatItIsAbout(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	n, _ := openSeedFolder(t, "")
	for range 3 {
		enrolled(t, n, "office")
	}
	enrolled(t, n, "tills")
	bring(t, n, "u1", "a patch", nil)
	bring(t, n, "u2", "another", nil)
	did := func(what string, want int) func(p *api.Published, err error) {
		return func(p *api.Published, err error) {
			t.Helper()
			if err != nil || p.Machines != want {
				t.Errorf("%s: %+v, %v, want %d", what, p, err, want)
			}
		}
	}
	did("an approval", 3)(n.Approve(ctx, api.ApproveRequest{Update: "u1", Group: "office"}))
	did("another group", 1)(n.Approve(ctx, api.ApproveRequest{Update: "u2", Group: "tills"}))
	did("a hold of all", 4)(n.Hold(ctx, api.HoldRequest{Update: "u1", Reason: "why"}))
	did("a group without machines", 0)(n.SetGroup(ctx, api.GroupRequest{Group: policy.Group{Name: "vault"}}))
	did("a setting", 1)(n.SetSetting(ctx, api.SettingRequest{Setting: policy.Setting{Name: policy.SetAutomation, Value: "detect", Group: "tills"}}))
	plan := policy.RingPlan{Name: "p", Rings: []policy.Ring{{Name: "one", Groups: []string{"tills"}}, {Name: "two", Groups: []string{"vault"}}}}
	did("a ring plan", 1)(n.SetRings(ctx, api.RingsRequest{Plan: plan}))
	did("an approval along it", 1)(n.Approve(ctx, api.ApproveRequest{Update: "u1", Rings: "p"}))
	did("a withdrawal", 3)(n.Approve(ctx, api.ApproveRequest{Update: "u1", Group: "office", Withdraw: true}))
}

// R-B2: a group that was dropped is gone, with its place among the others: what is said for its name is refused, and where
// machines are enrolled into it that begins at the top again.
func TestRB2ADroppedGroupIsGone(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	n, _ := openSeedFolder(t, "")
	enrolled(t, n, "tills")
	bring(t, n, "u1", "a patch", nil)
	for _, g := range []policy.Group{{Name: "shops"}, {Name: "tills", Parent: "shops"}, {Name: "kiosks", Parent: "shops"}} {
		if _, err := n.SetGroup(ctx, api.GroupRequest{Group: g}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"tills", "kiosks", "shops"} {
		if _, err := n.SetGroup(ctx, api.GroupRequest{Group: policy.Group{Name: name}, Drop: true}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := n.Approve(ctx, api.ApproveRequest{Update: "u1", Group: "kiosks"}); api.ClassOf(err) != api.ClassNotFound || strings.Contains(err.Error(), "malformed") {
		t.Errorf("approved for a group that was dropped: %v", err)
	}
	if p, err := n.Approve(ctx, api.ApproveRequest{Update: "u1", Group: "tills"}); err != nil || p.Machines != 1 {
		t.Errorf("%+v, %v", p, err)
	}
}
