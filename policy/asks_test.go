package policy

import (
	"testing"
	"time"
)

// R-B5, R-A8: an installer that may ask somebody is forced by no deadline, of its approval or of its severity, and
// by no expediting: nobody may be there to answer. One that always asks waits for a person even where machines
// install by themselves.
func TestRB5NothingForcesAnInstallerThatMayAsk(t *testing.T) {
	later := t0.Add(2 * time.Hour)
	for _, c := range []struct {
		asks, automation string
		change           func(*Approval)
		accepted         bool
		want             Verb
	}{
		{"never", "download-notify", func(a *Approval) { a.Deadline = t0 }, false, VerbInstall},
		{"unknown", "download-notify", nil, false, VerbInstall}, // by the deadline of its severity
		{"maybe", "download-notify", func(a *Approval) { a.Deadline = t0 }, false, VerbStage},
		{"maybe", "download-notify", func(a *Approval) { a.Expedite = true }, false, VerbStage},
		{"maybe", "download-notify", nil, false, VerbStage},
		{"maybe", "download-notify", nil, true, VerbInstall},
		{"maybe", "scheduled", nil, false, VerbInstall},
		{"always", "scheduled", nil, false, VerbStage},
		{"always", "scheduled", func(a *Approval) { a.Expedite = true }, false, VerbStage},
		{"always", "scheduled", nil, true, VerbInstall},
	} {
		b := newBench(t)
		b.m.Settings = []Setting{{SetAutomation, "all", c.automation}, {setDeadline + "critical", "all", "1h"}}
		b.approve(b.update("u", 1, func(d *Descriptor) { d.AsksUser = c.asks }), "all", ActionInstall, c.change)
		mach := Machine{Wishes: map[UpdateID]Wish{"u": {Revision: 1, Accepted: c.accepted}}}
		v := b.plan(mach, later)["u"]
		if v.Verb != c.want || (c.want == VerbStage) != (v.Await == StateWaitingUser) {
			t.Errorf("%+v: %+v", c, v)
		}
	}
	rule := &ApprovalRule{Name: "r", Group: "all", Action: ActionInstall, DeadlineDays: 7}
	for asks, deadline := range map[string]bool{"maybe": false, "always": false, "never": true, Unknown: true} {
		d := newBench(t).update("u", 1, func(d *Descriptor) { d.AsksUser = asks })
		if a := rule.approval(Candidate{Descriptor: d, ID: d.ID()}, t0); a.Deadline.IsZero() == deadline {
			t.Errorf("asks %s: a rule proposes the deadline %v", asks, a.Deadline)
		}
	}
}
