package policy

import (
	"testing"
	"time"
)

// R-B1, R-B18: what is approved as optional is offered and not fetched; the user's word has it installed, in its windows
// and under holds like anything else. A word about another revision is none, and no deadline takes its place.
func TestRB1OptionalWaitsForTheUsersWord(t *testing.T) {
	b := newBench(t)
	b.m.Settings = []Setting{{"deadline-critical", "all", "1h"}}
	b.approve(b.update("u", 2, nil), "all", ActionOptional, func(a *Approval) { a.Deadline = t0.Add(time.Hour) })
	none := map[UpdateID]Detection{"u": {At: t0}}
	late := t0.Add(99 * day)
	said := func(w Wish) Machine { return Machine{Detected: none, Wishes: map[UpdateID]Wish{"u": w}} }
	for name, c := range map[string]struct {
		mach  Machine
		verb  Verb
		await State
	}{
		"nobody has said anything": {Machine{Detected: none}, VerbWait, StateWaitingUser},
		"accepted":                 {said(Wish{Revision: 2, Accepted: true}), VerbInstall, 0},
		"an older one was":         {said(Wish{Revision: 1, Accepted: true}), VerbWait, StateWaitingUser},
		"taken back":               {said(Wish{Revision: 2}), VerbWait, StateWaitingUser},
		"there":                    {Machine{Detected: present("u")}, VerbNone, 0},
	} {
		v := b.plan(c.mach, late)["u"]
		if v.Verb != c.verb || v.Await != c.await || !v.Deadline.IsZero() || v.Offered() != (c.await != 0) {
			t.Errorf("%s: %+v", name, v)
		}
	}
	yes := said(Wish{Revision: 2, Accepted: true})
	b.m.Windows = []Window{{ID: "w", Group: "all", Rule: "FREQ=DAILY", From: "2026-01-01", At: "03:00", Zone: "UTC", Minutes: 60}}
	if v := b.plan(yes, late)["u"]; v.Verb != VerbStage || v.Await != StateWaitingWindow {
		t.Errorf("accepted while every window is closed: %+v", v)
	}
	b.m.Holds = []Hold{{ID: "h", Update: "u", Kind: "pause", Reason: "r", At: t0}}
	if v := b.plan(yes, late)["u"]; v.Verb != VerbHold {
		t.Errorf("accepted and held: %+v", v)
	}
	if v := b.plan(Machine{Detected: none}, late)["u"]; v.Verb != VerbHold {
		t.Errorf("offered although it is held: %+v", v)
	}
	b.m.Holds = nil
	b.m.Settings = []Setting{{SetAutomation, "all", "detect"}}
	if v := b.plan(yes, late)["u"]; v.Verb != VerbNone {
		t.Errorf("on a machine that only looks: %+v", v)
	}
}

// R-B1, R-B8: what is only offered replaces nothing. Once it is there it counts, so that the older one is not installed
// over it; and an older one is not offered where a newer one is there.
func TestRB1OptionalReplacesOnlyOnceItIsThere(t *testing.T) {
	b := newBench(t)
	b.approve(b.update("new", 1, func(d *Descriptor) { d.Supersedes = []UpdateID{"old"} }), "all", ActionOptional, nil)
	b.approve(b.update("old", 1, nil), "all", ActionInstall, nil)
	if p := b.plan(Machine{}, t0); p["old"].Verb != VerbInstall || p["new"].Verb != VerbWait {
		t.Errorf("offered: %+v", p)
	}
	accepted := Machine{Wishes: map[UpdateID]Wish{"new": {Revision: 1, Accepted: true}}}
	if p := b.plan(accepted, t0); p["old"].Verb != VerbNone || p["new"].Verb != VerbInstall {
		t.Errorf("accepted: %+v", p)
	}
	if p := b.plan(Machine{Detected: present("new")}, t0); p["old"].Verb != VerbNone || p["new"].Compliance != Installed {
		t.Errorf("there: %+v", p)
	}
	b.m.Approvals[0].Action, b.m.Approvals[1].Action = ActionInstall, ActionOptional
	if p := b.plan(Machine{Detected: present("new")}, t0); p["old"].Verb != VerbNone || p["old"].Offered() {
		t.Errorf("an older one is offered: %+v", p)
	}
}

// R-B1: a user's word has nothing installed but what approvers offer: whatever else is approved stays as it is.
func TestRB1AcceptedIsNeverMoreThanApproved(t *testing.T) {
	for _, a := range []Action{ActionDetectOnly, ActionDecline, ActionStageOnly, ActionRemove} {
		b := newBench(t)
		b.approve(b.update("u", 1, nil), "all", a, nil)
		none := Machine{Detected: map[UpdateID]Detection{"u": {At: t0}}}
		before := b.plan(none, t0)["u"]
		none.Wishes = map[UpdateID]Wish{"u": {Revision: 1, Accepted: true}, "x": {Revision: 1, Accepted: true}}
		if v := b.plan(none, t0); v["u"].Verb != before.Verb || v["u"].Verb == VerbInstall || len(v) != 1 {
			t.Errorf("%s: %+v, before %+v", a, v, before)
		}
	}
}
