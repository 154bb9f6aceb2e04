package policy

import (
	"fmt"
	"time"
)

// ruleRing: an update that goes along a ring plan waits until the machine's ring is opened, and in a ring
// that is spread for the machine's turn. To expedite skips the rings: everybody is addressed at once.
func ruleRing(q question, v *Verdict) bool {
	if q.rings == nil || q.approval.Expedite {
		return false
	}
	at := q.rings.ringOf(q.in)
	if at < 0 {
		v.Verb, v.Reason = VerbWait, ReasonRingNotReached
		v.Detail = fmt.Sprintf("no ring of plan %s has a group of this machine", q.rings.Name)
		return true
	}
	r, opened := q.rings.Rings[at], len(q.approval.RingsOpened)
	if at >= opened {
		v.Verb, v.Reason = VerbWait, ReasonRingNotReached
		v.Detail = fmt.Sprintf("this machine is in ring %s, ring %s is open", r.Name, q.rings.Rings[opened-1].Name)
		return true
	}
	turn := r.turn(q.machine.ID, q.approval.Update, q.approval.OpenedAt(at))
	if !q.now.Before(turn) {
		return false
	}
	v.Verb, v.Reason, v.Until = VerbWait, ReasonRingNotReached, turn
	v.Detail = fmt.Sprintf("ring %s is spread, the turn of this machine comes at %s", r.Name, turn.UTC().Format(time.RFC3339))
	return true
}
