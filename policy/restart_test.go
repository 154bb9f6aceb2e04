package policy

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// restarting is a manifest that says how machines of all groups restart.
func restarting(settings ...string) *Manifest {
	m := &Manifest{Epoch: 1}
	for i := 0; i < len(settings); i += 2 {
		m.Settings = append(m.Settings, Setting{Name: settings[i], Group: GroupAll, Value: settings[i+1]})
	}
	return m
}

func TestRC6ARestartWaitsForWhatPolicySparesPeople(t *testing.T) {
	since := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC) // a Monday
	asked := PendingRestart{Pending: true, Since: since, Updates: []UpdateID{"u"}}
	with := func(users int, blockers ...string) PendingRestart {
		p := asked
		p.Users, p.Blockers = users, blockers
		return p
	}
	always := []string{SetRestart, RestartAlways, SetRestartSpread, "0s"}
	also := func(more ...string) []string { return append(append([]string{}, always...), more...) }
	window := Window{ID: "w", Group: GroupAll, Rule: "FREQ=DAILY", From: "2026-01-01", At: "02:00", Zone: "UTC", Minutes: 60}
	for _, c := range []struct {
		name     string
		settings []string
		pending  PendingRestart
		windows  []Window
		holds    []Hold
		stale    bool
		at       time.Time
		due      bool
		reason   Reason
		until    time.Time
	}{
		{"nothing is pending", always, PendingRestart{}, nil, nil, false, since, false, "", time.Time{}},
		{"nobody has allowed it", nil, asked, nil, nil, false, since.Add(90 * 24 * time.Hour), false, ReasonRestartPending, time.Time{}},
		{"always", always, with(3), nil, nil, false, since, true, ReasonRestartPending, time.Time{}},
		{"users are signed in", also(SetRestart, RestartWithoutUser), with(2), nil, nil, false, since, false, ReasonRestartBlocked, time.Time{}},
		{"nobody is signed in", also(SetRestart, RestartWithoutUser), asked, nil, nil, false, since, true, ReasonRestartPending, time.Time{}},
		{"active hours", also(SetActiveHours, "08:00-18:00"), asked, nil, nil, false, since, false, ReasonRestartPending, since.Add(9 * time.Hour)},
		{"after active hours", also(SetActiveHours, "08:00-18:00"), asked, nil, nil, false, since.Add(9 * time.Hour), true, ReasonRestartPending, time.Time{}},
		{"hours beyond midnight, before it", also(SetActiveHours, "22:00-10:00"), asked, nil, nil, false, since.Add(14 * time.Hour), false, ReasonRestartPending, since.Add(25 * time.Hour)},
		{"hours beyond midnight, after it", also(SetActiveHours, "22:00-10:00"), asked, nil, nil, false, since, false, ReasonRestartPending, since.Add(time.Hour)},
		{"a program blocks it", always, with(0, "packagekit: a transaction"), nil, nil, false, since, false, ReasonRestartBlocked, time.Time{}},
		{"past its deadline nobody is spared", also(SetRestart, RestartWithoutUser, SetActiveHours, "08:00-18:00", SetRestartDeadline, "24h"), with(2, "x: y"), nil, nil, false, since.Add(24 * time.Hour), true, ReasonRestartPending, time.Time{}},
		{"just before its deadline", also(SetRestart, RestartWithoutUser, SetRestartDeadline, "24h"), with(2), nil, nil, false, since.Add(23 * time.Hour), false, ReasonRestartBlocked, since.Add(24 * time.Hour)},
		{"never outside the window, deadline or not", also(SetRestartDeadline, "1h"), asked, []Window{window}, nil, false, since.Add(3 * time.Hour), false, ReasonRestartPending, time.Date(2026, 3, 3, 2, 0, 0, 0, time.UTC)},
		{"in the window", always, asked, []Window{window}, nil, false, time.Date(2026, 3, 3, 2, 5, 0, 0, time.UTC), true, ReasonRestartPending, time.Time{}},
		{"too late in the window for warning and restart", always, asked, []Window{window}, nil, false, time.Date(2026, 3, 3, 2, 40, 0, 0, time.UTC), false, ReasonRestartPending, time.Date(2026, 3, 4, 2, 0, 0, 0, time.UTC)},
		{"everything is held", always, asked, nil, []Hold{{ID: "h", Update: AllUpdates, Kind: "freeze", Reason: "year end", ExpiresAt: since.Add(day)}}, false, since, false, ReasonPolicyHold, since.Add(day)},
		{"one update is held", always, asked, nil, []Hold{{ID: "h", Update: "other", Kind: "pause", Reason: "x"}}, false, since, true, ReasonRestartPending, time.Time{}},
		{"the approvals have expired", always, asked, nil, nil, true, since, false, ReasonTrustStale, time.Time{}},
		{"it cannot be done", always, PendingRestart{Pending: true, Since: since, Impossible: "a folder"}, nil, nil, false, since, false, ReasonRestartBlocked, time.Time{}},
		{"it was ordered", always, PendingRestart{Pending: true, Since: since, OrderedAt: since}, nil, nil, false, since.Add(time.Minute), false, ReasonRestartPending, since.Add(45 * time.Minute)},
	} {
		m := restarting()
		seen := map[string]int{}
		for i := 0; i < len(c.settings); i += 2 { // the later one counts
			name := c.settings[i]
			if at, ok := seen[name]; ok {
				m.Settings[at].Value = c.settings[i+1]
				continue
			}
			seen[name] = len(m.Settings)
			m.Settings = append(m.Settings, Setting{Name: name, Group: GroupAll, Value: c.settings[i+1]})
		}
		m.Windows, m.Holds = c.windows, c.holds
		got := m.PlanRestart(Machine{ID: "m", Restart: c.pending, Zone: time.UTC}, c.stale, c.at)
		if got.Due != c.due || got.Reason != c.reason || !got.Until.Equal(c.until) {
			t.Errorf("%s: due %v, reason %q, until %s (%s); want %v, %q, %s", c.name, got.Due, got.Reason, got.Until, got.Detail, c.due, c.reason, c.until)
		}
		if c.due && got.Delay != 15*time.Minute {
			t.Errorf("%s: people are warned for %s", c.name, got.Delay)
		}
	}
}

func TestRC6RestartsOfAFleetAreSpread(t *testing.T) {
	m := restarting(SetRestart, RestartAlways, SetRestartSpread, "1h")
	since := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	const machines = 600
	var quarter [4]int
	for i := range machines {
		mach := Machine{ID: fmt.Sprint("m", i), Restart: PendingRestart{Pending: true, Since: since}}
		got := m.PlanRestart(mach, false, since)
		turn := got.Until
		if got.Due {
			turn = since
		}
		if turn.Before(since) || !turn.Before(since.Add(time.Hour)) {
			t.Fatalf("the turn of %s comes at %s", mach.ID, turn)
		}
		quarter[turn.Sub(since)/(15*time.Minute)]++
		if p := m.PlanRestart(mach, false, turn); !p.Due {
			t.Fatalf("%s is not due in its turn: %s", mach.ID, p.Detail)
		}
	}
	for i, n := range quarter {
		if n < machines/8 {
			t.Errorf("%d of %d machines restart in quarter %d", n, machines, i)
		}
	}
}

func TestRC6ARestartThatDoesNotComeAboutIsTold(t *testing.T) {
	m := restarting(SetRestart, RestartAlways, SetRestartSpread, "0s")
	since := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	p := m.PlanRestart(Machine{Restart: PendingRestart{Pending: true, Since: since, Failures: 1}}, false, since)
	if !p.Due || !p.Failed || p.Reason != ReasonRestartBlocked {
		t.Errorf("%+v", p)
	}
}

func TestRC6SettingsOfRestartsAreChecked(t *testing.T) {
	for _, s := range []Setting{
		{SetRestart, GroupAll, "sometimes"}, {SetRestartDelay, GroupAll, "-1m"}, {SetRestartDelay, GroupAll, "25h"}, {SetActiveHours, GroupAll, "8-18"},
		{SetActiveHours, GroupAll, "08:00-08:00"}, {SetActiveHours, GroupAll, "08:00-24:01"}, {SetRestartDeadline, GroupAll, "1m"}, {SetRestartSpread, GroupAll, "8000h"},
	} {
		if err := s.Validate(); !errors.Is(err, ErrFormat) {
			t.Errorf("%s was taken: %v", s, err)
		}
	}
	local := Machine{Local: map[string]string{SetRestart: RestartAlways, SetRestartDelay: "2h"}}
	for _, e := range restarting(SetRestart, RestartWithoutUser).Effectives(local) {
		if e.Name == SetRestart && e.Value != RestartWithoutUser || e.Name == SetRestartDelay && e.Value != "2h" {
			t.Errorf("the local file makes %s %s", e.Name, e.Value)
		}
	}
}

func TestRC6WhatNeedsAnUpdateThatNeedsARestartWaitsForIt(t *testing.T) {
	needs := &Descriptor{Update: "b", Revision: 1, Installer: "file", Prerequisites: []UpdateID{"a"}}
	o := newRelations([]question{{approval: Approval{Update: "b", Action: ActionInstall}, desc: needs,
		circumstances: &circumstances{machine: &Machine{Restart: PendingRestart{Pending: true, Updates: []UpdateID{"a"}}, Detected: map[UpdateID]Detection{"a": {Present: true}}}}}},
		[]Verdict{{Update: "b", Verb: VerbInstall}}, func(UpdateID) *Descriptor { return nil })
	o.settleOrder()
	if v := o.verdicts[0]; v.Verb != VerbStage || v.Await != StateRestartNeededFirst || v.Reason != ReasonRestartPending {
		t.Errorf("%+v", v)
	}
}
