package policy

import (
	"errors"
	"strings"
	"testing"
	"time"

	"patchmesh/content"
)

// late is a mesh in which an approval of a critical update along a plan was drafted at t0 and a second approver
// signed it days later.
func (m *mesh) late(days int, edit func(*Manifest)) (Files, error) {
	m.t.Helper()
	man, err := DecodeManifest(m.trust.Files().Manifest)
	if err != nil {
		m.t.Fatal(err)
	}
	man.Epoch++
	edit(man)
	d, err := NewDraft(m.trust, man, t0)
	if err != nil {
		return Files{}, err
	}
	for _, s := range m.keys.Approvers {
		if err := d.Sign(s); err != nil {
			m.t.Fatal(err)
		}
	}
	now := t0.Add(time.Duration(days) * day)
	r, err := m.trust.Roster().Publishes(m.trust, d, now)
	if err != nil {
		return Files{}, err
	}
	f, err := m.trust.Publish(d, r, m.keys.Online, now)
	if err == nil {
		m.trust = m.open(f)
	}
	return f, err
}

func ringedApproval(at time.Time, opened ...time.Time) Approval {
	return Approval{Update: "u", Revision: 1, Descriptor: content.Sum([]byte("u")), DescriptorBytes: 100, Group: GroupAll, Action: ActionInstall, At: at,
		RingPlan: "standard", RingsOpened: opened}
}

// R-B5, R-B10: what was signed four days after it was drafted soaks, spreads and has its deadline from when it was
// published. A machine reads that from the documents, with no network; a machine that knew them before, too.
func TestRB10WhatIsSignedLateCountsFromItsPublication(t *testing.T) {
	m := newMesh(t, "acme", 2, 2)
	before := m.trust
	stamp := t0.Add(time.Second)
	plan := twoRings(Ring{SoakMinutes: 24 * 60, SpreadMinutes: 8 * 60})
	f, err := m.late(4, func(man *Manifest) {
		man.RingPlans = []RingPlan{*plan}
		man.Groups = []Group{{Name: "pilot", Parent: GroupAll}}
		man.Settings = []Setting{{Group: GroupAll, Name: setDeadline + "critical", Value: "24h"}}
		man.Approvals = []Approval{ringedApproval(stamp, stamp)}
	})
	if err != nil {
		t.Fatal(err)
	}
	published := t0.Add(4 * day)
	machine, err := walk(before, f, published)
	if err != nil {
		t.Fatal(err)
	}
	for name, trust := range map[string]*Trust{"the seed": m.trust, "a machine": machine} {
		man := trust.Manifest()
		a := man.Approvals[0]
		if step, why := plan.Judge(a, []Tally{{2, 2, 2, 0}, {}}, false, published.Add(time.Hour)); step != RingWait || !strings.Contains(why, "soaks until 2026-03-06T12:00:00Z") {
			t.Errorf("%s: soaked before anybody had it: %s, %s", name, step, why)
		}
		d := &Descriptor{Severity: "critical", Installer: "file"}
		p := MakePlan(man, func(content.ID) *Descriptor { return d }, Machine{ID: "m1", Groups: []string{"pilot"}, Installers: []string{"file"}}, false, published.Add(time.Second))
		v := p.Verdicts[0]
		if want := published.Add(day); !v.Deadline.Equal(want) {
			t.Errorf("%s: the deadline is %s, want %s", name, v.Deadline, want)
		}
		if turn := plan.Rings[0].turn("m1", "u", published); v.Reason != ReasonRingNotReached || !v.Until.Equal(turn) {
			t.Errorf("%s: %s until %s, its turn is at %s", name, v.Reason, v.Until, turn)
		}
	}
	// The next opening is published at once: it counts from its own stamp, and the first one from where it did.
	next := published.Add(30 * time.Hour)
	if _, err := m.next(next, 2, func(man *Manifest) { man.Approvals[0].RingsOpened = []time.Time{stamp, next} }); err != nil {
		t.Fatal(err)
	}
	a := m.trust.Manifest().Approvals[0]
	if !a.OpenedAt(0).Equal(published) || !a.OpenedAt(1).Equal(next) || !a.GivenAt().Equal(published) {
		t.Errorf("given %s, opened %s and %s", a.GivenAt(), a.OpenedAt(0), a.OpenedAt(1))
	}
}

// R-B10: what is signed at once leaves the roster as it is, and a renewal of what was approved long ago makes no news.
func TestRB10WhatIsSignedAtOnceLeavesTheRosterAsItIs(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	if _, err := m.late(0, func(man *Manifest) {
		man.Approvals = []Approval{ringedApproval(t0, t0)}
		man.RingPlans = []RingPlan{*twoRings(Ring{})}
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.late(9, func(man *Manifest) { man.Holds = []Hold{{ID: "h", Update: "u", Kind: "pause", Reason: "r", At: t0}} }); err != nil {
		t.Fatal(err)
	}
	if r := m.trust.Roster(); len(r.Late) != 0 || m.trust.Manifest().Approvals[0].published != nil {
		t.Errorf("%+v", r.Late)
	}
}

// R-B10: stamps of one role are not those of another, and what a roster says of lateness has bounds.
func TestRB10LatePublicationsAreBounded(t *testing.T) {
	at := func(d int) time.Time { return t0.Add(time.Duration(d) * day) }
	r := &Roster{Late: []Late{{From: at(0), At: at(4)}, {Role: "it", From: at(1), At: at(5)}, {From: at(6), At: at(9)}}}
	for _, c := range []struct {
		role        string
		stamp, want time.Time
	}{
		{"", at(0), at(4)}, {"", at(3), at(4)}, {"", at(5), at(5)}, {"", at(6), at(9)}, {"", at(10), at(10)}, {"", at(-1), at(-1)},
		{"it", at(0), at(0)}, {"it", at(2), at(5)}, {"ot", at(2), at(2)},
	} {
		if got := r.published(c.role, c.stamp); !got.Equal(c.want) {
			t.Errorf("%q stamped %s: %s, want %s", c.role, c.stamp, got, c.want)
		}
	}
	if err := r.checkLate(); err != nil {
		t.Error(err)
	}
	for name, l := range map[string][]Late{
		"too many": make([]Late, MaxLate+1), "before its stamps": {{From: at(2), At: at(1)}}, "years": {{From: at(0), At: at(91)}},
		"out of order": {{From: at(0), At: at(4)}, {From: at(0), At: at(3)}}, "no role": {{Role: "../x", From: at(0), At: at(4)}}, "from ever": {{At: at(1)}},
	} {
		if err := (&Roster{Late: l}).checkLate(); !errors.Is(err, ErrFormat) && !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// However many are signed late, the roster still fits.
	m := newMesh(t, "acme", 1, 1)
	full := &Roster{}
	for i := range MaxLate {
		full.Late = append(full.Late, Late{From: at(i), At: at(i + 1)})
	}
	d, err := NewDraft(m.trust, &Manifest{Org: "acme", Epoch: 2, Approvals: []Approval{ringedApproval(at(99), at(99))}, RingPlans: []RingPlan{*twoRings(Ring{})}}, at(99))
	if err != nil {
		t.Fatal(err)
	}
	next, err := full.Publishes(m.trust, d, at(100))
	if err != nil || len(next.Late) != MaxLate || !next.Late[MaxLate-1].At.Equal(at(100)) || next.checkLate() != nil || len(full.Late) != MaxLate || !full.Late[0].From.Equal(at(0)) {
		t.Fatalf("%d lines, %v", len(next.Late), err)
	}
}
