package policy

import "time"

// urgentWithin is how long before its deadline an approval becomes urgent: what is in nobody's way until
// then may be in somebody's way rather than late.
const urgentWithin = 24 * time.Hour

// Urgent says whether an approval wants its content in the foreground: it is expedited, or its deadline is
// near or past. changesAt is when the answer changes by itself; zero: never.
func (a Approval) Urgent(now time.Time) (urgent bool, changesAt time.Time) {
	switch {
	case a.Action != ActionInstall && a.Action != ActionStageOnly:
		return false, time.Time{}
	case a.Expedite:
		return true, time.Time{}
	case a.EarliestDeadline().IsZero():
		return false, time.Time{}
	}
	if near := a.EarliestDeadline().Add(-urgentWithin); now.Before(near) {
		return false, near
	}
	return true, time.Time{}
}

// OverBudget says whether the approvers let the content of an approval pass the WAN budget of a site. Neither a
// deadline nor expediting does: the line that it would take belongs to a site's work, so the approval has to say so.
// changesAt is when the answer changes by itself; zero: never.
func (a Approval) OverBudget(now time.Time) (over bool, changesAt time.Time) {
	if !a.IgnoreBudget || !a.Brings(now) {
		return false, time.Time{}
	}
	if a.until.IsZero() {
		return true, time.Time{}
	}
	return true, a.until.Add(time.Nanosecond)
}

// acts says whether the approval asks to change the machine.
func (a Approval) acts() bool { return a.Action == ActionInstall || a.Action == ActionRemove }
