package policy

import (
	"fmt"
	"time"
)

// ruleRing: an update that goes along a ring plan waits until the machine's ring is opened, and in a ring
// that is spread for the machine's turn. To expedite skips the rings: everybody is addressed at once.
func ruleRing(q *question, v *Verdict) bool {
	if q.rings == nil || q.approval.Expedite {
		return false
	}
	at := q.rings.ringOf(q.in)
	if at < 0 {
		v.Verb, v.Reason = VerbWait, ReasonRingNotReached
		v.Detail = fmt.Sprintf("no ring of plan %s has a group of this machine, so that its turn never comes; an admin decides: 'patchmesh rings set %s' with one of its groups in a ring, or 'patchmesh approve %s --group GROUP'", q.rings.Name, q.rings.Name, q.approval.Update)
		return true
	}
	r, opened := q.rings.Rings[at], len(q.approval.RingsOpened)
	if at >= opened {
		v.Verb, v.Reason = VerbWait, ReasonRingNotReached
		v.Detail = fmt.Sprintf("this machine is in ring %s, %s", r.Name, q.waitsBehind())
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

// waitsBehind says which ring others wait for, since when, and who decides where that would be without an end: a machine
// cannot know how many there are in another ring, and where none needs the update none shows that it works.
func (q *question) waitsBehind() string {
	at := len(q.approval.RingsOpened) - 1
	last := q.rings.Rings[at]
	text := fmt.Sprintf("ring %s is open since %s", last.Name, q.approval.OpenedAt(at).UTC().Format(time.RFC3339))
	if !last.SkipEmpty {
		text += fmt.Sprintf("; while no machine of ring %s needs it, an admin decides: 'patchmesh promote %s' opens the next ring, skip-empty in plan %s lets it be passed", last.Name, q.approval.Update, q.rings.Name)
	}
	return text
}
