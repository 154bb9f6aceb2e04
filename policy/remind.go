package policy

import (
	"fmt"
	"time"
)

// The settings of what people are told of a restart before it comes, and of how much it is theirs to choose.
const (
	SetRestartRemind  = "restart-remind"
	SetRestartWarning = "restart-last-warning"
	SetRestartAt      = "restart-at"
	SetRestartEngaged = "restart-engaged"
)

// restartSlot is how long after SetRestartAt a restart may still begin on that day.
const restartSlot = time.Hour

var remindInfos = []SettingInfo{
	{SetRestartRemind, "10m", "how often people at the machine are told again of a restart that waits; none: once", noneOr(within(time.Minute, day)), nil},
	{SetRestartWarning, "5m", "how long before a restart that was ordered people are warned once more; none: they are not", noneOr(within(time.Minute, time.Hour)), nil},
	{SetRestartAt, valueNone, "the time of day, like 03:00, in the machine's own time, at which it restarts, within an hour from then; past restart-deadline at any time", noneOr(checkClock), nil},
	{SetRestartEngaged, "no", "yes: people choose when: before restart-deadline the machine does not restart by itself, and without one never", checkYesNo, byYes},
}

func checkClock(s string) error {
	if t, err := time.Parse("15:04", s); err != nil || t.Format("15:04") != s {
		return fmt.Errorf("%.40q is no time of day like 03:00: %w", s, ErrFormat)
	}
	return nil
}

// reminding is what these settings say.
type reminding struct {
	remindEvery time.Duration // 0: once
	lastWarning time.Duration // 0: none
	restartAt   string        // empty: at any time
	engaged     bool
}

func readReminding(all []Effective) reminding {
	r := reminding{}
	for _, e := range all {
		switch e.Name {
		case SetRestartRemind:
			r.remindEvery = duration(e.Value) // of "none" 0
		case SetRestartWarning:
			r.lastWarning = duration(e.Value)
		case SetRestartAt:
			if e.Value != valueNone {
				r.restartAt = e.Value
			}
		case SetRestartEngaged:
			r.engaged = e.Value == "yes"
		}
	}
	return r
}

// restartTime is what these settings ask a restart to wait for, until its deadline.
func (r reminding) restartTime(zone *time.Location, now time.Time) (RestartPlan, bool) {
	if r.engaged {
		return RestartPlan{Reason: ReasonRestartPending, Detail: "people at the machine choose when it restarts"}, true
	}
	if r.restartAt == "" {
		return RestartPlan{}, false
	}
	at := nextClock(r.restartAt, zone, now.Add(-restartSlot)) // the one whose hour may be running
	if !now.Before(at) && now.Before(at.Add(restartSlot)) {
		return RestartPlan{}, false
	}
	return RestartPlan{Reason: ReasonRestartPending, Until: nextClock(r.restartAt, zone, now), Detail: "it restarts at " + r.restartAt + " of the machine's own time"}, true
}

// nextClock is when clocks of a zone show a time of day for the first time after an instant.
func nextClock(clock string, zone *time.Location, after time.Time) time.Time {
	t, _ := time.Parse("15:04", clock) // checked when the manifest was read
	if zone == nil {
		zone = time.UTC
	}
	for day := civilOf(after.In(zone)) - 1; ; day++ {
		if at := instant(day, t.Hour(), t.Minute(), zone); at.After(after) {
			return at
		}
	}
}

// Told is one thing that people at a machine were told of a restart.
type Told struct {
	At   time.Time `json:"at"`
	Kind string    `json:"kind"` // restart-waits, restart-comes, restart-soon
	Text string    `json:"text"`
}

// What people are told: that a restart waits, again and again; that it was ordered; and that it comes now.
const (
	ToldWaits = "restart-waits"
	ToldComes = "restart-comes"
	ToldSoon  = "restart-soon"
)

// MaxTold bounds what is kept of what people were told.
const MaxTold = 50

// RemindRestart says what people at the machine are to be told now of a restart, after what they were told already, the
// newest last; due is false if there is nothing. next is when to ask again; zero: when something has changed. What was
// told by a clock that was ahead does not count: it would keep people from being warned.
func (m *Manifest) RemindRestart(mach Machine, plan RestartPlan, told []Told, now time.Time) (tell Told, due bool, next time.Time) {
	p, s := mach.Restart, m.settingsFor(m.belongs(mach).in, mach)
	if !p.Pending || p.Impossible != "" || s.notify == NotifyNone {
		return Told{}, false, time.Time{}
	}
	last := func(since time.Time, kinds ...string) (at time.Time) {
		for _, t := range told {
			for _, k := range kinds {
				if t.Kind == k && !t.At.Before(since) && !t.At.After(now) && t.At.After(at) {
					at = t.At
				}
			}
		}
		return at
	}
	if begins := p.OrderedAt.Add(s.restartDelay); !p.OrderedAt.IsZero() && now.Before(begins.Add(RestartGrace)) {
		return s.remindOrdered(begins, !last(p.OrderedAt, ToldComes, ToldSoon).IsZero(), !last(p.OrderedAt, ToldSoon).IsZero(), now)
	}
	if end, quiet := activeUntil(s.quietHours, mach.Zone, now); quiet {
		return Told{}, false, end
	}
	before := last(p.Since, ToldWaits, ToldComes, ToldSoon)
	if !before.IsZero() {
		if s.remindEvery == 0 {
			return Told{}, false, time.Time{}
		}
		if again := before.Add(s.remindEvery); now.Before(again) {
			return Told{}, false, again
		}
	}
	if s.remindEvery > 0 {
		next = now.Add(s.remindEvery)
	}
	return Told{now, ToldWaits, "this machine needs a restart: " + plan.Detail}, true, next
}

// remindOrdered is RemindRestart once the restart begins at a time that is known: quiet hours or not, it comes.
func (s settings) remindOrdered(begins time.Time, comes, soon bool, now time.Time) (Told, bool, time.Time) {
	warnAt := begins.Add(-s.lastWarning)
	at := begins.UTC().Format(time.RFC3339)
	switch {
	case !now.Before(begins), soon:
		return Told{}, false, time.Time{}
	case s.lastWarning > 0 && !now.Before(warnAt):
		return Told{now, ToldSoon, "this machine restarts at " + at + ": please save your work now"}, true, time.Time{}
	case !comes:
		next := time.Time{}
		if s.lastWarning > 0 {
			next = warnAt
		}
		return Told{now, ToldComes, "this machine restarts at " + at}, true, next
	case s.lastWarning > 0:
		return Told{}, false, warnAt
	}
	return Told{}, false, time.Time{}
}
