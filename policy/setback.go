package policy

import "time"

// SetBack is an install, or a removal, that did not work on this machine. It is tried again, or has been rolled back and waits for a word
// of the approvers; in the meantime nothing else waits for it: a broken update that must be installed alone would keep
// every later one away, an urgent one too, and a bad newest one of a chain the good one before it.
type SetBack struct {
	Revision int
	// ApprovedAt: what is approved after this is a new word, and the machine tries again as if nothing had been.
	ApprovedAt time.Time
	Until      time.Time // when it is tried again; zero: not by itself
}

// setBack says whether the change of a question is set back now, and whether for good.
func (q *question) setBack() (now, forGood bool) {
	s, is := q.machine.SetBack[q.approval.Update]
	if !is || s.Revision != q.approval.Revision || q.approval.At.After(s.ApprovedAt) || !s.Until.IsZero() && !q.now.Before(s.Until) {
		return false, false
	}
	return true, s.Until.IsZero()
}

// notOrdered: it is due, but whoever chooses has ordered another one, and may have its reasons. Nothing waits for it, and it
// replaces nothing before it is there. A removal is waited for whoever chooses.
func (q *question) notOrdered() bool {
	o := q.machine.Ordered
	return o != "" && q.approval.Update != o && (q.approval.Action != ActionRemove || q.lift != "")
}

// goesOn: the machine is about to install it, and has not given it up.
func (q *question) goesOn(v *Verdict) bool {
	_, forGood := q.setBack()
	return v.Verb == VerbInstall && !forGood && !q.notOrdered()
}

// setBackEnds books when installs that were set back are tried again.
func (p *Plan) setBackEnds(m Machine, now time.Time) {
	for _, s := range m.SetBack {
		if s.Until.After(now) {
			p.changesAt(s.Until)
		}
	}
}
