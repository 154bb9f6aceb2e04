package policy

import "testing"

// R-G3, R-B8: an update that is on a machine beside one that replaces it, or while that one is on its way, is told as
// superseded-present; a replacement that is held, not for the machine or not approved there supersedes nothing yet.
// What needs the old one has it all the same.
func TestRG3AnOldUpdateBesideItsReplacementIsSupersededPresent(t *testing.T) {
	for name, c := range map[string]struct {
		machine Machine
		change  func(*Manifest)
		want    Compliance
	}{
		"the new one comes":          {Machine{Detected: present("old")}, nil, SupersededPresent},
		"the new one is there":       {Machine{Detected: present("old", "new")}, nil, SupersededPresent},
		"the new one waits":          {Machine{Detected: present("old")}, func(m *Manifest) { m.Settings = []Setting{{SetWindowsRequired, "all", "yes"}} }, SupersededPresent},
		"the new one is held":        {Machine{Detected: present("old")}, func(m *Manifest) { m.Holds = []Hold{{ID: "h", Update: "new", Kind: "pause", Reason: "r", At: t0}} }, Installed},
		"the new one is for others":  {Machine{Detected: map[UpdateID]Detection{"old": {Present: true, At: t0}, "new": {Foreign: ReasonCompatOS, At: t0}}}, nil, Installed},
		"the new one is not due yet": {Machine{Detected: present("old")}, func(m *Manifest) { m.Approvals[1].NotBefore = t0.AddDate(1, 0, 0) }, Installed},
		"nothing is there":           {Machine{}, nil, NotApplicable},
	} {
		b := newBench(t)
		b.approve(b.update("old", 1, nil), "all", ActionInstall, nil)
		b.approve(b.update("new", 1, func(d *Descriptor) { d.Supersedes = []UpdateID{"old"} }), "all", ActionInstall, nil)
		b.approve(b.update("plugin", 1, func(d *Descriptor) { d.Prerequisites = []UpdateID{"old"} }), "all", ActionInstall, nil)
		if c.change != nil {
			c.change(&b.m)
		}
		p := b.plan(c.machine, t0)
		if v := p["old"]; v.Compliance != c.want || v.Verb != VerbNone {
			t.Errorf("%s: %+v", name, v)
		}
		if v := p["plugin"]; c.want == SupersededPresent && v.Await == StateWaitingPrerequisite {
			t.Errorf("%s: what needs the old one: %+v", name, v)
		}
	}
	if lacks := (Replacers{}).Lacking([]UpdateID{"old"}, map[UpdateID]Standing{"old": {Compliance: SupersededPresent}}); len(lacks) > 0 {
		t.Errorf("a baseline misses what is there: %v", lacks)
	}
}
