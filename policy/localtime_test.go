package policy

import (
	"testing"
	"time"

	"patchmesh/content"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

// naiveInstant is the first minute at which a clock of the zone shows the reading; of one that is leapt over, the
// reading by the offset of the last minute before it.
func naiveInstant(wall time.Time, loc *time.Location) time.Time {
	if wall.IsZero() {
		return wall
	}
	shows := func(at time.Time) time.Time {
		l := at.In(loc)
		return time.Date(l.Year(), l.Month(), l.Day(), l.Hour(), l.Minute(), l.Second(), 0, time.UTC)
	}
	last := wall.Add(-27 * time.Hour)
	for at := last; at.Before(wall.Add(27 * time.Hour)); at = at.Add(time.Minute) {
		switch s := shows(at); {
		case s.Equal(wall):
			return at
		case s.After(wall):
			return wall.Add(last.Sub(shows(last)))
		}
		last = at
	}
	panic("the clock never came there")
}

// naiveTimes is a manifest with all times as instants, by that reading.
func naiveTimes(m *Manifest, loc *time.Location) *Manifest {
	c := *m
	c.Approvals = nil
	for _, a := range m.Approvals {
		if a.LocalTime {
			a.NotBefore, a.Deadline, a.LocalTime = naiveInstant(a.NotBefore, loc), naiveInstant(a.Deadline, loc), false
		}
		c.Approvals = append(c.Approvals, a)
	}
	return &c
}

// R-B5: what a clock shows, also where it is set: a reading that comes twice is the first, one that never comes is read
// by the offset before.
func TestRB5LocalTimesOverSetClocks(t *testing.T) {
	for _, c := range []struct{ zone, wall, want string }{
		{"UTC", "2026-12-01T18:00:00", "2026-12-01T18:00:00Z"},
		{"Europe/Berlin", "2026-12-01T18:00:00", "2026-12-01T17:00:00Z"},
		{"Europe/Berlin", "2026-07-01T18:00:30", "2026-07-01T16:00:30Z"},
		{"Europe/Berlin", "2026-03-29T01:59:59", "2026-03-29T00:59:59Z"},
		{"Europe/Berlin", "2026-03-29T02:30:00", "2026-03-29T01:30:00Z"}, // leapt over: half past three
		{"Europe/Berlin", "2026-03-29T03:00:00", "2026-03-29T01:00:00Z"},
		{"Europe/Berlin", "2026-10-25T02:30:00", "2026-10-25T00:30:00Z"}, // comes twice
		{"Europe/Berlin", "2026-10-25T03:00:00", "2026-10-25T02:00:00Z"},
		{"America/New_York", "2026-03-08T02:30:00", "2026-03-08T07:30:00Z"},
		{"America/New_York", "2026-11-01T01:30:00", "2026-11-01T05:30:00Z"},
		{"Asia/Kolkata", "2026-12-01T18:00:00", "2026-12-01T12:30:00Z"},
		{"Pacific/Kiritimati", "2026-12-01T18:00:00", "2026-12-01T04:00:00Z"},
		{"Etc/GMT+12", "2026-12-01T18:00:00", "2026-12-02T06:00:00Z"},
		{"Australia/Lord_Howe", "2026-10-04T02:15:00", "2026-10-03T15:45:00Z"}, // half an hour is leapt over
		{"Pacific/Apia", "2011-12-30T12:00:00", "2011-12-30T22:00:00Z"},        // a day that was left out
	} {
		wall, err := time.Parse("2006-01-02T15:04:05", c.wall)
		if err != nil {
			t.Fatal(err)
		}
		if got := localInstant(wall, zone(t, c.zone)).Format(time.RFC3339); got != c.want {
			t.Errorf("%s in %s: %s, want %s", c.wall, c.zone, got, c.want)
		}
	}
	if !localInstant(time.Time{}, zone(t, "Asia/Kolkata")).IsZero() {
		t.Error("no time became one")
	}
}

// R-B5: half an hour by half an hour around the changes of a year, in zones of all kinds, as a naive reading has it;
// and no zone, real or made up, moves a time by more than 26 hours.
func TestRB5LocalTimesAgreeWithANaiveReading(t *testing.T) {
	zones := []string{"Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Chatham", "Asia/Kathmandu", "America/Santiago", "Pacific/Kiritimati", "Etc/GMT+12"}
	n := 0
	for _, name := range zones {
		loc := zone(t, name)
		begin := time.Date(2026, 1, 1, 0, 10, 0, 0, time.UTC)
		for at := begin; at.Year() == 2026; at = at.Add(29 * time.Minute) {
			if offsetAt(at.Add(-14*time.Hour), loc) == offsetAt(at.Add(14*time.Hour), loc) && n%97 != 0 {
				n++
				continue
			}
			n++
			if got, want := localInstant(at, loc), naiveInstant(at, loc); !got.Equal(want) {
				t.Fatalf("%s in %s: %s, want %s", at, name, got, want)
			}
		}
	}
	wall := time.Date(2026, 12, 1, 18, 0, 0, 0, time.UTC)
	for _, loc := range []*time.Location{time.FixedZone("ahead", 100*3600), time.FixedZone("behind", -100*3600), zone(t, "Pacific/Kiritimati"), zone(t, "Etc/GMT+12"), nil} {
		if d := localInstant(wall, loc).Sub(wall); d < -14*time.Hour || d > 12*time.Hour {
			t.Errorf("zone %v moves a time by %s", loc, d)
		}
	}
}

// R-B5: one approval by the machines' own clocks comes in each zone when its clock says so: the wait ends, and the
// deadline forces, at that moment. What a deadline forces stays refused for what asks the user.
func TestRB5EachMachineGoesByItsOwnClock(t *testing.T) {
	d := &Descriptor{Update: "u", Revision: 1, Severity: "low"}
	m := &Manifest{Epoch: 1, Settings: []Setting{{SetAutomation, GroupAll, "download-notify"}}, Approvals: []Approval{{Update: "u", Revision: 1, Group: GroupAll, Action: ActionInstall, At: t0, LocalTime: true,
		NotBefore: time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC), Deadline: time.Date(2026, 12, 1, 18, 0, 0, 0, time.UTC)}}}
	verdict := func(name string, at time.Time) Verdict {
		mach := Machine{Zone: zone(t, name), Installers: []string{""}, Detected: map[UpdateID]Detection{"u": {}}}
		return MakePlan(m, func(content.ID) *Descriptor { return d }, mach, false, at).Verdicts[0]
	}
	for name, ahead := range map[string]time.Duration{"UTC": 0, "Europe/Berlin": time.Hour, "America/New_York": -5 * time.Hour, "Asia/Tokyo": 9 * time.Hour} {
		from, by := m.Approvals[0].NotBefore.Add(-ahead), m.Approvals[0].Deadline.Add(-ahead)
		if v := verdict(name, from.Add(-time.Second)); v.Verb != VerbWait || !v.Until.Equal(from) || !v.Deadline.Equal(by) {
			t.Errorf("%s, before its time: %+v", name, v)
		}
		if v := verdict(name, by.Add(-time.Second)); v.Verb != VerbStage || v.Await != StateWaitingUser || !v.Until.Equal(by) {
			t.Errorf("%s, before the deadline: %+v", name, v)
		}
		if v := verdict(name, by); v.Verb != VerbInstall {
			t.Errorf("%s, at the deadline: %+v", name, v)
		}
	}
	if !m.Approvals[0].LocalTime || m.Approvals[0].Deadline.Hour() != 18 {
		t.Error("to make a plan has changed the manifest")
	}
	d.AsksUser = "maybe"
	if v := verdict("UTC", m.Approvals[0].Deadline.Add(day)); v.Verb == VerbInstall || !v.Deadline.IsZero() {
		t.Errorf("what may ask the user is forced: %+v", v)
	}
}

// R-B5: where nobody knows the zones, the first that may come counts for haste; a document that calls no time local is
// refused, and one that has none is as it was before there were any.
func TestRB5LocalTimesInDocuments(t *testing.T) {
	a := Approval{Update: "u", Revision: 1, Descriptor: content.Sum([]byte("d")), DescriptorBytes: 2, Group: GroupAll, Action: ActionInstall, At: t0, Deadline: t0.Add(100 * time.Hour), LocalTime: true}
	if urgent, at := a.Urgent(t0); urgent || !at.Equal(t0.Add((100-24-14)*time.Hour)) {
		t.Errorf("urgent %v, from %s", urgent, at)
	}
	if urgent, _ := a.Urgent(t0.Add(62 * time.Hour)); !urgent {
		t.Error("not urgent although it is the last day in some zone")
	}
	if a.check() != nil || a.text() == (Approval{}).text() {
		t.Error("a good approval is refused")
	}
	a.Deadline = time.Time{}
	if a.check() == nil {
		t.Error("no time, and local")
	}
}
