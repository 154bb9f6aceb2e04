package policy

import (
	"fmt"
	"strings"
	"time"
)

// ruleWindow: a machine is changed only while one of its maintenance windows is open, and only if the
// update will be done before it closes. The bytes are fetched before, so that the window is for the
// change alone. A deadline does not open a window, nor does expediting: the approval has to say so.
func ruleWindow(q *question, v *Verdict) bool {
	anytime := len(q.calendar.windows) == 0 && !q.settings.windowsRequired
	if anytime || q.approval.IgnoreWindows || !q.changes() || q.unbound() {
		return false
	}
	need := q.need()
	open, never := q.calendar.fit(need, q.now)
	if never == "" && !q.now.Before(open.from) {
		v.closesAt = open.until.Add(time.Nanosecond) // until itself it may still begin
		return false
	}
	missed := q.missed(need)
	if missed.why != "" {
		v.Detail = missed.why // no reason: nothing stands in its way any more
		return false
	}
	v.closesAt = missed.next
	v.Verb, v.Await, v.Reason = VerbStage, StateWaitingWindow, never
	if q.approval.Action == ActionRemove {
		v.Verb = VerbWait // nothing to fetch
	}
	switch never {
	case ReasonWindowNone:
		v.Detail = "no maintenance window of this machine will open again"
		if len(q.calendar.windows) == 0 {
			v.Detail = "no maintenance window addresses this machine, and policy asks for one"
		}
		if lost := q.calendar.lost; len(lost) > 0 {
			v.Detail += fmt.Sprintf("; %s is in zone %s, which this machine does not know: renew patchmesh or the zone database here, or state the window in another zone", lost[0].What, lost[0].Zone)
		}
	case ReasonWindowTooShort:
		v.Detail = fmt.Sprintf("it needs %s, and no maintenance window of this machine is that long", spell(need))
	default:
		if v.Until = open.from; !q.deadline.IsZero() && open.from.After(q.deadline) {
			v.Reason = ReasonWindowLate
		}
		v.Detail = "the next maintenance window in which its " + spell(need) + " fit opens at " + open.from.UTC().Format(time.RFC3339)
		if v.Reason == ReasonWindowLate {
			v.Detail += ", after its deadline " + q.deadline.UTC().Format(time.RFC3339)
		}
	}
	return true
}

// spell writes a duration without the zeros that it ends in: 2h, 1h30m.
func spell(d time.Duration) string {
	s := strings.TrimSuffix(d.String(), "m0s")
	if s == d.String() {
		return s
	}
	if h, whole := strings.CutSuffix(s, "h0"); whole {
		return h + "h"
	}
	return s + "m"
}
