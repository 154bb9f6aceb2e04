package policy

import (
	"testing"
	"time"

	"patchmesh/content"
)

// R-H8, R-H6: one that must be installed alone and has failed here holds nothing back until it is tried again; one that was
// rolled back not until it is approved anew. In a chain only what was rolled back gives way: a lock of the package tool
// must not bring the older one in between.
func TestRH8WhatIsSetBackHoldsNothingBack(t *testing.T) {
	later := t0.Add(time.Hour)
	for name, c := range map[string]struct {
		set  map[UpdateID]SetBack
		now  time.Time
		want string // verbs of alone, other; older, newer
	}{
		"nothing failed":           {nil, t0, "install stage none stage"},
		"it failed":                {map[UpdateID]SetBack{"alone": {1, t0, later}}, t0, "install install none install"},
		"it is tried again":        {map[UpdateID]SetBack{"alone": {1, t0, later}}, later, "install stage none stage"},
		"it was rolled back":       {map[UpdateID]SetBack{"alone": {1, t0, time.Time{}}}, later, "install install none install"},
		"approved anew since":      {map[UpdateID]SetBack{"alone": {1, t0.Add(-time.Second), time.Time{}}}, later, "install stage none stage"},
		"of another revision":      {map[UpdateID]SetBack{"alone": {2, t0, time.Time{}}}, later, "install stage none stage"},
		"the newest failed":        {map[UpdateID]SetBack{"alone": {1, t0, time.Time{}}, "newer": {1, t0, later}}, t0, "install install none install"},
		"the newest was undone":    {map[UpdateID]SetBack{"alone": {1, t0, time.Time{}}, "newer": {1, t0, time.Time{}}}, t0, "install install install install"},
		"the newest approved anew": {map[UpdateID]SetBack{"alone": {1, t0, time.Time{}}, "newer": {1, t0.Add(-1), time.Time{}}}, t0, "install install none install"},
	} {
		b := newBench(t)
		b.approve(b.update("alone", 1, func(d *Descriptor) { d.Exclusive = "yes" }), "all", ActionInstall, nil)
		b.approve(b.update("newer", 1, func(d *Descriptor) { d.Supersedes = []UpdateID{"older"} }), "all", ActionInstall, nil)
		b.approve(b.update("older", 1, nil), "all", ActionInstall, nil)
		b.approve(b.update("other", 1, nil), "all", ActionInstall, nil)
		p := b.plan(Machine{SetBack: c.set}, c.now)
		if got := string(p["alone"].Verb + " " + p["other"].Verb + " " + p["older"].Verb + " " + p["newer"].Verb); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	b := newBench(t)
	b.approve(b.update("alone", 1, func(d *Descriptor) { d.Exclusive = "yes" }), "all", ActionInstall, nil)
	p := MakePlan(grouped(t, b.m), b.describe, Machine{Installers: []string{"file"}, SetBack: map[UpdateID]SetBack{"alone": {1, t0, later}}}, false, t0)
	if !p.NextAt.Equal(later) {
		t.Errorf("planned anew at %s, want %s", p.NextAt, later)
	}
}

// R-H8: one that must be alone and could not begin holds nothing back and is asked for all the same; of two the one that could
// goes first. A removal that failed is not waited for until it is tried again.
func TestRH8WhatCouldNotBeginHoldsNothingBack(t *testing.T) {
	b := newBench(t)
	alone := func(d *Descriptor) { d.Exclusive = "yes" }
	first := b.update("a-alone", 1, alone)
	b.approve(first, "all", ActionInstall, nil)
	b.approve(b.update("b-alone", 1, alone), "all", ActionInstall, nil)
	b.approve(b.update("other", 1, nil), "all", ActionInstall, nil)
	b.approve(b.update("old", 1, nil), "all", ActionRemove, nil)
	unready := map[content.ID]bool{first.ID(): true}
	gone := map[UpdateID]SetBack{"old": {1, t0, t0.Add(time.Hour)}}
	for name, c := range map[string]struct {
		mach Machine
		want string
	}{
		"both could":             {Machine{}, "install stage stage remove"},
		"the first could not":    {Machine{Unready: unready}, "stage install stage remove"},
		"only the first is left": {Machine{Unready: unready, Detected: present("b-alone")}, "install none install remove"},
		"a removal is due":       {Machine{Detected: present("old")}, "stage stage install remove"},
		"a removal failed":       {Machine{Detected: present("old"), SetBack: gone}, "install stage stage remove"},
	} {
		p := b.plan(c.mach, t0)
		if got := string(p["a-alone"].Verb + " " + p["b-alone"].Verb + " " + p["other"].Verb + " " + p["old"].Verb); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// R-H8: where somebody else chooses among what is due, no other install is waited for and none that is not there replaces the chosen
// one, whatever it must be; a removal is waited for, and so is what the chosen one needs.
func TestRH8OnlyWhatIsOrderedCountsWhereSomebodyChooses(t *testing.T) {
	b := newBench(t)
	b.approve(b.update("alone", 1, func(d *Descriptor) { d.Exclusive = "yes" }), "all", ActionInstall, nil)
	b.approve(b.update("old", 1, nil), "all", ActionInstall, nil)
	b.approve(b.update("new", 1, func(d *Descriptor) { d.Supersedes = []UpdateID{"old"} }), "all", ActionInstall, nil)
	b.approve(b.update("plugin", 1, func(d *Descriptor) { d.Prerequisites = []UpdateID{"old"} }), "all", ActionInstall, nil)
	for _, u := range []UpdateID{"alone", "old", "new"} {
		if v := b.plan(Machine{Ordered: u}, t0)[u]; v.Verb != VerbInstall {
			t.Errorf("%s is ordered: %+v", u, v)
		}
	}
	if v := b.plan(Machine{Ordered: "plugin"}, t0)["plugin"]; v.Verb != VerbStage {
		t.Errorf("it goes before what it needs: %+v", v)
	}
	if v := b.plan(Machine{Ordered: "old", Detected: present("new")}, t0)["old"]; v.Verb != VerbNone {
		t.Errorf("it is laid over what replaces it: %+v", v)
	}
	b.approve(b.update("gone", 1, nil), "all", ActionRemove, nil)
	if v := b.plan(Machine{Ordered: "alone", Detected: present("gone")}, t0)["alone"]; v.Verb != VerbStage {
		t.Errorf("it goes beside a removal: %+v", v)
	}
}
