package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// threeInAChain is old, which mid replaces, which new replaces; all approved for all machines.
func threeInAChain(t *testing.T) *bench {
	b := newBench(t)
	b.m.Groups = []Group{{Name: "desks"}, {Name: "lab", Parent: "desks"}}
	b.m.RingPlans = []RingPlan{{Name: "p", Rings: []Ring{{Name: "one", Groups: []string{"lab"}}, {Name: "two", Groups: []string{"desks"}, SpreadMinutes: 120}, {Name: "three", Groups: []string{"all"}}}}}
	b.m.Settings = []Setting{{SetDeclines, "all", "yes"}}
	b.approve(b.update("old", 1, nil), "all", ActionInstall, nil)
	b.approve(b.update("mid", 1, func(d *Descriptor) { d.Supersedes = []UpdateID{"old"} }), "all", ActionInstall, nil)
	b.approve(b.update("new", 1, func(d *Descriptor) { d.Supersedes = []UpdateID{"mid"} }), "all", ActionInstall, nil)
	return b
}

// again changes what is said of an update, and its descriptor with it.
func (b *bench) again(u UpdateID, change func(*Descriptor, *Approval)) {
	i := slices.IndexFunc(b.m.Approvals, func(a Approval) bool { return a.Update == u })
	a := &b.m.Approvals[i]
	d := *b.descs[a.Descriptor]
	change(&d, a)
	b.descs[d.ID()] = &d
	a.Descriptor, a.Revision = d.ID(), d.Revision
}

func (b *bench) act(u UpdateID, action Action) {
	b.again(u, func(_ *Descriptor, a *Approval) { a.Action = action })
}

// R-B8: what is let go for others that replace it goes by whole chains, and is never what some machine may need: one that the newest
// does not reach, one that is set up tomorrow and needs the checkpoint, all of them where a chain loops.
func TestRB8WhatIsReplacedEverywhereGoesByWholeChains(t *testing.T) {
	direct := func(b *bench) { // so that nothing hangs on mid
		b.act("mid", ActionDecline)
		b.again("new", func(d *Descriptor, _ *Approval) { d.Supersedes = []UpdateID{"mid", "old"} })
	}
	along := func(opened ...time.Duration) func(*bench) {
		return func(b *bench) {
			direct(b)
			b.again("new", func(_ *Descriptor, a *Approval) {
				for _, d := range opened {
					a.RingsOpened = append(a.RingsOpened, t0.Add(d))
				}
				a.RingPlan = "p"
			})
		}
	}
	elsewhere := func(action Action, group string, change func(*Approval)) func(*bench) {
		return func(b *bench) {
			direct(b)
			b.approve(b.descs[b.m.Approvals[2].Descriptor], group, action, change)
		}
	}
	hold := func(u UpdateID, ends time.Time) func(*bench) {
		return func(b *bench) {
			b.m.Holds = append(b.m.Holds, Hold{ID: "h-" + string(u), Update: u, Kind: HoldPause, Reason: "r", At: t0, ExpiresAt: ends})
		}
	}
	now := t0.Add(10 * time.Hour)
	for name, k := range map[string]struct {
		change func(*bench)
		group  string // of machines; empty: all
		want   string // what replaces the old one, and since how many hours; empty: nothing
	}{
		"all are approved":       {func(*bench) {}, "", "mid new 0"},
		"mid is declined":        {func(b *bench) { b.act("mid", ActionDecline) }, "", "new 0"},
		"mid is only looked for": {func(b *bench) { b.act("mid", ActionDetectOnly); b.m.Approvals[1].Group = "desks" }, "", "new 0"},
		"mid is removed":         {func(b *bench) { b.act("mid", ActionRemove) }, "", "new 0"},
		"mid is for others":      {func(b *bench) { b.again("mid", func(_ *Descriptor, a *Approval) { a.Group = "desks" }) }, "", "new 0"},
		"mid is unknown":         {func(b *bench) { b.m.Approvals = slices.Delete(b.m.Approvals, 1, 2) }, "", ""},
		"mid is listed alone":    {func(b *bench) { b.act("mid", ActionDetectOnly) }, "", ""},
		"mid is held":            {hold("mid", time.Time{}), "", "new 0"},
		"new is held":            {hold("new", time.Time{}), "", "mid 0"},
		"new was held":           {func(b *bench) { direct(b); hold("new", t0.Add(3*time.Hour))(b) }, "", "new 3"},
		"both are held":          {func(b *bench) { hold("new", time.Time{})(b); hold("mid", time.Time{})(b) }, "", ""},
		"all is held":            {hold(AllUpdates, time.Time{}), "", ""},
		"new is declined":        {func(b *bench) { b.act("mid", ActionDecline); b.act("new", ActionDecline) }, "", ""},
		"new is optional":        {func(b *bench) { direct(b); b.act("new", ActionOptional) }, "", ""},
		"old is only staged":     {func(b *bench) { b.act("old", ActionStageOnly) }, "", ""},
		"new is for a while": {func(b *bench) {
			direct(b)
			b.again("new", func(d *Descriptor, _ *Approval) {
				d.Mitigates, d.MitigationEnds, d.Removable = "x", t0.Add(1000*time.Hour), true
			})
		}, "", ""},
		"new is not taken": {func(b *bench) {
			direct(b)
			b.again("new", func(d *Descriptor, _ *Approval) { d.Classification = "driver" })
			b.m.Settings = append(b.m.Settings, Setting{SetTakeClasses, "all", "security"})
		}, "", ""},
		"new is not taken by a part": {func(b *bench) {
			direct(b)
			b.again("new", func(d *Descriptor, _ *Approval) { d.Classification = "driver" })
			b.m.Settings = append(b.m.Settings, Setting{SetTakeClasses, "desks", "security"})
		}, "", ""},
		"a part takes what others do not": {func(b *bench) {
			direct(b)
			b.again("new", func(d *Descriptor, _ *Approval) { d.Product = "shop" })
			b.m.Settings = append(b.m.Settings, Setting{SetTakeProducts, "all", "till"}, Setting{SetTakeProducts, "lab", "shop"})
		}, "lab", "new 0"},
		"new asks its user": {func(b *bench) {
			direct(b)
			b.again("new", func(d *Descriptor, _ *Approval) { d.AsksUser = "always" })
		}, "", ""},
		"new needs what comes": {func(b *bench) {
			direct(b)
			b.again("new", func(d *Descriptor, _ *Approval) { d.Prerequisites = []UpdateID{"base"} })
			b.approve(b.update("base", 1, nil), "all", ActionInstall, nil)
		}, "", "new 0"},
		"new needs what does not": {func(b *bench) {
			direct(b)
			b.again("new", func(d *Descriptor, _ *Approval) { d.Prerequisites = []UpdateID{"base"} })
			b.approve(b.update("base", 1, nil), "desks", ActionInstall, nil)
		}, "", ""},
		"new needs mid, which is declined": {func(b *bench) {
			b.act("mid", ActionDecline)
			b.again("new", func(d *Descriptor, _ *Approval) { d.Prerequisites = []UpdateID{"mid"} })
		}, "", ""},
		"new needs old": {func(b *bench) {
			direct(b)
			b.again("new", func(d *Descriptor, _ *Approval) { d.Prerequisites = []UpdateID{"old"} })
		}, "", ""},
		"mid needs old, new needs mid": {func(b *bench) {
			b.again("mid", func(d *Descriptor, _ *Approval) { d.Prerequisites = []UpdateID{"old"} })
			b.again("new", func(d *Descriptor, _ *Approval) { d.Prerequisites = []UpdateID{"mid"} })
		}, "", ""},
		"mid needs old, new does not need mid": {func(b *bench) {
			b.again("mid", func(d *Descriptor, _ *Approval) { d.Prerequisites = []UpdateID{"old"} })
		}, "", "mid new 0"},
		"a loop": {func(b *bench) { b.again("old", func(d *Descriptor, _ *Approval) { d.Supersedes = []UpdateID{"new"} }) }, "", ""},
		"a loop above it": {func(b *bench) {
			b.again("mid", func(d *Descriptor, _ *Approval) { d.Supersedes = []UpdateID{"old", "new"} })
		}, "", ""},
		"a loop of which one is declined": {func(b *bench) {
			b.again("mid", func(d *Descriptor, a *Approval) { d.Supersedes, a.Action = []UpdateID{"old", "new"}, ActionDecline })
		}, "", "new 0"},
		"the first ring":             {along(0), "", ""},
		"the first ring, for it":     {along(0), "lab", "new 0"},
		"the second ring, spreading": {along(0, 9*time.Hour), "desks", ""},
		"the second ring":            {along(0, 5*time.Hour), "desks", "new 7"},
		"the second ring, for all":   {along(0, 5*time.Hour), "", ""},
		"every ring":                 {along(0, 5*time.Hour, 8*time.Hour), "", "new 8"},
		"not due": {func(b *bench) {
			direct(b)
			b.again("new", func(_ *Descriptor, a *Approval) { a.NotBefore = now.Add(time.Hour) })
		}, "", ""},
		"due since": {func(b *bench) {
			direct(b)
			b.again("new", func(_ *Descriptor, a *Approval) { a.NotBefore = now.Add(-time.Hour) })
		}, "", "new 9"},
		"declined on a part":        {elsewhere(ActionDecline, "desks", nil), "", ""},
		"removed on a part":         {elsewhere(ActionRemove, "unassigned", nil), "", ""},
		"removed, but for others":   {func(b *bench) { elsewhere(ActionRemove, "unassigned", nil)(b) }, "lab", "new 0"},
		"along rings on a part":     {elsewhere(ActionInstall, "desks", func(a *Approval) { a.RingPlan, a.RingsOpened = "p", []time.Time{t0} }), "", ""},
		"later on a part":           {elsewhere(ActionInstall, "desks", func(a *Approval) { a.At = t0.Add(4 * time.Hour) }), "", "new 4"},
		"for a part":                {func(b *bench) { direct(b); b.again("new", func(_ *Descriptor, a *Approval) { a.Group = "desks" }) }, "", ""},
		"for a part, there":         {func(b *bench) { direct(b); b.again("new", func(_ *Descriptor, a *Approval) { a.Group = "desks" }) }, "lab", "new 0"},
		"in a group without a name": {func(b *bench) { direct(b); b.again("new", func(_ *Descriptor, a *Approval) { a.Group = "unassigned" }) }, "nowhere", ""},
		"for the unassigned":        {func(b *bench) { direct(b); b.again("new", func(_ *Descriptor, a *Approval) { a.Group = "unassigned" }) }, "unassigned", "new 0"},
	} {
		b := threeInAChain(t)
		k.change(b)
		m := grouped(t, b.m)
		group := firstText(k.group, GroupAll)
		got := ""
		s := m.successors([]string{group}, b.describe, now, func(UpdateID) bool { return false })
		if rep, is := s.of("old"); is {
			got = fmt.Sprintf("%s %g", strings.Trim(fmt.Sprint(rep.By), "[]"), rep.SinceAt.Sub(t0).Hours())
		}
		if got != k.want {
			t.Errorf("%s: the old one is replaced by %q, want %q", name, got, k.want)
		}
		if k.group != "" {
			continue
		}
		declines := m.ProposeDeclines(nil, b.describe, func(UpdateID, string) bool { return false }, now.Add(31*day))
		is := slices.ContainsFunc(declines, func(p Proposal) bool { return p.Approval.Update == "old" && p.Not == "" })
		if later := name == "not due" || strings.HasPrefix(name, "new was") || strings.HasPrefix(name, "the second ring,"); is != (k.want != "") && !later {
			t.Errorf("%s: to decline it is proposed: %v", name, is)
		}
	}
}

// R-B7: what its vendor has withdrawn is no reason to let go of what it replaces: both would be declined together. What stands
// between is no matter.
func TestRB7AWithdrawnReplacementKeepsTheOldOneApproved(t *testing.T) {
	for _, gone := range []UpdateID{"mid", "new"} {
		b := threeInAChain(t)
		b.act("mid", ActionDecline)
		var catalogue []Candidate
		for _, a := range b.m.Approvals {
			d := *b.descs[a.Descriptor]
			d.Revision, d.Withdrawn = d.Revision+1, d.Update == gone
			catalogue = append(catalogue, candidate(&d, t0, t0))
		}
		var got []string
		for _, p := range grouped(t, b.m).ProposeDeclines(catalogue, b.describe, func(UpdateID, string) bool { return false }, t0.Add(40*day)) {
			if p.Not == "" {
				got = append(got, string(p.Approval.Update))
			}
		}
		if want := map[UpdateID]string{"mid": "old", "new": "new"}[gone]; strings.Join(got, " ") != want {
			t.Errorf("%s is withdrawn: to decline %v is proposed, want %s", gone, got, want)
		}
	}
}

// R-M3, R-B8: a machine that has the newest of a chain lacks none that it replaces, whatever was decided about those between; in a
// loop none stands for another; and a baseline of what is approved holds the newest of a chain alone.
func TestRM3BaselinesGoByWholeChains(t *testing.T) {
	b := threeInAChain(t)
	b.act("mid", ActionDecline)
	m := grouped(t, b.m)
	has := map[UpdateID]Standing{"new": {Compliance: Installed}}
	if lacks := m.Replacers(b.describe).Lacking([]UpdateID{"mid", "new", "old"}, has); len(lacks) > 0 {
		t.Errorf("with the newest there %v are lacking", lacks)
	}
	if got := m.Approved(GroupAll, b.describe); !slices.Equal(got, []UpdateID{"new"}) {
		t.Errorf("the baseline is %v", got)
	}
	b.again("old", func(d *Descriptor, _ *Approval) { d.Supersedes = []UpdateID{"new"} })
	m = grouped(t, b.m)
	if lacks := m.Replacers(b.describe).Lacking([]UpdateID{"new", "old"}, has); !slices.Equal(lacks, []UpdateID{"old"}) {
		t.Errorf("of a loop %v are lacking", lacks)
	}
	if got := m.Approved(GroupAll, b.describe); !slices.Equal(got, []UpdateID{"new", "old"}) {
		t.Errorf("of a loop the baseline is %v", got)
	}
}

// R-B1, R-B8: what is replaced is not listed, also by way of one that was withdrawn; what replaces each other is, or nobody would
// ever hear of it.
func TestRB1TheListGoesByWholeChains(t *testing.T) {
	list := func(loop bool) []UpdateID {
		b := threeInAChain(t)
		b.again("mid", func(d *Descriptor, _ *Approval) { d.Withdrawn = true })
		if loop {
			b.again("old", func(d *Descriptor, _ *Approval) { d.Supersedes = []UpdateID{"new"} })
		}
		var catalogue []Candidate
		for _, a := range b.m.Approvals {
			catalogue = append(catalogue, candidate(b.descs[a.Descriptor], t0, t0))
		}
		added := (&Manifest{}).List(catalogue, func(UpdateID) bool { return false }, t0).Added
		slices.Sort(added)
		return added
	}
	if got := list(false); !slices.Equal(got, []UpdateID{"new"}) {
		t.Errorf("%v are listed", got)
	}
	if got := list(true); !slices.Equal(got, []UpdateID{"new", "old"}) {
		t.Errorf("of a loop %v are listed", got)
	}
}

// R-B8: a chain is whole on a machine too where one in its middle is approved for other machines only. What a delegated role has
// approved for others, or what is only listed, closes no chain.
func TestRB8AChainGoesOnThroughWhatIsApprovedForOthers(t *testing.T) {
	b := threeInAChain(t)
	b.again("mid", func(_ *Descriptor, a *Approval) { a.Group = "desks" })
	if p := b.plan(Machine{}, t0); p["old"].Verb != VerbNone || p["old"].Reason != ReasonDepOtherFirst || p["new"].Verb != VerbInstall {
		t.Errorf("%+v", p)
	}
	m := grouped(t, b.m)
	m.Approvals[0].role = "r" // the order is by name: mid, new, old
	for _, v := range MakePlan(m, b.describe, Machine{Installers: []string{"file"}}, false, t0).Verdicts {
		if v.Verb != VerbInstall {
			t.Errorf("by the word of a role: %+v", v)
		}
	}
	b.again("mid", func(_ *Descriptor, a *Approval) { a.Group, a.Action = "all", ActionDetectOnly })
	if p := b.plan(Machine{}, t0); p["old"].Verb != VerbInstall {
		t.Errorf("by a list: %+v", p["old"])
	}
}

// R-B8: in random worlds, what is told to be replaced on all machines is what a machine that has nothing leaves out to the end:
// never one that it installs, be it as a checkpoint.
func TestRB8WhatIsReplacedIsWhatANewMachineLeavesOut(t *testing.T) {
	left, kept := 0, 0
	worlds := soak(400, 20_000)
	for seed := range uint64(worlds) {
		w := drawTangle(t, seed)
		m := grouped(t, w.b.m)
		told := m.Replaced([]string{GroupAll}, w.b.describe, t0)
		mach := Machine{Detected: map[UpdateID]Detection{}, Installers: []string{"file"}}
		first := w.b.plan(mach, t0)
		for again, plan := true, first; again; plan = w.b.plan(mach, t0) {
			again = false
			for u, v := range plan {
				if v.Verb == VerbInstall {
					mach.Detected[u], again = Detection{Present: true, At: t0}, true
				}
			}
		}
		steps := 0 // what it installs although it has what replaces it in the end
		for _, u := range w.ids {
			if mach.Detected[u].Present && slices.ContainsFunc(w.ids, func(x UpdateID) bool { return mach.Detected[x].Present && w.replaces(x, u) }) {
				steps++
			}
		}
		kept += steps
		for _, u := range w.ids {
			replaced := told[u]
			out := first[u].Verb == VerbNone && first[u].Reason == ReasonDepOtherFirst
			if replaced && (!out || mach.Detected[u].Present) || out && !replaced && steps == 0 {
				w.fail(first, "%s is replaced %v; a new machine leaves it out %v and has it %v", u, replaced, out, mach.Detected[u].Present)
			}
			if replaced {
				left++
			}
		}
	}
	if left < worlds/4 || kept < worlds/40 {
		t.Errorf("the worlds are too plain: %d left out, %d checkpoints kept", left, kept)
	}
	t.Logf("%d worlds: %d left out, %d checkpoints kept", worlds, left, kept)
}
