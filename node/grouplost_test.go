package node

import (
	"context"
	"testing"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// R-B6: a group that lies in another, both of a draft that was dropped, is still known to the seed: what is approved for it
// lists the one above it as well, instead of failing at a name that nobody has given.
func TestAGroupOfADroppedDraftBringsTheOneAboveItAlong(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	n, _ := openSeedFolder(t, "")
	bring(t, n, "u1", "bytes of u1", nil)
	back := takeHome(t, n.cfg.DataDir)
	for _, g := range []policy.Group{{Name: "shops"}, {Name: "tills", Parent: "shops"}} {
		if p, err := n.SetGroup(ctx, api.GroupRequest{Group: g}); err != nil || p.Published {
			t.Fatalf("%+v, %v", p, err)
		}
	}
	if err := n.seed.saveDraft("", nil); err != nil {
		t.Fatal(err)
	}
	back()
	if p, err := n.Approve(ctx, api.ApproveRequest{Update: "u1", Group: "tills"}); err != nil || !p.Published {
		t.Fatalf("%+v, %v", p, err)
	}
	groups := n.believer.current().Manifest().Groups
	if len(groups) != 2 {
		t.Errorf("listed: %+v", groups)
	}
}
