package policy

import (
	"slices"
	"strings"
	"testing"
	"time"

	"patchmesh/content"
)

// Rows of the client policy: when machines are changed, and who is told. t0 is a Sunday, 12:00 UTC.

// nightly is a window from 02:00 to 03:00 UTC, every day.
func nightly(group string) Window {
	return Window{ID: "w", Group: group, Rule: "FREQ=DAILY", From: "2026-01-01", At: "02:00", Zone: "UTC", Minutes: 60}
}

func night(n int) time.Time { return time.Date(2026, 3, 1+n, 2, 0, 0, 0, time.UTC) }

func (b *bench) set(pairs ...string) {
	for i := 0; i < len(pairs); i += 2 {
		b.m.Settings = append(b.m.Settings, Setting{Name: pairs[i], Group: "all", Value: pairs[i+1]})
	}
	slices.SortFunc(b.m.Settings, compareSettings)
}

func waits(since time.Time) Machine {
	return Machine{Waits: map[UpdateID]Wait{"u": {Revision: 1, Since: since}}}
}

// R-C3: an update is bound to its windows until N of them passed without it; then it is installed at the next
// occasion, and says why. Windows before it waited do not count, and nobody lets go of them by default.
func TestRC3AfterSoManyMissedWindowsAnUpdateIsBoundToThemNoMore(t *testing.T) {
	b := newBench(t)
	b.m.Windows = []Window{nightly("all")}
	b.approve(b.update("u", 1, nil), "all", ActionInstall, nil)
	b.approve(b.update("long", 1, func(d *Descriptor) { d.MaxRunSeconds = 7200 }), "all", ActionInstall, nil)
	mach := waits(t0)
	mach.Waits["long"] = Wait{Revision: 1, Since: t0}
	for _, n := range []int{1, 2, 9} {
		if v := b.plan(mach, night(n).Add(2*time.Hour))["u"]; v.Verb != VerbStage || v.Await != StateWaitingWindow || v.Reason != "" {
			t.Errorf("by default, after %d windows: %+v", n, v)
		}
	}
	b.set(SetEscalateAfter, "2")
	for _, c := range []struct {
		at    time.Time
		verb  Verb
		until time.Time
	}{
		{night(1).Add(2 * time.Hour), VerbStage, night(2)},
		{night(2).Add(-time.Second), VerbStage, night(2)},
		{night(2).Add(59 * time.Minute), VerbStage, night(3)}, // too late in the second for half an hour
		{night(2).Add(time.Hour), VerbInstall, time.Time{}},
		{night(5).Add(9 * time.Hour), VerbInstall, time.Time{}},
	} {
		v := b.plan(mach, c.at)["u"]
		if v.Verb != c.verb || !v.Until.Equal(c.until) {
			t.Errorf("at %s: %+v", c.at, v)
		}
		if c.verb == VerbInstall && (v.Reason != "" || !strings.Contains(v.Detail, "2 maintenance windows passed")) {
			t.Errorf("at %s it does not say why: %+v", c.at, v)
		}
	}
	if v := b.plan(mach, night(1).Add(time.Minute))["long"]; v.Verb != VerbStage || v.Reason != ReasonWindowTooShort {
		t.Errorf("a run that does not fit, before: %+v", v)
	}
	if v := b.plan(mach, night(2).Add(time.Hour))["long"]; v.Verb != VerbInstall || !strings.Contains(v.Detail, SetEscalateAfter) {
		t.Errorf("a run that does not fit, after: %+v", v)
	}
	for name, m := range map[string]Machine{
		"nothing is known of it": {}, "it waits since yesterday": waits(night(4).Add(time.Minute)), "another revision waited": {Waits: map[UpdateID]Wait{"u": {Revision: 2, Since: t0}}},
	} {
		if v := b.plan(m, night(5).Add(2*time.Hour))["u"]; v.Verb != VerbStage {
			t.Errorf("%s: %+v", name, v)
		}
	}
	b.m.Windows, b.m.Settings = nil, nil
	b.set(SetEscalateAfter, "1", SetWindowsRequired, "yes")
	if v := b.plan(mach, night(9))["u"]; v.Verb != VerbStage || v.Reason != ReasonWindowNone {
		t.Errorf("a machine that needs a window and has none: %+v", v)
	}
}

// R-C3: the plan is made anew at the very moment at which windows bind no more; where machines begin their windows
// spread, that moment is spread as well.
func TestRC3TheMomentOfEscalationIsPlannedAndSpread(t *testing.T) {
	b := newBench(t)
	w := nightly("all")
	b.m.Windows = []Window{w}
	b.set(SetEscalateAfter, "1")
	d := b.update("u", 1, func(d *Descriptor) { d.MaxRunSeconds = 7200 })
	b.approve(d, "all", ActionInstall, nil)
	next := func(id string, spread int) time.Time {
		b.m.Windows[0].SpreadMinutes = spread
		m := waits(t0)
		m.ID, m.Installers = id, []string{"file"}
		return MakePlan(grouped(t, b.m), func(content.ID) *Descriptor { return d }, m, false, t0.Add(time.Hour)).NextAt
	}
	if at := next("a", 0); !at.Equal(night(1).Add(time.Hour)) {
		t.Errorf("planned for %s", at)
	}
	seen := map[time.Time]bool{}
	for _, id := range []string{"a", "b", "c", "d", "e", "f"} {
		at := next(id, 45)
		if late := at.Sub(night(1).Add(time.Hour)); late < 0 || late >= 45*time.Minute {
			t.Errorf("%s: %s after the window", id, late)
		}
		seen[at] = true
	}
	if len(seen) < 4 {
		t.Errorf("six machines let go at %d moments", len(seen))
	}
}

// R-C3, security: the apply role knows no better than the approval since when an update waits; it lets go of the
// windows as late as a machine that had been there from the beginning, and never before.
func TestRC3TheApplyRoleCountsFromTheApproval(t *testing.T) {
	b := newBench(t)
	b.m.Windows = []Window{nightly("all")}
	b.set(SetEscalateAfter, "2")
	b.approve(b.update("u", 1, nil), "all", ActionInstall, func(a *Approval) { a.NotBefore = night(3) })
	apply := Machine{UserElsewhere: true, Waits: map[UpdateID]Wait{"u": {Revision: 1, Since: t0.Add(-9 * day)}}}
	if v := b.plan(apply, night(4).Add(30*time.Minute+time.Second))["u"]; v.Verb != VerbStage {
		t.Errorf("one window after it may be installed: %+v", v)
	}
	if v := b.plan(apply, night(4).Add(2*time.Hour))["u"]; v.Verb != VerbInstall {
		t.Errorf("two windows after it may be installed: %+v", v)
	}
}

// R-C4: a machine that was off in its window waits for the next one, installs at once when it is on again, or so
// long after it was started: whichever policy says.
func TestRC4AMachineThatWasOffDoesWhatPolicySays(t *testing.T) {
	started := night(1).Add(6 * time.Hour)
	for _, c := range []struct {
		value string
		after time.Duration // since it was started
		verb  Verb
		until time.Time // of the wait
	}{
		{"next", 0, VerbStage, night(2)}, {"next", 5 * time.Hour, VerbStage, night(2)},
		{"now", 0, VerbInstall, time.Time{}},
		{"15m", 0, VerbStage, night(2)}, {"15m", 15*time.Minute - time.Second, VerbStage, night(2)}, {"15m", 15 * time.Minute, VerbInstall, time.Time{}},
	} {
		b := newBench(t)
		b.m.Windows = []Window{nightly("all")}
		b.set(SetMissedWindow, c.value)
		b.approve(b.update("u", 1, nil), "all", ActionInstall, nil)
		m := waits(t0)
		m.Inventory = &Inventory{BootedAt: started}
		if v := b.plan(m, started.Add(c.after))["u"]; v.Verb != c.verb || !v.Until.Equal(c.until) {
			t.Errorf("%s, %s after the start: %+v", c.value, c.after, v)
		}
		m.Inventory = &Inventory{BootedAt: night(1).Add(-time.Hour)}
		if v := b.plan(m, started.Add(c.after))["u"]; v.Verb != VerbStage {
			t.Errorf("%s, but it was on in its window: %+v", c.value, v)
		}
		m.Inventory, m.Waits["u"] = &Inventory{BootedAt: started}, Wait{Revision: 1, Since: night(1).Add(30 * time.Minute)}
		if v := b.plan(m, started.Add(c.after))["u"]; v.Verb != VerbStage {
			t.Errorf("%s, but that window was over for it when it came: %+v", c.value, v)
		}
	}
}

// R-C5: what its approvers declare to disturb nobody need not wait for windows and quiet hours, where policy says so;
// what may restart or ask cannot be declared so.
func TestRC5WhatDisturbsNobodyIsInstalledAtOnceWherePolicySaysSo(t *testing.T) {
	b := newBench(t)
	b.m.Windows = []Window{nightly("all")}
	b.set(SetQuietHours, "08:00-18:00")
	mild := b.update("mild", 1, func(d *Descriptor) { d.Disruptive, d.Restart = "no", "never" })
	b.approve(mild, "all", ActionInstall, nil)
	b.approve(b.update("plain", 1, nil), "all", ActionInstall, nil)
	b.approve(b.update("rough", 1, func(d *Descriptor) { d.Disruptive = "yes" }), "all", ActionInstall, nil)
	if v := b.plan(Machine{}, t0)["mild"]; v.Verb != VerbStage {
		t.Errorf("though policy does not say so: %+v", v)
	}
	b.set(SetUndisturbing, "yes")
	p := b.plan(Machine{}, t0)
	if p["mild"].Verb != VerbInstall || p["plain"].Verb != VerbStage || p["rough"].Verb != VerbStage {
		t.Errorf("%+v", p)
	}
	b.m.Windows = nil
	b.set(SetWindowsRequired, "yes")
	if v := b.plan(Machine{}, t0)["mild"]; v.Verb != VerbStage || v.Reason != ReasonWindowNone {
		t.Errorf("a machine that needs a window and has none: %+v", v)
	}
	for _, restart := range []string{"maybe", "always"} {
		c := *mild
		c.Restart = restart
		if _, err := c.Encode(); err == nil {
			t.Errorf("restart %s disturbs nobody", restart)
		}
	}
	c := *mild
	c.Disruptive = "perhaps"
	if _, err := c.Encode(); err == nil {
		t.Error("perhaps is an answer")
	}
}

// R-C7: on battery nothing begins, or only with as much charge as policy wants; what is there is fetched all the same.
func TestRC7NothingBeginsOnBattery(t *testing.T) {
	for _, c := range []struct {
		least string
		power Power
		verb  Verb
	}{
		{"", Power{}, VerbInstall}, {"", Power{OnBattery: true, Percent: 100}, VerbStage}, {"never", Power{OnBattery: true, Percent: 100}, VerbStage},
		{"60", Power{OnBattery: true, Percent: 59}, VerbStage}, {"60", Power{OnBattery: true, Percent: 60}, VerbInstall},
		{"60", Power{Percent: 1}, VerbInstall}, {"0", Power{OnBattery: true}, VerbInstall},
	} {
		b := newBench(t)
		if c.least != "" {
			b.set(SetMinBattery, c.least)
		}
		b.approve(b.update("u", 1, nil), "all", ActionInstall, func(a *Approval) { a.Deadline = t0.Add(-time.Hour) })
		v := b.plan(Machine{Power: c.power}, t0)["u"]
		if v.Verb != c.verb {
			t.Errorf("%q, %+v: %+v", c.least, c.power, v)
		}
		if c.verb == VerbStage && (v.Reason != ReasonHostBattery || !strings.Contains(v.Detail, "battery")) {
			t.Errorf("it does not say why: %+v", v)
		}
	}
}

// R-C7: policy may have a sleeping machine woken for the window in which something is to be installed; it names no
// other moment, and none where nothing waits.
func TestRC7AMachineIsWokenForItsWindow(t *testing.T) {
	b := newBench(t)
	b.m.Windows = []Window{nightly("all")}
	d := b.update("u", 1, nil)
	b.approve(d, "all", ActionInstall, nil)
	wake := func(m Machine) time.Time {
		m.Installers = []string{"file"}
		all := grouped(t, b.m)
		return all.WakeAt(m, MakePlan(all, func(content.ID) *Descriptor { return d }, m, false, t0))
	}
	if at := wake(Machine{}); !at.IsZero() {
		t.Errorf("by default it is woken at %s", at)
	}
	b.set(SetWake, "yes")
	if at := wake(Machine{}); !at.Equal(night(1)) {
		t.Errorf("it is woken at %s", at)
	}
	if at := wake(Machine{Detected: present("u")}); !at.IsZero() {
		t.Errorf("for nothing it is woken at %s", at)
	}
}

// R-H2: in quiet hours nothing begins and nothing that began may still run; what is expedited, or past its deadline,
// does not wait. A machine in another zone has other hours.
func TestRH2QuietHoursSparePeople(t *testing.T) {
	at := func(hour, minute int) time.Time { return time.Date(2026, 3, 2, hour, minute, 0, 0, time.UTC) }
	b := newBench(t)
	b.set(SetQuietHours, "08:00-18:00")
	b.approve(b.update("u", 1, nil), "all", ActionInstall, nil) // needs 30 minutes
	b.approve(b.update("now", 1, nil), "all", ActionInstall, func(a *Approval) { a.Expedite = true })
	b.approve(b.update("due", 1, nil), "all", ActionInstall, func(a *Approval) { a.Deadline = at(12, 0) })
	b.approve(b.update("long", 1, func(d *Descriptor) { d.MaxRunSeconds = 15 * 3600 }), "all", ActionInstall, nil)
	for _, c := range []struct {
		at    time.Time
		verb  Verb
		until time.Time
	}{
		{at(7, 30), VerbInstall, time.Time{}}, {at(7, 31), VerbStage, at(18, 0)}, {at(8, 0), VerbStage, at(18, 0)},
		{at(17, 59), VerbStage, at(18, 0)}, {at(18, 0), VerbInstall, time.Time{}},
	} {
		v := b.plan(Machine{}, c.at)["u"]
		if v.Verb != c.verb || !v.Until.Equal(c.until) || c.verb == VerbStage && (v.Await != StateWaitingWindow || v.Reason != ReasonPolicyDeferred) {
			t.Errorf("%s: %+v", c.at.Format("15:04"), v)
		}
	}
	p := b.plan(Machine{}, at(11, 0))
	if p["now"].Verb != VerbInstall || p["due"].Verb != VerbStage || !p["due"].Until.Equal(at(12, 0)) {
		t.Errorf("%+v", p)
	}
	if v := b.plan(Machine{}, at(12, 0))["due"]; v.Verb != VerbInstall {
		t.Errorf("past its deadline: %+v", v)
	}
	if v := p["long"]; v.Verb != VerbStage || v.Reason != ReasonWindowTooShort {
		t.Errorf("it never fits between two days of work: %+v", v)
	}
	zone := time.FixedZone("far", 9*3600)
	if v := b.plan(Machine{Zone: zone}, at(10, 0))["u"]; v.Verb != VerbInstall { // 19:00 there
		t.Errorf("in another zone: %+v", v)
	}
	m := restarting(SetRestart, RestartAlways, SetRestartSpread, "0s", SetQuietHours, "08:00-18:00", SetNotify, NotifyAll)
	asked := Machine{Restart: PendingRestart{Pending: true, Since: at(9, 0)}}
	if r := m.PlanRestart(asked, false, at(9, 0)); r.Due || !r.Until.Equal(at(18, 0)) {
		t.Errorf("restart: %+v", r)
	}
	waiting := Plan{Verdicts: []Verdict{{Update: "u", Verb: VerbStage, Await: StateWaitingUser, Detail: "it waits"}}}
	if n := m.Notices(asked, waiting, RestartPlan{}, at(9, 0)); len(n) != 0 {
		t.Errorf("people are told %+v", n)
	}
	if n := m.Notices(asked, waiting, RestartPlan{}, at(19, 0)); len(n) != 2 {
		t.Errorf("afterwards people are told %+v", n)
	}
}

// R-C8: people at a machine are told of nothing, of restarts, or of updates as well; a restart of a machine whose
// people are told nothing warns nobody.
func TestRC8WhoIsToldIsPolicy(t *testing.T) {
	plan := Plan{Verdicts: []Verdict{
		{Update: "a", Verb: VerbStage, Await: StateWaitingUser, Detail: "it waits for the user"},
		{Update: "b", Verb: VerbInstall}, {Update: "c", Verb: VerbNone, Compliance: Installed},
		{Update: "d", Verb: VerbStage, Await: StateWaitingUser, Reason: ReasonUserPostponed},
	}}
	mach := Machine{Restart: PendingRestart{Pending: true, Since: t0}}
	for value, want := range map[string][]string{
		NotifyNone: nil, NotifyRestartOnly: {NoticeRestart}, NotifyAll: {NoticeRestart, NoticeAsks, NoticeComes}, "": {NoticeRestart},
	} {
		m := restarting(SetRestart, RestartAlways, SetRestartSpread, "0s")
		if value != "" {
			m = restarting(SetRestart, RestartAlways, SetRestartSpread, "0s", SetNotify, value)
		}
		var kinds []string
		for _, n := range m.Notices(mach, plan, RestartPlan{Detail: "at noon"}, t0) {
			kinds = append(kinds, n.Kind)
		}
		if !slices.Equal(kinds, want) {
			t.Errorf("%q: %v", value, kinds)
		}
		if r := m.PlanRestart(mach, false, t0); !r.Due || r.Silent != (value == NotifyNone) {
			t.Errorf("%q: %+v", value, r)
		}
	}
}

// R-C9: policy names the web hosts that may be asked, or none at all, and the seeds that reports go to. The machine's
// own file may only name fewer hosts.
func TestRC9WhereUpdatesComeFromAndWhereReportsGo(t *testing.T) {
	b := newBench(t)
	if w := grouped(t, b.m).Web(Machine{}); !w.Allows("anywhere.example") {
		t.Error("by default a host is refused")
	}
	b.set(SetSources, "mirror.example,cdn.example:8443", SetReportTo, "12D3KooWAbCdEfGh")
	m := grouped(t, b.m)
	w := m.Web(Machine{})
	if !w.Allows("mirror.example") || !w.Allows("CDN.example:8443") || w.Allows("cdn.example") || w.Allows("evil.example") {
		t.Errorf("%+v", w)
	}
	if w := m.Web(Machine{Local: map[string]string{SetSources: "mirror.example"}}); w.Allows("cdn.example:8443") || !w.Allows("mirror.example") {
		t.Errorf("narrower: %+v", w)
	}
	if w := m.Web(Machine{Local: map[string]string{SetSources: "mirror.example,evil.example"}}); w.Allows("evil.example") {
		t.Errorf("the machine's own file adds a host: %+v", w)
	}
	if h := MakePlan(m, nil, Machine{}, false, t0).Habits; !slices.Equal(h.ReportTo, []string{"12D3KooWAbCdEfGh"}) {
		t.Errorf("reports go to %v", h.ReportTo)
	}
	b.set(SetInternet, "never")
	if w := grouped(t, b.m).Web(Machine{}); w.Allows("mirror.example") {
		t.Errorf("internet never: %+v", w)
	}
	for name, bad := range map[string]string{SetSources: "https://x.example/", SetReportTo: "no-peer", SetInternet: "sometimes"} {
		if err := (Setting{Name: name, Group: "all", Value: bad}).Validate(); err == nil {
			t.Errorf("%s=%s is taken", name, bad)
		}
	}
}

// R-C12: what a metered link is for is signed by group; the machine's own file may only make less of it.
func TestRC12WhatAMeteredLinkIsForIsPolicy(t *testing.T) {
	habit := func(b *bench, local string) string {
		m := Machine{}
		if local != "" {
			m.Local = map[string]string{SetMetered: local}
		}
		return MakePlan(grouped(t, b.m), nil, m, false, t0).Habits.Metered
	}
	b := newBench(t)
	if h := habit(b, ""); h != "" {
		t.Errorf("nobody has said anything: %q", h)
	}
	b.set(SetMetered, MeteredPeersOnly)
	for local, want := range map[string]string{"": MeteredPeersOnly, MeteredNever: MeteredNever, MeteredAllow: MeteredPeersOnly} {
		if h := habit(b, local); h != want {
			t.Errorf("local %q: %q", local, h)
		}
	}
}

// R-H10: while the machine is shut down what waits for a window is installed if it is done in time and policy gives
// that time; what is held, not due or too long is not, and windows that policy asks for stay needed.
func TestRH10WhatFitsMayBeInstalledAtShutdown(t *testing.T) {
	b := newBench(t)
	b.m.Windows = []Window{nightly("all")}
	short := func(d *Descriptor) { d.MaxRunSeconds = 120 }
	b.approve(b.update("u", 1, short), "all", ActionInstall, nil)
	b.approve(b.update("long", 1, func(d *Descriptor) { d.MaxRunSeconds = 600 }), "all", ActionInstall, nil)
	b.approve(b.update("guess", 1, nil), "all", ActionInstall, nil) // taken to need the default
	b.approve(b.update("later", 1, short), "all", ActionInstall, func(a *Approval) { a.NotBefore = t0.Add(time.Hour) })
	b.approve(b.update("held", 1, short), "all", ActionInstall, nil)
	b.approve(b.update("gone", 1, short), "all", ActionRemove, nil)
	b.m.Holds = []Hold{{ID: "h", Update: "held", Kind: "pause", Reason: "r", At: t0}}
	down := func(left time.Duration) map[UpdateID]Verdict {
		return b.plan(Machine{ShuttingDown: left, Detected: present("gone")}, t0)
	}
	for u, v := range down(time.Hour) {
		if v.Verb == VerbInstall || v.Verb == VerbRemove {
			t.Errorf("by default %s is changed at shutdown: %+v", u, v)
		}
	}
	b.set(SetAtShutdown, "5m")
	p := down(time.Hour)
	if p["u"].Verb != VerbInstall {
		t.Errorf("%+v", p["u"])
	}
	for _, u := range []UpdateID{"long", "guess", "later", "held", "gone"} {
		if v := p[u]; v.Verb == VerbInstall || v.Verb == VerbRemove {
			t.Errorf("%s is changed at shutdown: %+v", u, v)
		}
	}
	if v := down(time.Minute)["u"]; v.Verb != VerbStage || v.Reason != ReasonWindowTooShort {
		t.Errorf("with a minute left: %+v", v)
	}
	if v := b.plan(Machine{}, t0)["u"]; v.Verb != VerbStage {
		t.Errorf("while nobody shuts it down: %+v", v)
	}
	b.m.Windows = nil
	b.set(SetWindowsRequired, "yes")
	if v := down(time.Hour)["u"]; v.Verb == VerbInstall {
		t.Errorf("without the window that policy asks for: %+v", v)
	}
}

// R-C13: where nobody can read what the machine's own file would hold back, it holds everything, and says why.
func TestRC13AFileThatCannotBeReadHoldsEverythingAndSaysSo(t *testing.T) {
	m, describe := mitigating(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC))
	mach := Machine{Installers: []string{"file", "script"}, LocalTrouble: "policy.json: unexpected end"}
	for _, v := range MakePlan(m, describe, mach, false, time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)).Verdicts {
		if v.Verb != VerbHold || v.Reason != ReasonLocalHold || !strings.Contains(v.Detail, "cannot be read") || !strings.Contains(v.Detail, "unexpected end") {
			t.Errorf("%s: %+v", v.Update, v)
		}
	}
}

// R-C13 of the settings here: the machine's own file may be stricter, and in no case looser.
func TestRC13OfTimesTheLocalFileMayOnlyBeStricter(t *testing.T) {
	for _, c := range []struct{ name, signed, stricter, looser string }{
		{SetMissedWindow, "15m", "next", "now"}, {SetMissedWindow, "15m", "30m", "5m"}, {SetEscalateAfter, "3", "none", "2"}, {SetEscalateAfter, "3", "5", "1"},
		{SetQuietHours, "08:00-18:00", "07:00-19:00", "09:00-17:00"}, {SetQuietHours, "22:00-06:00", "21:00-06:00", "none"}, {SetActiveHours, "08:00-18:00", "07:00-19:00", "09:00-17:00"}, {SetUndisturbing, "yes", "no", ""},
		{SetMinBattery, "50", "80", "20"}, {SetMinBattery, "50", "never", "0"}, {SetAtShutdown, "5m", "none", "10m"}, {SetAtShutdown, "5m", "2m", ""},
		{SetInternet, "allow", "never", ""}, {SetMetered, "peers-only", "never", "allow"}, {SetSources, "a.example,b.example", "a.example", "any"}, {SetWake, "yes", "no", ""},
	} {
		m := grouped(t, Manifest{Settings: []Setting{{c.name, "all", c.signed}}})
		value := func(local string) Effective {
			all := m.Effectives(Machine{Local: map[string]string{c.name: local}})
			return all[slices.IndexFunc(all, func(e Effective) bool { return e.Name == c.name })]
		}
		if e := value(c.stricter); e.Value != c.stricter || e.Source != "local" || e.Signed != c.signed {
			t.Errorf("%s=%s, stricter %s: %+v", c.name, c.signed, c.stricter, e)
		}
		if e := value(c.looser); c.looser != "" && (e.Value != c.signed || e.Source != "all" || e.Ignored != c.looser) {
			t.Errorf("%s=%s, looser %s: %+v", c.name, c.signed, c.looser, e)
		}
	}
}
