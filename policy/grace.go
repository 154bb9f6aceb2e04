package policy

import "time"

// SetDeadlineGrace is the setting of what a machine that comes late is given beyond a deadline.
const SetDeadlineGrace = "deadline-grace"

var graceInfo = SettingInfo{SetDeadlineGrace, valueNone, "how long the people at a machine may choose at least, from when it first heard of an update, though its deadline came before that; not what is expedited", noneOr(within(time.Hour, 30*day)), nil}

// graced is a deadline as it counts for a machine that was off while the others were given time: it may not find
// itself forced the moment that it is switched on. The apply role asks no user, and grants no grace.
func (q *question) graced(deadline time.Time) time.Time {
	if deadline.IsZero() || q.settings.grace == 0 || q.approval.Expedite || !q.changes() || q.machine.UserElsewhere {
		return deadline
	}
	met := q.now // it hears of it in this moment
	if w := q.machine.Met[q.approval.Update]; w.Revision == q.approval.Revision && !w.Since.IsZero() {
		met = w.Since
	}
	if met.After(q.now) { // noted by a clock that was wrong: it would put the deadline off for good
		return deadline
	}
	return later(deadline, later(met, availableFrom(q.approval, q.rings, q.in)).Add(q.settings.grace))
}
