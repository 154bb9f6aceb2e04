package policy

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"patchmesh/content"
)

// R-M7: a new mesh begins with a deadline for every severity, the sooner the graver, as settings that can be changed
// and switched off; what an approval says itself stands.
func TestRM7DeadlinesBySeverityComeFilled(t *testing.T) {
	table := UsualDeadlines()
	if !slices.IsSortedFunc(table, compareSettings) || len(table) != 4 {
		t.Fatalf("table: %v", table)
	}
	for _, s := range table {
		if err := s.Validate(); err != nil {
			t.Error(err)
		}
	}
	table[0].Value = "1h"
	if usualDeadlines[0].Value == "1h" {
		t.Fatal("the table is anybody's to change")
	}
	d := &Descriptor{Update: "u", Revision: 1}
	a := Approval{Update: "u", Revision: 1, Group: GroupAll, Action: ActionInstall, At: t0}
	due := func(severity string, a Approval, more ...Setting) time.Time {
		d.Severity = severity
		m := grouped(t, Manifest{Groups: []Group{{Name: "slow"}}})
		m.Settings, m.Approvals = append(UsualDeadlines(), more...), []Approval{a}
		slices.SortFunc(m.Settings, compareSettings)
		mach := Machine{Groups: []string{"slow"}, Installers: []string{""}, Detected: map[UpdateID]Detection{"u": {}}}
		return MakePlan(m, func(content.ID) *Descriptor { return d }, mach, false, t0).Verdicts[0].Deadline
	}
	last := t0
	for _, severity := range []string{"critical", "important", "moderate", "low"} {
		at := due(severity, a)
		if !at.After(last) {
			t.Errorf("%s: %s, graver ones %s", severity, at, last)
		}
		last = at
	}
	if at := due("unspecified", a); !at.IsZero() {
		t.Errorf("nobody has said how grave it is, and it is due at %s", at)
	}
	own := a
	own.Deadline = t0.Add(time.Hour)
	if at := due("critical", own); !at.Equal(own.Deadline) {
		t.Errorf("its approval says %s, and it is due at %s", own.Deadline, at)
	}
	if at := due("critical", a, Setting{setDeadline + "critical", "slow", "none"}); !at.IsZero() {
		t.Errorf("switched off for its group, and due at %s", at)
	}
	if at := due("critical", a, Setting{setDeadline + "critical", "slow", "72h"}); !at.Equal(t0.Add(72 * time.Hour)) {
		t.Errorf("changed for its group, and due at %s", at)
	}
	for _, action := range []Action{ActionOptional, ActionStageOnly, ActionRemove} {
		o := a
		o.Action = action
		if at := due("critical", o); !at.IsZero() {
			t.Errorf("%s is due at %s", action, at)
		}
	}
	m := &Manifest{Groups: []Group{{Name: "slow"}}, Settings: append(UsualDeadlines(), Setting{setDeadline + "critical", "slow", "none"})}
	if s := m.DeadlineSetting("critical", GroupAll); s.Value != "168h" {
		t.Errorf("for all: %v", s)
	}
	if s := m.DeadlineSetting("critical", "slow"); s.Name != "" {
		t.Errorf("for a group that has none: %v", s)
	}
	if s := m.DeadlineSetting("important", "slow"); s.Value != "336h" || s.Group != GroupAll {
		t.Errorf("for a group in all: %v", s)
	}
}

// R-M7: random policies: the table makes nothing later. What is installed without it is installed with it, at the same
// moment, and the quick way of reading it says what the slow one says.
func TestRM7DeadlinesBySeverityDelayNothing(t *testing.T) {
	acted, due := 0, 0
	for seed := range uint64(soak(300, 5000)) {
		l := draw(t, rand.New(rand.NewPCG(seed, 23)))
		describe := func(id content.ID) *Descriptor { return l.descs[id] }
		with := *l.m
		with.Settings = UsualDeadlines()
		slow := with
		slow.Settings = append(UsualDeadlines(), Setting{SetScanInterval, "nowhere", "2h"})
		was, is, read := MakePlan(l.m, describe, l.mach, false, l.now), MakePlan(&with, describe, l.mach, false, l.now), MakePlan(&slow, describe, l.mach, false, l.now)
		for i, v := range was.Verdicts {
			if v.Verb != is.Verdicts[i].Verb || !is.Verdicts[i].Deadline.Equal(read.Verdicts[i].Deadline) || v.Urgent != is.Verdicts[i].Urgent {
				t.Fatalf("seed %d:\n%+v\n%+v\n%+v", seed, v, is.Verdicts[i], read.Verdicts[i])
			}
			if v.Verb == VerbInstall {
				acted++
			}
			if v.Deadline.IsZero() && !is.Verdicts[i].Deadline.IsZero() {
				due++
			}
		}
	}
	if acted < 10 || due < 50 {
		t.Errorf("the worlds are too plain: %d installs, %d deadlines by severity", acted, due)
	}
}
