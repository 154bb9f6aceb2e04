package policy

import (
	"fmt"
	"path"
	"time"
)

// Wish is what a user of the machine has said of one revision of an update.
type Wish struct {
	Revision       int       `json:"revision"`
	Accepted       bool      `json:"accepted,omitempty"`
	PostponedUntil time.Time `json:"postponed_until,omitzero"`
	Times          int       `json:"times,omitempty"` // it was postponed

	By string    `json:"by,omitempty"` // who said it, for people
	At time.Time `json:"at,omitzero"`  // when
}

// ruleLocalHold: the machine's own list may hold an update back. Only what is signed can lift a hold that
// is signed, and only the machine's own file one of its own.
func ruleLocalHold(q *question, v *Verdict) bool {
	if q.machine.LocalTrouble != "" {
		v.Verb, v.Reason = VerbHold, ReasonLocalHold
		v.Detail = "this machine's own policy file cannot be read; until it is mended or removed every update is held back: " + q.machine.LocalTrouble
		return true
	}
	for _, pattern := range q.machine.LocalHolds {
		if match, err := path.Match(pattern, string(q.approval.Update)); match || err != nil {
			v.Verb, v.Reason = VerbHold, ReasonLocalHold
			v.Detail = fmt.Sprintf("this machine's own list holds %q back", pattern)
			return true
		}
	}
	return false
}

// ruleAutomation: how much the machine does without being asked. A deadline that has passed asks nobody.
// Removals and expedited updates are an admin's order and do not wait for the user.
func ruleAutomation(q *question, v *Verdict) bool {
	a := q.settings.automation
	if q.approval.Action != ActionInstall && q.approval.Action != ActionRemove || q.machine.UserElsewhere {
		return false
	}
	if q.changesNothing(v) {
		return true
	}
	if q.late() || q.approval.Expedite && !q.desc.MayAsk() || q.approval.Action == ActionRemove {
		return false
	}
	wish := q.machine.Wishes[q.approval.Update]
	if wish.Revision != q.approval.Revision {
		wish = Wish{}
	}
	if q.now.Before(wish.PostponedUntil) {
		v.Verb, v.Await, v.Reason, v.Until = VerbStage, StateWaitingUser, ReasonUserPostponed, earlier(wish.PostponedUntil, q.deadline)
		v.Detail = "the user has postponed it until " + v.Until.UTC().Format(time.RFC3339)
		return true
	}
	if wish.Accepted || a == AutomationScheduled && q.desc.AsksUser != "always" {
		return false
	}
	v.Verb, v.Await, v.Until = VerbStage, StateWaitingUser, q.deadline
	if a == AutomationNotifyDownload {
		v.Verb = VerbWait
	}
	v.Detail = "it waits for the user: 'patchmesh accept " + string(q.approval.Update) + "'"
	return true
}

// earlier of two instants; the zero time is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// deadlineOf is when an approval must be carried out: what it says itself, or what the severity of its
// update asks for, counted from when the machine's ring was opened or the approval was given. What may ask the
// user has none; what is expedited has it at once, and severity asks for none but installs.
func deadlineOf(a Approval, d *Descriptor, rings *RingPlan, in map[string]int, s settings) time.Time {
	if d != nil && d.MayAsk() && a.Action == ActionInstall || a.Action == ActionOptional {
		return time.Time{} // to wait for somebody's word has no end
	}
	if at := later(a.At, a.NotBefore); a.Expedite && a.acts() && (a.Deadline.IsZero() || at.Before(a.Deadline)) {
		return at
	}
	if !a.Deadline.IsZero() || d == nil {
		return a.Deadline
	}
	if a.DeadlineMinutes > 0 {
		return availableFrom(a, rings, in).Add(a.deadlineAfter())
	}
	life, set := s.deadlines[d.Severity]
	if !set || a.Action != ActionInstall {
		return time.Time{}
	}
	return availableFrom(a, rings, in).Add(life)
}

// availableFrom is when an approval first allowed a machine to act: when its ring was opened or the approval
// was given, and not before what it says itself.
func availableFrom(a Approval, rings *RingPlan, in map[string]int) time.Time {
	from := a.GivenAt()
	if rings != nil {
		if at := rings.ringOf(in); at >= 0 && at < len(a.RingsOpened) {
			from = a.OpenedAt(at)
		}
	}
	if a.NotBefore.After(from) {
		from = a.NotBefore
	}
	return from
}

// Postpone says until when a user may postpone an update now, or why not. The bound is the machine's
// settings, and the deadline.
func (m *Manifest) Postpone(v Verdict, mach Machine, wanted time.Duration, now time.Time) (Wish, error) {
	s := readSettings(m.Effectives(mach))
	w := mach.Wishes[v.Update]
	if w.Revision != v.Revision {
		w = Wish{Revision: v.Revision}
	}
	switch {
	case w.Times >= s.postponeTimes:
		return w, fmt.Errorf("it may be postponed %d time(s), and was %d: %w", s.postponeTimes, w.Times, ErrBound)
	case !v.Deadline.IsZero() && !now.Before(v.Deadline):
		return w, fmt.Errorf("its deadline has passed: %w", ErrBound)
	case wanted > s.postponeFor:
		return w, fmt.Errorf("it may be postponed by %s each time: %w", spell(s.postponeFor), ErrBound)
	}
	w.Times++
	w.Accepted = false
	w.PostponedUntil = earlier(now.Add(wanted), v.Deadline)
	return w, nil
}
