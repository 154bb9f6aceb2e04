package node

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// stopOf says what stops u1 on a machine by what is in force, as the machine itself would; empty: nothing.
func stopOf(n *Node, machine string) string {
	facts := policy.Machine{ID: machine, Installers: []string{"file"}}
	for _, v := range policy.MakePlan(n.believer.current().Manifest(), n.seed.descriptor, facts, false, n.cfg.Now()).Verdicts {
		if v.Update == "u1" {
			return v.Hold
		}
	}
	return "no verdict"
}

// R-B13, R-B10: an exception from a brake means the stop: it counts on when approvers sign the halt that takes the brake's
// place, whether that waits in the draft already or is made later; and it is taken back as the one that it is.
func TestRB13AnExceptionFromABrakeIsOneFromItsHaltToo(t *testing.T) {
	t.Parallel()
	for name, halted := range map[string]bool{"the halt waits": true, "the halt comes later": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			n, machine, back := haltedSeed(t, time.Now)
			if !halted { // a draft with something else in it keeps the halt out
				if _, err := n.SetSetting(ctx, api.SettingRequest{Setting: policy.Setting{Name: "automation", Group: "all", Value: "scheduled"}}); err != nil {
					t.Fatal(err)
				}
			}
			turn(t, n.seed)
			brake := policy.Brake{Update: "u1", Revision: 1}.ID()
			if got := stopOf(n, machine); got != brake {
				t.Fatalf("stopped by %q", got)
			}
			back()
			p, err := n.ExceptHold(ctx, api.ExceptionRequest{Hold: brake, Machine: machine, Until: time.Now().Add(time.Hour), Reason: "tried here"})
			if err != nil || !p.Published || len(p.Warnings) != 0 {
				t.Fatalf("%+v, %v", p, err)
			}
			for range 2 {
				turn(t, n.seed)
				if k := n.holdKinds(); len(k) != 1 || k[0] != policy.HoldPause {
					t.Fatalf("the halt is not signed: %v", k)
				}
				if got := stopOf(n, machine); got != "" {
					t.Fatalf("the machine is excepted and stopped by %q", got)
				}
			}
			halt := n.believer.current().Manifest().Holds[0].ID
			if got := stopOf(n, "another machine"); got != halt {
				t.Errorf("another machine is stopped by %q, not by %s", got, halt)
			}
			if p, err := n.ExceptHold(ctx, api.ExceptionRequest{Drop: p.Exception}); err != nil || !p.Published {
				t.Fatalf("%+v, %v", p, err)
			}
			if got := stopOf(n, machine); got != halt || len(n.believer.current().Manifest().HoldExceptions) != 0 {
				t.Errorf("taken back, and stopped by %q: %+v", got, n.believer.current().Manifest().HoldExceptions)
			}
		})
	}
}

// R-B13: who excepts a machine from one stop is told what else stops the update there, and the command that ends it; of
// what does not concern the machine nothing is said.
func TestRB13WhatHoldsBesideAnExceptionIsTold(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	n, machine, back := haltedSeed(t, time.Now)
	turn(t, n.seed)
	back()
	if p, err := n.Sign(ctx, api.SignRequest{}); err != nil || !p.Published {
		t.Fatalf("%+v, %v", p, err)
	}
	turn(t, n.seed)
	halt := n.believer.current().Manifest().Holds[0].ID
	hold := func(r api.HoldRequest) string {
		t.Helper()
		p, err := n.Hold(ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		return p.Hold
	}
	pause := hold(api.HoldRequest{Update: "all", Reason: "stocktaking"})
	guard := hold(api.HoldRequest{Update: "u1", Reason: "KI-1", HoldScope: api.HoldScope{Kind: "safeguard", Match: api.HoldMatch{Arch: []string{"arm64"}}}})
	hold(api.HoldRequest{Update: "other", Reason: "not this one"})
	p, err := n.ExceptHold(ctx, api.ExceptionRequest{Hold: halt, Machine: machine, Until: time.Now().Add(time.Hour), Reason: "tried here"})
	if err != nil || !p.Published || len(p.Warnings) != 2 {
		t.Fatalf("%+v, %v", p, err)
	}
	told := strings.Join(p.Warnings, "\n")
	for _, want := range []string{pause, "'patchmesh release " + pause + "' ends it", guard, "may stop it there as well; 'patchmesh hold except " + guard + "' opens it too"} {
		if !strings.Contains(told, want) {
			t.Errorf("%q is not told of in\n%s", want, told)
		}
	}
	// Open for everybody: the approvers have answered, and no halt is made for the failures that they know.
	if _, err := n.ExceptHold(ctx, api.ExceptionRequest{Hold: halt, Group: "all", Until: time.Now().Add(time.Hour), Reason: "one bad disk"}); err != nil {
		t.Fatal(err)
	}
	reported(t, n.seed, machine, 2, api.Update{Update: "u1", Revision: 1, State: "failed-install", Reason: "installer-exit", Failures: 9})
	reported(t, n.seed, newMachine(t, n.seed, time.Now), 1, api.Update{Update: "u1", Revision: 1, State: "failed-install", Reason: "installer-exit", Failures: 1})
	for range 2 {
		turn(t, n.seed)
	}
	if k := n.holdKinds(); len(k) != 4 {
		t.Errorf("held anew although the approvers let it go on: %v", k)
	}
}

// R-B10: a halt is not put beside what is to be signed and stops as much, whatever it is called: one question is asked of
// what is in force and of a draft.
func TestRB10AHaltIsNotDraftedBesideAWiderStop(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	a := policy.Approval{Update: "u1", Revision: 2}
	brake := policy.Brake{Update: "u1", Revision: 2}.ID()
	for name, c := range map[string]struct {
		sheet sheet
		want  error
	}{
		"nothing":                      {sheet{}, nil},
		"a hold of group all":          {sheet{holds: []policy.Hold{{ID: "h", Update: "u1", Group: "all", Kind: "pause"}}}, errNoChange},
		"a freeze of all updates":      {sheet{holds: []policy.Hold{{ID: "h", Update: "all", Kind: "freeze", ExpiresAt: now.Add(time.Hour)}}}, errNoChange},
		"a freeze that is over":        {sheet{holds: []policy.Hold{{ID: "h", Update: "all", Kind: "freeze", ExpiresAt: now}}}, nil},
		"a hold of one group":          {sheet{holds: []policy.Hold{{ID: "h", Update: "u1", Group: "office", Kind: "pause"}}}, nil},
		"a safeguard of some machines": {sheet{holds: []policy.Hold{{ID: "h", Update: "u1", Kind: "safeguard", Match: &policy.HoldMatch{OS: []string{"linux"}}}}}, nil},
		"another update's":             {sheet{holds: []policy.Hold{{ID: "h", Update: "u2", Kind: "pause"}}}, nil},
		"the brake, opened for all":    {sheet{exceptions: []policy.HoldException{{ID: "x", Hold: brake, Group: "all", Until: now.Add(time.Hour)}}}, errNoChange},
		"the brake, opened for some":   {sheet{exceptions: []policy.HoldException{{ID: "x", Hold: brake, Group: "office", Until: now.Add(time.Hour)}}}, nil},
		"a halt, opened for all": {sheet{holds: []policy.Hold{{ID: "ring-1-2", Update: "u1", Kind: "pause"}},
			exceptions: []policy.HoldException{{ID: "x", Hold: "ring-1-2", Group: "all", At: now, Until: now.Add(time.Hour)}}}, errNoChange},
	} {
		before := len(c.sheet.holds)
		err := c.sheet.halt(policy.Hold{ID: "ring-2-2", Update: "u1", Kind: "pause", At: now}, a)
		if !errors.Is(err, c.want) || (err == nil) != (len(c.sheet.holds) == before+1) {
			t.Errorf("%s: %v, %+v", name, err, c.sheet.holds)
		}
	}
}
