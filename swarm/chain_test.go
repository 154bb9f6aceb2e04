package swarm

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
)

// R-B8, R-D11: what stays in a store goes by whole chains. Of old, mid and new, in which mid replaces old and new replaces mid, the
// old one is kept for a machine that is away, and for one that is set up anew, exactly where such a machine would install it.
func TestRB8WhatAWholeChainReplacesGoesFirst(t *testing.T) {
	type chain struct {
		m                       *policy.Manifest
		old, mid, newest, extra *policy.Descriptor
	}
	set := func(m *policy.Manifest, u policy.UpdateID, change func(*policy.Approval)) {
		change(&m.Approvals[slices.IndexFunc(m.Approvals, func(a policy.Approval) bool { return a.Update == u })])
	}
	action := func(u policy.UpdateID, a policy.Action) func(chain) {
		return func(c chain) { set(c.m, u, func(x *policy.Approval) { x.Action = a }) }
	}
	hold := func(u policy.UpdateID) func(chain) {
		return func(c chain) {
			c.m.Holds = append(c.m.Holds, policy.Hold{ID: "h-" + string(u), Update: u, Kind: policy.HoldPause, Reason: "r"})
		}
	}
	for name, k := range map[string]struct {
		change func(chain)
		gone   bool // the old one is replaced
	}{
		"all are approved":           {func(chain) {}, true},
		"the middle one is declined": {action("mid", policy.ActionDecline), true},
		"the middle one is looked at": {func(c chain) {
			set(c.m, "mid", func(a *policy.Approval) { a.Action, a.RingPlan = policy.ActionDetectOnly, "p" })
		}, true},
		"the middle one is held": {hold("mid"), true},
		"the newest is held":     {hold("new"), true},
		"two are held":           {func(c chain) { hold("mid")(c); hold("new")(c) }, false},
		"all is held":            {hold(policy.AllUpdates), false},
		"the newest is declined": {func(c chain) { action("mid", policy.ActionDecline)(c); action("new", policy.ActionDecline)(c) }, false},
		"it is a checkpoint":     {func(c chain) { c.newest.Prerequisites = []policy.UpdateID{"old"} }, false},
		"a checkpoint by way of another": {func(c chain) {
			c.newest.Prerequisites, c.extra.Prerequisites = []policy.UpdateID{"extra"}, []policy.UpdateID{"old"}
		}, false},
		"the newest cannot come": {func(c chain) {
			action("mid", policy.ActionDecline)(c)
			c.newest.Supersedes, c.newest.Prerequisites = []policy.UpdateID{"mid", "old"}, []policy.UpdateID{"elsewhere"}
		}, false},
		"a loop": {func(c chain) { c.old.Supersedes = []policy.UpdateID{"new"} }, false},
		"a loop of two": {func(c chain) {
			c.old.Supersedes, c.mid.Supersedes, c.newest.Supersedes = []policy.UpdateID{"mid"}, []policy.UpdateID{"old"}, nil
		}, false},
		"the newest is for a few": {func(c chain) {
			action("mid", policy.ActionDecline)(c)
			c.newest.Supersedes = []policy.UpdateID{"mid", "old"}
			c.m.RingPlans = []policy.RingPlan{{Name: "p", Rings: []policy.Ring{{Name: "one", Groups: []string{"pilot"}}, {Name: "two", Groups: []string{"all"}}}}}
			set(c.m, "new", func(a *policy.Approval) { a.RingPlan, a.RingsOpened = "p", []time.Time{a.At} })
		}, false},
		"the newest is not due yet": {func(c chain) {
			action("mid", policy.ActionDecline)(c)
			c.newest.Supersedes = []policy.UpdateID{"mid", "old"}
			set(c.m, "new", func(a *policy.Approval) { a.NotBefore = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC) })
		}, false},
		"the newest is declined on some": {func(c chain) {
			action("mid", policy.ActionDecline)(c)
			c.newest.Supersedes = []policy.UpdateID{"mid", "old"}
			a := c.m.Approvals[slices.IndexFunc(c.m.Approvals, func(a policy.Approval) bool { return a.Update == "new" })]
			a.Action, a.Group = policy.ActionDecline, "pilot"
			c.m.Approvals = append(c.m.Approvals, a)
			slices.SortStableFunc(c.m.Approvals, func(a, b policy.Approval) int { return cmp.Compare(a.Update, b.Update) })
		}, false},
	} {
		w := newWorld(t, 5, 1)
		w.manifest.Groups = []policy.Group{{Name: "pilot"}}
		n := w.nodes["m01"]
		w.step(n, PeerUp{Peer: "away", Site: "branch", HeadVersion: 1})
		w.step(n, PeerDown{Peer: "away"})
		for _, u := range []string{"old", "mid", "new", "extra"} {
			w.publish(u, 10)
			w.everybody(policy.UpdateID(u), 5, time.Minute)
		}
		desc := func(u string) *policy.Descriptor { return w.descs[content.Sum([]byte("descriptor "+u))] }
		next := *w.manifest
		next.Epoch, next.Approvals = next.Epoch+1, slices.Clone(next.Approvals)
		c := chain{&next, desc("old"), desc("mid"), desc("new"), desc("extra")}
		c.mid.Supersedes, c.newest.Supersedes = []policy.UpdateID{"old"}, []policy.UpdateID{"mid"}
		k.change(c)
		w.spread(&next)
		w.run(time.Minute)
		away, keep := n.core.absentNeed(n.core.byMap[payloadOf("old")]) == 1, w.keepOf(n, "old")
		if away == k.gone || (keep == KeepSuperseded) != k.gone {
			t.Errorf("%s: the old one is kept as %s, needed by the machine that is away: %v", name, keep, away)
		}
	}
}
