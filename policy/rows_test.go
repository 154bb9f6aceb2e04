package policy

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"patchmesh/content"
)

// One test for each row of the list of abilities that has no story of its own; the number of the row is in the name.

// bench is a manifest in the making with its descriptors.
type bench struct {
	t     *testing.T
	m     Manifest
	descs map[content.ID]*Descriptor
}

func (b *bench) describe(id content.ID) *Descriptor { return b.descs[id] }

func newBench(t *testing.T) *bench { return &bench{t: t, descs: map[content.ID]*Descriptor{}} }

// update makes a descriptor; change may alter it before it is named.
func (b *bench) update(id UpdateID, revision int, change func(*Descriptor)) *Descriptor {
	d := &Descriptor{Update: id, Revision: revision, Severity: "critical", Installer: "file", FileName: "f", SHA256: sumOf(string(id)),
		Payload: content.Sum([]byte(id)), MapBytes: 1, PlainBytes: 1, StoredBytes: 1}
	if change != nil {
		change(d)
	}
	b.descs[d.ID()] = d
	return d
}

func (b *bench) approve(d *Descriptor, group string, a Action, change func(*Approval)) {
	x := Approval{Update: d.Update, Revision: d.Revision, Descriptor: d.ID(), DescriptorBytes: 1000, Group: group, Action: a, At: t0}
	if change != nil {
		change(&x)
	}
	b.m.Approvals = append(b.m.Approvals, x)
}

func (b *bench) plan(mach Machine, now time.Time) map[UpdateID]Verdict {
	b.t.Helper()
	m := b.m
	m.Groups, m.Approvals = slices.Clone(b.m.Groups), slices.Clone(b.m.Approvals)
	if mach.Installers == nil {
		mach.Installers = []string{"file"}
	}
	out := map[UpdateID]Verdict{}
	for _, v := range MakePlan(grouped(b.t, m), func(id content.ID) *Descriptor { return b.descs[id] }, mach, false, now).Verdicts {
		out[v.Update] = v
	}
	return out
}

func present(ids ...UpdateID) map[UpdateID]Detection {
	d := map[UpdateID]Detection{}
	for _, id := range ids {
		d[id] = Detection{Present: true, At: t0}
	}
	return d
}

// R-A8: every property is a typed field that survives signing; what nobody stated is unknown, and nothing in between.
func TestRA8PropertiesAreTypedAndUnknownIsAnAnswer(t *testing.T) {
	d := newBench(t).update("u", 1, func(d *Descriptor) {
		d.Classification, d.CVEs, d.References, d.Languages, d.Licence = "security", []string{"CVE-2026-1"}, []string{"KB5000001"}, []string{"de"}, "MIT"
		d.Supersedes, d.Prerequisites, d.Removable, d.MaxRunSeconds, d.Restart = []UpdateID{"old"}, []UpdateID{"base"}, true, 600, "maybe"
	})
	b, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeDescriptor(b)
	if err != nil || got.CVEs[0] != "CVE-2026-1" || got.References[0] != "KB5000001" || !got.Removable || got.MaxRunSeconds != 600 || got.Languages[0] != "de" || got.Licence != "MIT" {
		t.Fatalf("%+v, %v", got, err)
	}
	if got.Restart != "maybe" || got.AsksUser != Unknown || got.Exclusive != Unknown {
		t.Errorf("%q %q %q", got.Restart, got.AsksUser, got.Exclusive)
	}
	for name, spoil := range map[string]func(*Descriptor){
		"restart": func(d *Descriptor) { d.Restart = "sometimes" }, "severity": func(d *Descriptor) { d.Severity = "urgent" },
		"exclusive": func(d *Descriptor) { d.Exclusive = "maybe" }, "asks": func(d *Descriptor) { d.AsksUser = "yes" },
		"run time": func(d *Descriptor) { d.MaxRunSeconds = -1 }, "itself": func(d *Descriptor) { d.Supersedes = []UpdateID{"u"} },
	} {
		c := *d
		spoil(&c)
		if _, err := c.Encode(); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// R-A9: an approval names a revision. A newer one of the same update changes nothing until it is approved itself.
func TestRA9ARevisionIsInForceUntilAnotherIsApproved(t *testing.T) {
	b := newBench(t)
	first := b.update("u", 1, nil)
	second := b.update("u", 2, func(d *Descriptor) { d.Title = "corrected" })
	b.approve(first, "all", ActionInstall, nil)
	if v := b.plan(Machine{}, t0)["u"]; v.Revision != 1 || v.Descriptor != first.ID() {
		t.Errorf("%+v", v)
	}
	b.m.Approvals = nil
	b.approve(second, "all", ActionInstall, nil)
	if v := b.plan(Machine{}, t0)["u"]; v.Revision != 2 || v.Descriptor != second.ID() {
		t.Errorf("%+v", v)
	}
}

// R-B1: what each action has a machine do that has the update, and one that has not.
func TestRB1ActionsOnMachinesWithAndWithoutTheUpdate(t *testing.T) {
	for _, c := range []struct {
		action          Action
		without, having Verb
		compliance      Compliance // of the machine without it
	}{
		{ActionInstall, VerbInstall, VerbNone, Required}, {ActionRemove, VerbNone, VerbRemove, NotApplicable}, {ActionDetectOnly, VerbNone, VerbNone, Required},
		{ActionOptional, VerbWait, VerbNone, Required}, {ActionDecline, VerbNone, VerbNone, NotApplicable}, {ActionStageOnly, VerbStage, VerbStage, Required},
	} {
		b := newBench(t)
		b.approve(b.update("u", 1, nil), "all", c.action, nil)
		without := b.plan(Machine{Detected: map[UpdateID]Detection{"u": {At: t0}}}, t0)["u"]
		having := b.plan(Machine{Detected: present("u")}, t0)["u"]
		if without.Verb != c.without || having.Verb != c.having || without.Compliance != c.compliance {
			t.Errorf("%s: %s (%s) without it, %s with it", c.action, without.Verb, without.Compliance, having.Verb)
		}
	}
}

// R-B5: a deadline that has passed means now: no user is asked any more. It opens no maintenance window.
func TestRB5ADeadlineThatHasPassedMeansNow(t *testing.T) {
	b := newBench(t)
	b.m.Settings = []Setting{{SetAutomation, "all", "download-notify"}}
	b.approve(b.update("u", 1, nil), "all", ActionInstall, func(a *Approval) { a.Deadline = t0.Add(time.Hour) })
	if v := b.plan(Machine{}, t0)["u"]; v.Verb != VerbStage || v.Await != StateWaitingUser || !v.Until.Equal(t0.Add(time.Hour)) {
		t.Errorf("before it: %+v", v)
	}
	if v := b.plan(Machine{}, t0.Add(time.Hour))["u"]; v.Verb != VerbInstall {
		t.Errorf("at it: %+v", v)
	}
	if v := b.plan(Machine{Wishes: map[UpdateID]Wish{"u": {Revision: 1, PostponedUntil: t0.Add(99 * time.Hour)}}}, t0.Add(2*time.Hour))["u"]; v.Verb != VerbInstall {
		t.Errorf("postponed beyond it: %+v", v)
	}
	b.m.Windows = []Window{{ID: "w", Group: "all", Rule: "FREQ=DAILY", From: "2026-01-01", At: "03:00", Zone: "UTC", Minutes: 60}}
	if v := b.plan(Machine{}, t0.Add(2*time.Hour))["u"]; v.Verb == VerbInstall {
		t.Errorf("it opened a window: %+v", v)
	}
}

// R-B8: of a chain the newest approved member is installed; one that is held replaces nothing; a circle stops all of it.
func TestRB8TheNewestApprovedMemberOfAChainIsInstalled(t *testing.T) {
	b := newBench(t)
	b.approve(b.update("a", 1, nil), "all", ActionInstall, nil)
	b.approve(b.update("b", 1, func(d *Descriptor) { d.Supersedes = []UpdateID{"a"} }), "all", ActionInstall, nil)
	b.approve(b.update("c", 1, func(d *Descriptor) { d.Supersedes = []UpdateID{"b"} }), "all", ActionInstall, nil)
	p := b.plan(Machine{}, t0)
	if p["a"].Verb != VerbNone || p["b"].Verb != VerbNone || p["c"].Verb != VerbInstall || p["a"].Reason != ReasonDepOtherFirst {
		t.Errorf("%+v", p)
	}
	b.m.Holds = []Hold{{ID: "h", Update: "c", Kind: "safeguard", Reason: "r", At: t0}}
	if p = b.plan(Machine{}, t0); p["a"].Verb != VerbNone || p["b"].Verb != VerbInstall || p["c"].Verb != VerbHold {
		t.Errorf("the newest is held: %+v", p)
	}
	circle := newBench(t)
	circle.approve(circle.update("a", 1, func(d *Descriptor) { d.Supersedes = []UpdateID{"b"} }), "all", ActionInstall, nil)
	circle.approve(circle.update("b", 1, func(d *Descriptor) { d.Supersedes = []UpdateID{"a"} }), "all", ActionInstall, nil)
	for u, v := range circle.plan(Machine{}, t0) {
		if v.Verb != VerbHold || v.Reason != ReasonPolicyConflict {
			t.Errorf("%s in a circle: %+v", u, v)
		}
	}
}

// R-B11, R-B13: a signed stop has a scope, a reason that machines show with its id, and may have an end.
func TestRB11RB13HoldsStopTheirScopeAndEnd(t *testing.T) {
	b := newBench(t)
	b.m.Groups = []Group{{Name: "branch"}}
	b.approve(b.update("u", 1, nil), "all", ActionInstall, nil)
	b.m.Holds = []Hold{{ID: "kb7", Update: "u", Group: "branch", Kind: "safeguard", Reason: "breaks printers", At: t0, ExpiresAt: t0.Add(time.Hour)}}
	if v := b.plan(Machine{Groups: []string{"branch"}}, t0)["u"]; v.Verb != VerbHold || v.Hold != "kb7" || v.Reason != ReasonPolicyHold || !v.Until.Equal(t0.Add(time.Hour)) {
		t.Errorf("%+v", v)
	}
	if v := b.plan(Machine{}, t0)["u"]; v.Verb != VerbInstall {
		t.Errorf("outside its scope: %+v", v)
	}
	if v := b.plan(Machine{Groups: []string{"branch"}}, t0.Add(time.Hour))["u"]; v.Verb != VerbInstall {
		t.Errorf("after its end: %+v", v)
	}
}

// R-B12: to expedite skips rings and users, and windows only if the approval says so.
func TestRB12ExpediteSkipsRingsAndUsersAndWindowsOnlyIfItSaysSo(t *testing.T) {
	b := newBench(t)
	b.m.Groups = []Group{{Name: "pilot"}}
	b.m.Settings = []Setting{{SetAutomation, "all", "notify-download"}}
	b.m.RingPlans = []RingPlan{{Name: "std", Rings: []Ring{{Name: "pilot", Groups: []string{"pilot"}}, {Name: "broad", Groups: []string{"all"}}}}}
	d := b.update("u", 1, nil)
	along := func(expedite, ignore bool) Verdict {
		b.m.Approvals = nil
		b.approve(d, "all", ActionInstall, func(a *Approval) {
			a.RingPlan, a.RingsOpened, a.Expedite, a.IgnoreWindows = "std", []time.Time{t0}, expedite, ignore
		})
		return b.plan(Machine{}, t0)["u"]
	}
	if v := along(false, false); v.Verb != VerbWait || v.Reason != ReasonRingNotReached {
		t.Errorf("not expedited: %+v", v)
	}
	if v := along(true, false); v.Verb != VerbInstall || !v.Urgent {
		t.Errorf("expedited: %+v", v)
	}
	b.m.Windows = []Window{{ID: "w", Group: "all", Rule: "FREQ=DAILY", From: "2026-01-01", At: "03:00", Zone: "UTC", Minutes: 60}}
	if v := along(true, false); v.Verb != VerbStage || v.Await != StateWaitingWindow {
		t.Errorf("expedited while every window is closed: %+v", v)
	}
	if v := along(true, true); v.Verb != VerbInstall {
		t.Errorf("expedited past the windows: %+v", v)
	}
}

// R-B14: what was approved once and is not any more is neither installed nor staged, though all of it is here.
func TestRB14WithdrawnContentIsNeverInstalled(t *testing.T) {
	b := newBench(t)
	d := b.update("u", 1, nil)
	b.approve(d, "all", ActionInstall, nil)
	if v := b.plan(Machine{}, t0)["u"]; v.Verb != VerbInstall {
		t.Fatalf("%+v", v)
	}
	b.m.Approvals = nil
	if p := b.plan(Machine{}, t0); len(p) != 0 {
		t.Errorf("withdrawn: %+v", p)
	}
	b.approve(d, "all", ActionDecline, nil)
	if v := b.plan(Machine{}, t0)["u"]; v.Verb != VerbNone {
		t.Errorf("declined: %+v", v)
	}
}

// R-B18: a user may postpone so often and so long as policy says, and never past the deadline.
func TestRB18PostponementIsBounded(t *testing.T) {
	b := newBench(t)
	b.m.Settings = []Setting{{SetPostponeFor, "all", "4h"}, {SetPostponeTimes, "all", "2"}}
	b.approve(b.update("u", 1, nil), "all", ActionInstall, func(a *Approval) { a.Deadline = t0.Add(5 * time.Hour) })
	m := grouped(t, Manifest{Settings: slices.Clone(b.m.Settings)})
	mach := Machine{Wishes: map[UpdateID]Wish{}}
	v := b.plan(mach, t0)["u"]
	if _, err := m.Postpone(v, mach, 5*time.Hour, t0); !errors.Is(err, ErrBound) {
		t.Errorf("for too long: %v", err)
	}
	w, err := m.Postpone(v, mach, 4*time.Hour, t0)
	if err != nil || !w.PostponedUntil.Equal(t0.Add(4*time.Hour)) {
		t.Fatalf("%+v, %v", w, err)
	}
	mach.Wishes["u"] = w
	if v := b.plan(mach, t0)["u"]; v.Reason != ReasonUserPostponed {
		t.Errorf("%+v", v)
	}
	w, err = m.Postpone(v, mach, 4*time.Hour, t0.Add(3*time.Hour))
	if err != nil || !w.PostponedUntil.Equal(t0.Add(5*time.Hour)) {
		t.Fatalf("cut to the deadline: %+v, %v", w, err)
	}
	mach.Wishes["u"] = w
	if _, err := m.Postpone(v, mach, time.Hour, t0.Add(4*time.Hour)); !errors.Is(err, ErrBound) {
		t.Errorf("a third time: %v", err)
	}
}

// R-C2, R-C14: each value comes from the deepest group that states it, and says so; a machine that nobody told
// anything has the defaults.
func TestRC2RC14SettingsTellWhereTheyComeFrom(t *testing.T) {
	m := grouped(t, Manifest{Groups: []Group{{Name: "servers"}, {Name: "web", Parent: "servers"}}, Settings: []Setting{
		{SetScanInterval, "all", "12h"}, {SetScanInterval, "web", "2h"}, {SetAutomation, "servers", "7"},
	}})
	value := func(groups, name string) (string, string) {
		for _, e := range m.Effectives(Machine{Groups: list(groups)}) {
			if e.Name == name {
				return e.Value, e.Source
			}
		}
		t.Fatalf("no setting %s", name)
		return "", ""
	}
	for _, c := range []struct{ groups, name, value, source string }{
		{"", SetScanInterval, "12h", "all"}, {"servers", SetScanInterval, "12h", "all"}, {"web", SetScanInterval, "2h", "web"},
		{"web", SetAutomation, "server-manual", "servers"}, {"", SetAutomation, "scheduled", "default"}, {"web", SetPostponeTimes, "0", "default"},
	} {
		if v, s := value(c.groups, c.name); v != c.value || s != c.source {
			t.Errorf("%s of %q: %s from %s", c.name, c.groups, v, s)
		}
	}
	if e := MakePlan(m, func(content.ID) *Descriptor { return nil }, Machine{Groups: []string{"web"}}, false, t0).ScanEvery; e != 2*time.Hour {
		t.Errorf("it looks every %s", e)
	}
}

// R-G4: the states have names, and ranks by which "how far it got" can be computed.
func TestRG4StatesAreRanked(t *testing.T) {
	order := []State{StateOffered, StateDeferred, StateHeld, StateWaitingContent, StateDownloading, StateDownloaded, StateWaitingWindow, StateWaitingOrchestration,
		StateWaitingOtherInstall, StateWaitingPrerequisite, StateWaitingUser, StateRestartNeededFirst, StateInstalling, StateRestartPending, StateVerifying, StateInstalled, StateRemoved, StateRolledBack}
	if !slices.IsSorted(order) {
		t.Errorf("%v", order)
	}
	for _, s := range []State{StateFailedDownload, StateFailedVerify, StateFailedInstall, StateFailedRestart, StateFailedRollback, StateCancelled, StateStalled} {
		if s >= 0 || s.String() == "" {
			t.Errorf("%d %q", s, s)
		}
	}
}

// R-H8: prerequisites go first, one that must be alone goes alone, and what is missing is named.
func TestRH8PrerequisitesAndExclusiveUpdatesComeInOrder(t *testing.T) {
	b := newBench(t)
	b.approve(b.update("base", 1, nil), "all", ActionInstall, nil)
	b.approve(b.update("top", 1, func(d *Descriptor) { d.Prerequisites = []UpdateID{"base"} }), "all", ActionInstall, nil)
	b.approve(b.update("lone", 1, func(d *Descriptor) { d.Prerequisites = []UpdateID{"nowhere"} }), "all", ActionInstall, nil)
	p := b.plan(Machine{}, t0)
	if p["base"].Verb != VerbInstall || p["top"].Await != StateWaitingPrerequisite || p["top"].Reason != ReasonDepOtherFirst || p["lone"].Reason != ReasonDepMissing {
		t.Errorf("%+v", p)
	}
	if v := b.plan(Machine{Detected: present("base")}, t0)["top"]; v.Verb != VerbInstall {
		t.Errorf("once it is there: %+v", v)
	}
	b.approve(b.update("alone", 1, func(d *Descriptor) { d.Exclusive = "yes" }), "all", ActionInstall, nil)
	if p = b.plan(Machine{}, t0); p["alone"].Verb != VerbInstall || p["base"].Reason != ReasonExclusive || p["base"].Await != StateWaitingOtherInstall {
		t.Errorf("beside an exclusive one: %+v", p)
	}
}

// R-H8: updates that need each other in a circle can never be installed in order; all of them hold and say why. What
// one of them brought here some other way ends the circle.
func TestRH8UpdatesThatNeedEachOtherInACircleHold(t *testing.T) {
	b := newBench(t)
	b.approve(b.update("a", 1, func(d *Descriptor) { d.Prerequisites = []UpdateID{"c"} }), "all", ActionInstall, nil)
	b.approve(b.update("b", 1, func(d *Descriptor) { d.Prerequisites = []UpdateID{"a"} }), "all", ActionInstall, nil)
	b.approve(b.update("c", 1, func(d *Descriptor) { d.Prerequisites = []UpdateID{"b"} }), "all", ActionInstall, nil)
	for u, v := range b.plan(Machine{}, t0) {
		if v.Verb != VerbHold || v.Reason != ReasonPolicyConflict || !strings.Contains(v.Detail, "circle") {
			t.Errorf("%s in a circle: %+v", u, v)
		}
	}
	if p := b.plan(Machine{Detected: present("b")}, t0); p["c"].Verb != VerbInstall || p["a"].Reason != ReasonDepOtherFirst {
		t.Errorf("b is there: %+v", p)
	}
}

// R-H8: one exclusive item in a pass, and nothing else with it: what is removed goes before it, the other installs after it.
// While a removal is due, perhaps again and again, everything else goes on.
func TestRH8OneExclusiveItemInAPassWithRemovalsBeforeIt(t *testing.T) {
	alone := func(d *Descriptor) { d.Exclusive = "yes" }
	b := newBench(t)
	for _, id := range []UpdateID{"a-alone", "b-alone"} {
		b.approve(b.update(id, 1, alone), "all", ActionInstall, nil)
	}
	b.approve(b.update("plain", 1, nil), "all", ActionInstall, nil)
	b.approve(b.update("old", 1, nil), "all", ActionRemove, nil)
	b.approve(b.update("older", 1, nil), "all", ActionRemove, nil)
	due := func(there ...UpdateID) (list []UpdateID) {
		p := b.plan(Machine{Detected: present(there...)}, t0)
		for _, id := range []UpdateID{"a-alone", "b-alone", "old", "older", "plain"} {
			switch v := p[id]; {
			case v.Verb == VerbInstall || v.Verb == VerbRemove && v.Compliance == Installed:
				list = append(list, id)
			case v.Verb == VerbStage && (v.Await != StateWaitingOtherInstall || v.Detail == "" || v.Reason != ReasonExclusive && v.Reason != ReasonDepOtherFirst):
				t.Errorf("%s waits for nothing that it names: %+v", id, v)
			}
		}
		return list
	}
	for _, pass := range []struct{ there, want []UpdateID }{
		{[]UpdateID{"old", "older"}, []UpdateID{"old", "older", "plain"}},
		{[]UpdateID{"old"}, []UpdateID{"old", "plain"}},
		{nil, []UpdateID{"a-alone"}},
		{[]UpdateID{"a-alone"}, []UpdateID{"b-alone"}},
		{[]UpdateID{"a-alone", "b-alone"}, []UpdateID{"plain"}},
		{[]UpdateID{"a-alone", "b-alone", "plain"}, nil},
	} {
		if got := due(pass.there...); !slices.Equal(got, pass.want) {
			t.Errorf("with %v there: %v go, want %v", pass.there, got, pass.want)
		}
	}
	b.approve(b.update("c-alone", 1, alone), "all", ActionRemove, nil)
	if p := b.plan(Machine{Detected: present("c-alone", "old")}, t0); p["c-alone"].Verb != VerbRemove || p["old"].Verb != VerbRemove || p["plain"].Reason != ReasonExclusive || p["a-alone"].Verb != VerbStage {
		t.Errorf("an exclusive one is removed: %+v", p)
	}
}

// R-H9: the machine's own list holds back, and the reason says that it does.
func TestRH9ALocalHoldIsReportedAsReason(t *testing.T) {
	b := newBench(t)
	b.approve(b.update("linux-6.1", 1, nil), "all", ActionInstall, nil)
	b.approve(b.update("openssl", 1, nil), "all", ActionInstall, nil)
	p := b.plan(Machine{LocalHolds: []string{"linux-*"}}, t0)
	if p["linux-6.1"].Verb != VerbHold || p["linux-6.1"].Reason != ReasonLocalHold || p["openssl"].Verb != VerbInstall {
		t.Errorf("%+v", p)
	}
}

// R-M7: default deadlines go by severity, are settings, and give way to the approval's own.
func TestRM7DefaultDeadlinesGoBySeverity(t *testing.T) {
	b := newBench(t)
	b.m.Settings = []Setting{{"deadline-critical", "all", "24h"}, {"deadline-low", "all", "720h"}}
	b.approve(b.update("crit", 1, nil), "all", ActionInstall, nil)
	b.approve(b.update("low", 1, func(d *Descriptor) { d.Severity = "low" }), "all", ActionInstall, nil)
	b.approve(b.update("mod", 1, func(d *Descriptor) { d.Severity = "moderate" }), "all", ActionInstall, nil)
	b.approve(b.update("own", 1, nil), "all", ActionInstall, func(a *Approval) { a.Deadline = t0.Add(time.Minute) })
	p := b.plan(Machine{}, t0)
	for id, want := range map[UpdateID]time.Time{"crit": t0.Add(24 * time.Hour), "low": t0.Add(720 * time.Hour), "mod": {}, "own": t0.Add(time.Minute)} {
		if !p[id].Deadline.Equal(want) {
			t.Errorf("%s: %s, want %s", id, p[id].Deadline, want)
		}
	}
}
