package policy

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func orchestration(names ...string) Orchestration {
	o := Orchestration{Name: "web", Group: "servers", Site: "main", Generation: 1, Count: 1, MemberMinutes: 60}
	for _, n := range names {
		o.Members = append(o.Members, OrchMember{ID: n, Name: n})
	}
	return o
}

// R-H3: what cannot be kept is refused when it is signed and when it is read.
func TestRH3OrchestrationsThatCannotBeKeptAreRefused(t *testing.T) {
	for name, edit := range map[string]func(o *Orchestration){
		"neither number nor share":    func(o *Orchestration) { o.Count = 0 },
		"both":                        func(o *Orchestration) { o.Percent = 10 },
		"more than everybody":         func(o *Orchestration) { o.Count, o.Percent = 0, 101 },
		"no member":                   func(o *Orchestration) { o.Members = nil },
		"one twice":                   func(o *Orchestration) { o.Members = append(o.Members, o.Members[0]) },
		"younger than itself":         func(o *Orchestration) { o.Since = 2 },
		"no time":                     func(o *Orchestration) { o.MemberMinutes = 0 },
		"less for all than for one":   func(o *Orchestration) { o.GroupMinutes = 30 },
		"more liars than could be":    func(o *Orchestration) { o.Liars = 2 },
		"an earlier list of nobody":   func(o *Orchestration) { o.Earlier = []EarlierMembers{{Until: 1, Minutes: 60}} },
		"an earlier list without end": func(o *Orchestration) { o.Earlier = []EarlierMembers{{Minutes: 60, Members: []string{"a"}}} },
		"an old list before a newer":  func(o *Orchestration) { o.Earlier = []EarlierMembers{{1, 60, []string{"a"}}, {2, 60, []string{"a"}}} },
		"a name that lies":            func(o *Orchestration) { o.Members[0].Name = "a\x1b[2J" },
		"too many slots": func(o *Orchestration) {
			o.Count = 200
			for i := range 300 {
				o.Members = append(o.Members, OrchMember{fmt.Sprint(i), "n"})
			}
		},
	} {
		o := orchestration("a", "b", "c")
		if err := o.Validate(); err != nil {
			t.Fatal(err)
		}
		if edit(&o); !errors.Is(o.Validate(), ErrFormat) {
			t.Errorf("%s: %v", name, o.Validate())
		}
	}
	a, b := orchestration("a", "b"), orchestration("b", "c")
	b.Name = "zzz"
	m := Manifest{Orchestrations: []Orchestration{a, b}}
	if err := m.checkOrchestrations(); !errors.Is(err, ErrFormat) {
		t.Errorf("a machine that two orchestrations bind: %v", err)
	}
}

// R-H3: a machine of the group that is not on the list is bound all the same, and so is one on the list that has left
// the group by its own word; one whose group is in doubt is bound too.
func TestRH3WhomAnOrchestrationBinds(t *testing.T) {
	m := Manifest{Groups: []Group{{Name: "servers", SelfJoin: true}, {Name: "sub", Parent: "servers"}}, Orchestrations: []Orchestration{orchestration("a", "b")}}
	for name, c := range map[string]struct {
		mach  Machine
		bound bool
	}{
		"member":                     {Machine{ID: "a", Site: "main", Groups: []string{"servers"}}, true},
		"member that says it left":   {Machine{ID: "a", Site: "main"}, true},
		"newcomer of the group":      {Machine{ID: "x", Site: "main", Groups: []string{"sub"}}, true},
		"the group in another site":  {Machine{ID: "x", Site: "other", Groups: []string{"servers"}}, false},
		"another group of the site":  {Machine{ID: "x", Site: "main"}, false},
		"one that joined by its own": {Machine{ID: "x", Site: "main", Claims: []string{"servers"}}, true},
	} {
		if got := m.OrchestrationOf(c.mach) != nil; got != c.bound {
			t.Errorf("%s: bound %v", name, got)
		}
	}
	m.Groups[0].Query = &Condition{OS: &OSTest{Name: "linux"}}
	if m.OrchestrationOf(Machine{ID: "x", Site: "main"}) == nil {
		t.Error("whether it is in the group cannot be found out, and it is not bound")
	}
}

// R-H3: only what the user accepted by hand, of that revision, need not wait, and only where that is signed.
func TestRH3BypassByTheUsersHand(t *testing.T) {
	o := orchestration("a")
	v := Verdict{Update: "u", Revision: 2}
	mach := Machine{ID: "a", Wishes: map[UpdateID]Wish{"u": {Revision: 2, Accepted: true}}}
	if o.Bypasses(mach, v) {
		t.Error("it is not signed that users may")
	}
	o.Bypass = true
	if !o.Bypasses(mach, v) || o.Bypasses(mach, Verdict{Update: "u", Revision: 3}) || o.Bypasses(Machine{}, v) {
		t.Error("not what was accepted by hand, and only that")
	}
}

func TestRH3SlotsLeasesAndText(t *testing.T) {
	o := orchestration("a", "b", "c", "d")
	o.Count, o.Percent = 0, 60
	o.Earlier = []EarlierMembers{{Until: 7, Minutes: 60, Members: []string{"old"}}}
	if o.Slots() != 2 || o.Lease() <= o.MemberLimit() {
		t.Errorf("%d slots, lease %s for %s", o.Slots(), o.Lease(), o.MemberLimit())
	}
	for _, part := range []string{"2 of 4 at once (60 %)", "each within 60 minutes", "d (d)", "until epoch 7 old", "reset 0"} {
		if !strings.Contains(o.String(), part) {
			t.Errorf("%q is not shown in %s", part, o)
		}
	}
	o.Count, o.Percent = 9, 0
	if o.Slots() != 4 {
		t.Errorf("%d slots of 4", o.Slots())
	}
	m := Manifest{Settings: []Setting{{SetDefaultRun, GroupAll, "45m"}}}
	if got := m.Needs(Machine{}, &Descriptor{Before: &Hook{TimeoutSeconds: 60}}); got != 46*time.Minute {
		t.Errorf("it needs %s", got)
	}
}
