package policy

import (
	"fmt"
	"slices"
	"time"
)

// Power is what a machine runs on.
type Power struct {
	OnBattery bool
	Percent   int // of its charge, while OnBattery
}

// Wait says since when something is so of a revision of an update on a machine: in Machine.Waits, that it has waited
// for a maintenance window without having been begun.
type Wait struct {
	Revision int
	Since    time.Time
}

// changes says whether the approval asks to change the machine.
func (q *question) changes() bool {
	return q.approval.acts()
}

// need is how long the update is taken to need, with the signed scripts before and after it.
func (q *question) need() time.Duration {
	need := q.settings.defaultRun
	if q.desc.MaxRunSeconds > 0 {
		need = time.Duration(q.desc.MaxRunSeconds) * time.Second
	}
	return need + time.Duration(q.desc.HookSeconds())*time.Second
}

// late says whether the deadline has come.
func (q *question) late() bool { return !q.deadline.IsZero() && !q.now.Before(q.deadline) }

// undisturbing: policy lets go at once what its approvers declared to disturb nobody.
func (q *question) undisturbing() bool { return q.settings.undisturbing && q.desc.Disruptive == "no" }

// unbound says whether windows do not bind the update, on a machine that some address: where policy asks for one
// and there is none, nothing here stands in for it.
func (q *question) unbound() bool {
	return len(q.calendar.windows) > 0 && (q.undisturbing() || q.machine.ShuttingDown > 0)
}

// checkDisruptive accepts an answer, or none, and no answer that others contradict.
func (d *Descriptor) checkDisruptive() error {
	if !slices.Contains([]string{"", "no", "yes"}, d.Disruptive) {
		return fmt.Errorf("descriptor of %s: disruptive %.30q: %w", d.Update, d.Disruptive, ErrFormat)
	}
	often := []string{"maybe", "always"}
	if d.Disruptive == "no" && (slices.Contains(often, d.Restart) || slices.Contains(often, d.AsksUser)) {
		return fmt.Errorf("descriptor of %s: it disturbs nobody, and restarts or asks: %w", d.Update, ErrFormat)
	}
	return nil
}

// wait makes an update wait with its bytes here; a removal has none.
func (v *Verdict) wait(a Action, s State, r Reason, until time.Time, format string, args ...any) bool {
	v.Verb, v.Await, v.Reason, v.Until = VerbStage, s, r, until
	if a == ActionRemove {
		v.Verb = VerbWait
	}
	v.Detail = fmt.Sprintf(format, args...)
	return true
}

// ruleBattery: a machine that may go dark in the middle begins nothing. The apply role is not asked: it sees no
// battery, and the worst that a liar could do is what a pulled plug does, which every installer outlives.
func ruleBattery(q *question, v *Verdict) bool {
	p, least := q.machine.Power, q.settings.minBattery
	if !q.changes() || !p.OnBattery || p.Percent >= least || q.machine.UserElsewhere {
		return false
	}
	if least > 100 {
		return v.wait(q.approval.Action, 0, ReasonHostBattery, time.Time{}, "the machine runs on battery, and policy begins no install then")
	}
	return v.wait(q.approval.Action, 0, ReasonHostBattery, time.Time{}, "on battery, %d %% left, at least %d %% are wanted to install", p.Percent, least)
}

// ruleShutdown: of what could be installed while the machine is being shut down, policy lets through what is done
// in time. Nothing is taken off then, so that nobody's shutdown waits for more than it must.
func ruleShutdown(q *question, v *Verdict) bool {
	left := min(q.machine.ShuttingDown, q.settings.atShutdown)
	if q.machine.ShuttingDown <= 0 || !q.changes() {
		return false
	}
	switch need := q.need(); {
	case q.settings.atShutdown == 0:
		return v.wait(q.approval.Action, StateWaitingWindow, ReasonPolicyDeferred, time.Time{}, "policy installs nothing while the machine is shut down")
	case q.approval.Action == ActionRemove:
		return v.wait(q.approval.Action, StateWaitingWindow, ReasonPolicyDeferred, time.Time{}, "nothing is removed while the machine is shut down")
	case need > left:
		return v.wait(q.approval.Action, StateWaitingWindow, ReasonWindowTooShort, time.Time{}, "it needs %s, and the machine is shut down in %s", spell(need), spell(left))
	}
	return false
}

// ruleQuiet: while people are to be spared nothing begins, nor what would reach into that time. What is expedited
// does not wait for it, and what is past its deadline has waited long enough.
func ruleQuiet(q *question, v *Verdict) bool {
	hours := q.settings.quietHours
	if hours == "" || !q.changes() || q.approval.Expedite || q.late() || q.undisturbing() || q.machine.ShuttingDown > 0 {
		return false
	}
	need := q.need()
	from, until, fits := besideHours(hours, q.machine.Zone, need, q.now)
	switch {
	case !fits:
		return v.wait(q.approval.Action, StateWaitingWindow, ReasonWindowTooShort, q.deadline, "it needs %s, and the quiet hours %s leave less", spell(need), hours)
	case q.now.Before(from):
		return v.wait(q.approval.Action, StateWaitingWindow, ReasonPolicyDeferred, earlier(from, q.deadline), "people are spared at %s; it may begin at %s", hours, from.UTC().Format(time.RFC3339))
	}
	v.closesAt = earlier(v.closesAt, until.Add(time.Nanosecond))
	return false
}

// besideHours is the first time, now or later, in which work of some length may run without touching the hours:
// it must begin between from and until.
func besideHours(hours string, zone *time.Location, need time.Duration, now time.Time) (from, until time.Time, fits bool) {
	from = now
	for range 4 { // days in which clocks are set have other gaps than those beside them
		if end, active := activeUntil(hours, zone, from); active {
			from = end
		}
		next := hoursAfter(hours, zone, from)
		if until = next.Add(-need); !until.Before(from) {
			return from, until, true
		}
		from = next
	}
	return time.Time{}, time.Time{}, false
}

// hoursAfter is when the hours next begin after an instant outside them.
func hoursAfter(hours string, zone *time.Location, after time.Time) time.Time {
	begin, _, _ := parseHours(hours) // checked when the manifest was read
	if zone == nil {
		zone = time.UTC
	}
	for day := civilOf(after.In(zone)) - 1; ; day++ {
		if at := instant(day, begin/60, begin%60, zone); !at.Before(after) {
			return at
		}
	}
}

// missing is what follows from windows that passed without an update.
type missing struct {
	why  string    // not empty: windows bind it no more
	next time.Time // when that may become so by itself; zero: not by itself
}

// missed looks at the windows that passed while the update waited. The apply role knows no better since when than
// from when it was approved here: whoever speaks to it could let those windows pass anyway.
func (q *question) missed(need time.Duration) (m missing) {
	since := availableFrom(q.approval, q.rings, q.in)
	if !q.machine.UserElsewhere {
		w := q.machine.Waits[q.approval.Update]
		if w.Revision != q.approval.Revision || w.Since.IsZero() {
			return m
		}
		since = later(since, w.Since)
	}
	if n := q.settings.escalateAfter; n > 0 {
		if last, ok := q.calendar.passed(since, n); ok {
			m.next = last
			if !q.now.Before(last) {
				m.why = fmt.Sprintf("%d maintenance windows passed without it, the last until %s: policy (%s) lets it go", n, last.UTC().Format(time.RFC3339), SetEscalateAfter)
				return m
			}
		}
	}
	if booted := q.machine.booted(); !q.settings.missedNext && booted.After(since) {
		s, ok := q.calendar.firstFrom(since)
		if lastBegin := s.until.Add(-need); ok && booted.After(later(s.from, lastBegin)) {
			due := booted.Add(q.settings.missedDelay)
			if !q.now.Before(due) {
				m.why = fmt.Sprintf("the machine was off in its maintenance window of %s and has been on since %s: policy (%s) lets it go",
					s.from.UTC().Format(time.RFC3339), booted.UTC().Format(time.RFC3339), SetMissedWindow)
				return m
			}
			m.next = earlier(m.next, due)
		}
	}
	return m
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// booted is when the machine was started; zero: not known.
func (m Machine) booted() time.Time {
	if m.Inventory == nil {
		return time.Time{}
	}
	return m.Inventory.BootedAt
}

// firstFrom is the first span that opens at an instant or later.
func (c calendar) firstFrom(since time.Time) (span, bool) {
	s, ok := c.next(since)
	if ok && s.from.Before(since) { // it was open already
		s, ok = c.next(s.until)
	}
	return s, ok
}

// passed is when the last of n spans has ended that open at an instant or later, and this machine's turn has come:
// a fleet that begins its windows spread does not let go of them all at once either.
func (c calendar) passed(since time.Time, n int) (time.Time, bool) {
	s, ok := c.firstFrom(since)
	for range n - 1 {
		if !ok {
			break
		}
		s, ok = c.next(s.until)
	}
	return s.until.Add(c.turn(s)), ok
}
