package policy

import (
	"slices"
	"strings"
	"testing"
)

// passes installs what the plan says, one plan after the other, until nothing more is to be installed; it gives the order.
func passes(t *testing.T, b *bench, there ...UpdateID) (list []UpdateID) {
	t.Helper()
	for range 10 {
		var now []UpdateID
		for u, v := range b.plan(Machine{Detected: present(slices.Concat(there, list)...)}, t0) {
			if v.Verb == VerbInstall {
				now = append(now, u)
			}
		}
		if len(now) == 0 {
			return list
		}
		slices.Sort(now)
		list = append(list, now...)
	}
	t.Fatalf("a plan without end: %v", list)
	return nil
}

// R-B8, R-H8: a checkpoint is installed although a newer update replaces it, where that one can only be laid over it; what
// it replaces without needing it is left out. What others need is satisfied by the replacement, and they say what they wait for.
func TestRB8ACheckpointIsInstalledBeforeWhatReplacesIt(t *testing.T) {
	chain := func(change func(last *Descriptor)) *bench {
		b := newBench(t)
		b.approve(b.update("c1", 1, nil), "all", ActionInstall, nil)
		b.approve(b.update("c2", 1, func(d *Descriptor) { d.Supersedes, d.Prerequisites = []UpdateID{"c1"}, []UpdateID{"base"} }), "all", ActionInstall, nil)
		b.approve(b.update("c3", 1, func(d *Descriptor) { d.Supersedes = []UpdateID{"c2"} }), "all", ActionInstall, nil)
		b.approve(b.update("c4", 1, func(d *Descriptor) { d.Supersedes = []UpdateID{"c3"}; change(d) }), "all", ActionInstall, nil)
		b.approve(b.update("base", 1, nil), "all", ActionInstall, nil)
		return b
	}
	b := chain(func(d *Descriptor) { d.Prerequisites = []UpdateID{"c2"} })
	if got, want := passes(t, b), []UpdateID{"base", "c2", "c4"}; !slices.Equal(got, want) {
		t.Errorf("installed %v, want %v", got, want)
	}
	if p := b.plan(Machine{}, t0); p["c4"].Reason != ReasonDepOtherFirst || p["c4"].Await != StateWaitingPrerequisite || p["c3"].Verb != VerbNone {
		t.Errorf("while the checkpoint comes: %+v", p)
	}
	if got, want := passes(t, b, "base", "c2"), []UpdateID{"c4"}; !slices.Equal(got, want) {
		t.Errorf("with the checkpoint there: %v, want %v", got, want)
	}
	b.m.Holds = []Hold{{ID: "h", Update: "c2", Kind: "pause", Reason: "r", At: t0}}
	if got, want := passes(t, b), []UpdateID{"base", "c3", "c4"}; !slices.Equal(got, want) {
		t.Errorf("the checkpoint is held, what replaces it serves as well: %v, want %v", got, want)
	}
	b.m.Holds = append(b.m.Holds, Hold{ID: "i", Update: "c3", Kind: "pause", Reason: "r", At: t0})
	if p := b.plan(Machine{Detected: present("base")}, t0); p["c1"].Verb != VerbInstall || p["c2"].Verb != VerbHold || p["c4"].Reason != ReasonDepOtherFirst {
		t.Errorf("both are held: the newest cannot come, and replaces nothing: %+v", p)
	}
	around := chain(func(d *Descriptor) { d.Prerequisites = []UpdateID{"helper"} })
	around.approve(around.update("helper", 1, func(d *Descriptor) { d.Prerequisites = []UpdateID{"c2"} }), "all", ActionInstall, nil)
	if got, want := passes(t, around), []UpdateID{"base", "c2", "helper", "c4"}; !slices.Equal(got, want) {
		t.Errorf("by way of another: %v, want %v", got, want)
	}
	plugin := chain(func(*Descriptor) {})
	plugin.approve(plugin.update("plugin", 1, func(d *Descriptor) { d.Prerequisites = []UpdateID{"c2"} }), "all", ActionInstall, nil)
	if v := plugin.plan(Machine{}, t0)["plugin"]; v.Reason != ReasonDepOtherFirst || v.Detail != "it needs c2, which is replaced by c4, and that must be installed before it" {
		t.Errorf("what needs a replaced one: %+v", v)
	}
	twoBehind := newBench(t)
	for id, d := range map[UpdateID]Descriptor{"d1": {}, "d2": {Supersedes: []UpdateID{"d1"}, Prerequisites: []UpdateID{"d1"}}, "d3": {Supersedes: []UpdateID{"d2"}, Prerequisites: []UpdateID{"d2"}}} {
		twoBehind.approve(twoBehind.update(id, 1, func(x *Descriptor) { x.Supersedes, x.Prerequisites = d.Supersedes, d.Prerequisites }), "all", ActionInstall, nil)
	}
	slices.SortFunc(twoBehind.m.Approvals, func(a, b Approval) int { return strings.Compare(string(a.Update), string(b.Update)) })
	if got, want := passes(t, twoBehind), []UpdateID{"d1", "d2", "d3"}; !slices.Equal(got, want) {
		t.Errorf("each over the one before: %v, want %v", got, want)
	}
}

// R-B7, R-B8: nobody is asked to decline a checkpoint while what replaces it can only be laid over it: a machine that is set
// up tomorrow needs it still.
func TestRB8ACheckpointIsNotProposedForDecline(t *testing.T) {
	for name, needs := range map[string][]UpdateID{"plain": nil, "over it": {"c1"}, "by way of another": {"helper"}} {
		b := newBench(t)
		b.m.Settings = []Setting{{SetDeclines, "all", "yes"}}
		c1, helper := b.update("c1", 1, nil), b.update("helper", 1, func(d *Descriptor) { d.Prerequisites = []UpdateID{"c1"} })
		c2 := b.update("c2", 1, func(d *Descriptor) { d.Supersedes, d.Prerequisites = []UpdateID{"c1"}, needs })
		for _, d := range []*Descriptor{c1, c2, helper} {
			b.approve(d, "all", ActionInstall, nil)
		}
		got := b.m.ProposeDeclines([]Candidate{candidate(c1, t0, t0), candidate(c2, t0, t0), candidate(helper, t0, t0)}, b.describe, func(UpdateID, string) bool { return false }, t0.Add(31*day))
		if want := name == "plain"; len(got) == 1 != want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
