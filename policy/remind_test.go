package policy

import (
	"strings"
	"testing"
	"time"
)

// R-C6: people are told of a restart that waits at once and then every ten minutes, not in quiet hours; of one that was
// ordered once, and once more five minutes before it comes, quiet hours or not; each not twice.
func TestRC6PeopleAreToldAgain(t *testing.T) {
	since := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name     string
		settings []string
		ordered  time.Duration // after since; negative: not
		forced   string
		minutes  int
		want     string // kind@minute
	}{
		{"it waits", nil, -1, "", 25, "waits@0 waits@10 waits@20"},
		{"every half hour", []string{SetRestartRemind, "30m"}, -1, "", 65, "waits@0 waits@30 waits@60"},
		{"once", []string{SetRestartRemind, "none"}, -1, "", 65, "waits@0"},
		{"in quiet hours", []string{SetQuietHours, "08:00-09:30"}, -1, "", 45, "waits@30 waits@40"},
		{"nobody is told", []string{SetNotify, NotifyNone}, -1, "", 45, ""},
		{"it was ordered", nil, 12 * time.Minute, "", 50, "waits@0 waits@10 comes@12 soon@22"},
		{"ordered, in quiet hours", []string{SetQuietHours, "08:00-18:00"}, 0, "", 50, "comes@0 soon@10"},
		{"ordered, with a long last warning", []string{SetRestartWarning, "20m"}, 0, "", 40, "soon@0"},
		{"ordered, without a last warning", []string{SetRestartWarning, "none"}, 0, "", 40, "comes@0"},
		{"a folder", nil, -1, "a folder", 30, ""},
	} {
		m := restarting(c.settings...)
		mach := Machine{ID: "m", Zone: time.UTC, Restart: PendingRestart{Pending: true, Since: since, Impossible: c.forced}}
		var told []Told
		var got []string
		var asked time.Time // what the last answer said
		for minute := 0; minute < c.minutes; minute++ {
			now := since.Add(time.Duration(minute) * time.Minute)
			if c.ordered >= 0 && !now.Before(since.Add(c.ordered)) {
				mach.Restart.OrderedAt = since.Add(c.ordered)
			}
			tell, due, next := m.RemindRestart(mach, RestartPlan{Detail: "d"}, told, now)
			if due {
				if !asked.IsZero() && now.Before(asked) && mach.Restart.OrderedAt.IsZero() {
					t.Errorf("%s: told at %s, it was to be asked at %s", c.name, now, asked)
				}
				told = append(told, tell)
				got = append(got, strings.TrimPrefix(tell.Kind, "restart-")+"@"+strings.TrimSuffix(now.Sub(since).String(), "m0s"))
				if again, twice, _ := m.RemindRestart(mach, RestartPlan{Detail: "d"}, told, now); twice {
					t.Errorf("%s: told %s and %s at one moment", c.name, tell.Kind, again.Kind)
				}
			}
			asked = next
		}
		if have := strings.ReplaceAll(strings.Join(got, " "), "@0s", "@0"); have != strings.ReplaceAll(c.want, "@60", "@1h0") {
			t.Errorf("%s: told %s, want %s", c.name, have, c.want)
		}
	}
}

// R-C6: what was told by a clock that was ahead, or of another restart, keeps nobody from being told.
func TestRC6OnlyWhatWasToldCounts(t *testing.T) {
	since := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	m, mach := restarting(), Machine{Restart: PendingRestart{Pending: true, Since: since}}
	for name, old := range map[string]Told{"another restart": {At: since.Add(-time.Minute), Kind: ToldWaits}, "a clock ahead": {At: since.Add(time.Hour), Kind: ToldWaits}} {
		if _, due, _ := m.RemindRestart(mach, RestartPlan{}, []Told{old}, since.Add(time.Minute)); !due {
			t.Errorf("%s: nobody is told", name)
		}
	}
	if _, due, _ := m.RemindRestart(mach, RestartPlan{}, []Told{{At: since, Kind: ToldWaits}}, since.Add(time.Minute)); due {
		t.Error("told twice")
	}
	if _, due, _ := m.RemindRestart(Machine{}, RestartPlan{}, nil, since); due {
		t.Error("no restart is pending, and people are told of one")
	}
}

// R-C6: a time of day is kept to by the machine's own clock, and people may be left to choose; past the deadline neither
// counts.
func TestRC6TimeOfDayAndEngagedRestart(t *testing.T) {
	berlin := zone(t, "Europe/Berlin")
	since := time.Date(2026, 3, 28, 9, 0, 0, 0, time.UTC) // the clocks are set forward in the night after
	for _, c := range []struct {
		name     string
		settings []string
		at       time.Time
		due      bool
		until    time.Time
	}{
		{"before its time of day", []string{SetRestartAt, "03:30"}, since, false, time.Date(2026, 3, 29, 1, 30, 0, 0, time.UTC)},
		{"a second before", []string{SetRestartAt, "03:30"}, time.Date(2026, 3, 29, 1, 29, 59, 0, time.UTC), false, time.Date(2026, 3, 29, 1, 30, 0, 0, time.UTC)},
		{"at its time", []string{SetRestartAt, "03:30"}, time.Date(2026, 3, 29, 1, 30, 0, 0, time.UTC), true, time.Time{}},
		{"at a time that clocks leap over", []string{SetRestartAt, "02:30"}, time.Date(2026, 3, 29, 1, 30, 0, 0, time.UTC), true, time.Time{}},
		{"within its hour", []string{SetRestartAt, "03:30"}, time.Date(2026, 3, 29, 2, 29, 59, 0, time.UTC), true, time.Time{}},
		{"an hour later", []string{SetRestartAt, "03:30"}, time.Date(2026, 3, 29, 2, 30, 0, 0, time.UTC), false, time.Date(2026, 3, 30, 1, 30, 0, 0, time.UTC)},
		{"past the deadline at any time", []string{SetRestartAt, "03:30", SetRestartDeadline, "1h"}, since.Add(time.Hour), true, time.Time{}},
		{"people choose", []string{SetRestartEngaged, "yes"}, since.Add(100 * day), false, time.Time{}},
		{"people choose until the deadline", []string{SetRestartEngaged, "yes", SetRestartDeadline, "72h"}, since.Add(71 * time.Hour), false, since.Add(72 * time.Hour)},
		{"people had the choice", []string{SetRestartEngaged, "yes", SetRestartDeadline, "72h"}, since.Add(72 * time.Hour), true, time.Time{}},
	} {
		m := restarting(append([]string{SetRestart, RestartAlways, SetRestartSpread, "0s"}, c.settings...)...)
		p := m.PlanRestart(Machine{Zone: berlin, Restart: PendingRestart{Pending: true, Since: since}}, false, c.at)
		if p.Due != c.due || !p.Until.Equal(c.until) {
			t.Errorf("%s: due %v, until %s (%s), want %v, %s", c.name, p.Due, p.Until, p.Detail, c.due, c.until)
		}
	}
	for _, s := range []string{"3:00", "24:00", "03:00:00", "noon", ""} {
		if checkClock(s) == nil {
			t.Errorf("%q is taken for a time of day", s)
		}
	}
}
