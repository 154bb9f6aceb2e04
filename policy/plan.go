package policy

import (
	"slices"
	"time"

	"patchmesh/content"
)

// Verb is what a machine does about an update.
type Verb string

// The verbs.
const (
	VerbInstall Verb = "install"
	VerbRemove  Verb = "remove"
	VerbWait    Verb = "wait"
	VerbHold    Verb = "hold"
	VerbStage   Verb = "stage"
	VerbNone    Verb = "none"
)

// Verdict is the answer for one update.
type Verdict struct {
	Update     UpdateID
	Revision   int
	Descriptor content.ID
	Verb       Verb
	Compliance Compliance
	Reason     Reason // empty: nothing stands in the way
	Detail     string
	Until      time.Time // when a wait or hold ends by itself; zero: not by itself
	Approval   int       // index of the winning approval in the manifest
	Losing     []int     // other approvals that address this machine
	Hold       string    // id of the hold, if one stops it
	// Excepted are holds that would stop it here, were it not for exceptions.
	Excepted []Excepted
	Deadline time.Time // when it must be done; zero: no deadline
	Lift     bool      // a removal that nobody asked for: the mitigation is not needed any more
	Await    State     // the state of an update that is ready and waits; zero: nothing more than its verb says

	Listed bool // nobody has decided about it: it is looked for, see listed.go

	closesAt time.Time // when an install stops being right, because its window closes
	Urgent   bool      // its content is wanted in the foreground, see urgent.go
}

// Plan is all answers, sorted by update.
type Plan struct {
	Epoch     uint64
	Verdicts  []Verdict
	ScanEvery time.Duration // how often the machine looks whether its updates are there; zero: nobody said
	// ScanAfterNews is within what time the machine looks at everything again when approvals have changed; 0: it does not.
	ScanAfterNews time.Duration
	Habits        Habits    // how the machine uses its links and time
	NextAt        time.Time // the earliest time at which an answer may change by itself; zero: none
}

// endsOf books when what an answer rests on ends, other than the answer itself.
func (p *Plan) endsOf(q *question, v *Verdict) {
	p.changesAt(q.manifest.Approvals[v.Approval].until)
	for _, e := range v.Excepted { // then the hold counts again
		p.changesAt(e.Until)
	}
	if q.desc != nil && q.lift == "" {
		p.changesAt(q.desc.MitigationEnds)
	}
}

// MakePlan decides about every update that an approval addresses to this machine. describe gives
// descriptors that are at hand, nil for others. Stale is Trust.Stale: updates whose installation has
// begun already are the caller's to finish.
func MakePlan(m *Manifest, describe func(content.ID) *Descriptor, mach Machine, stale bool, now time.Time) Plan {
	p := Plan{Epoch: m.Epoch}
	m = m.localized(mach.Zone)
	groups := m.belongs(mach)
	in := groups.in
	holds, windows, set := m.holdsFor(groups, mach, now), m.calendarFor(in, mach), m.settingsFor(in, mach)
	won := effective(m, in, now)
	known, anyListed := m.withoutListed(won, mach)
	asked, listed := make([]question, 0, len(won)), []question(nil)
	whole := circumstances{machine: &mach}
	here := circumstances{machine: &known, holds: holds, calendar: windows, in: in, settings: &set, stale: stale, now: now, manifest: m, doubt: groups.doubt}
	p.Verdicts = slices.Grow(p.Verdicts, len(won))
	for _, w := range won {
		a := m.Approvals[w.index]
		if a.Listed() {
			listed = append(listed, question{approval: a, desc: describe(a.Descriptor), circumstances: &whole, won: w})
			continue
		}
		rings := m.RingPlan(a.RingPlan)
		asked = append(asked, question{circumstances: &here, approval: a, desc: describe(a.Descriptor), rings: rings})
		q := &asked[len(asked)-1]
		if q.taken() {
			q.approval.Action = ActionInstall
		}
		if why, over := q.lifted(); over {
			q.lift, q.approval.Action = why, ActionRemove
		}
		q.deadline = q.graced(deadlineOf(a, q.desc, rings, in, set))
		p.Verdicts = append(p.Verdicts, Verdict{
			Update: a.Update, Revision: a.Revision, Descriptor: a.Descriptor, Approval: w.index, Losing: w.losing,
			Compliance: compliance(&known, a), Deadline: q.deadline, Excepted: holds.excepted(a.Update, a.Revision),
		})
		v := &p.Verdicts[len(p.Verdicts)-1]
		for i := range rules {
			if rules[i].ask(q, v) {
				break
			}
		}
		p.endsOf(q, v)
		v.Urgent, _ = a.Urgent(now)
	}
	rel := newRelations(asked, p.Verdicts, m.decided(describe, byMain))
	superseded := rel.settleSupersedence()
	rel.settleOrder()
	settleMitigated(asked, p.Verdicts)
	for _, i := range superseded {
		p.Verdicts[i].Compliance = SupersededPresent
	}
	for _, v := range p.Verdicts {
		p.changesAt(v.Until)
		p.changesAt(v.closesAt)
	}
	p.setBackEnds(mach, now)
	if anyListed {
		p.listed(listed)
	}
	p.ScanEvery, p.ScanAfterNews, p.Habits = set.scanInterval, set.scanAfterNews, set.habits()
	return p
}

// changesAt notes a time at which an answer may change by itself; zero is none.
func (p *Plan) changesAt(t time.Time) {
	if !t.IsZero() && (p.NextAt.IsZero() || t.Before(p.NextAt)) {
		p.NextAt = t
	}
}

// compliance is what detection alone says.
func compliance(mach *Machine, a Approval) Compliance {
	d, seen := mach.Detected[a.Update]
	switch {
	case !seen:
		return ComplianceUnknown
	case d.Err != "":
		return ComplianceError
	case d.Present:
		return Installed
	}
	return Required
}

// winner is the effective approval of one update on one machine.
type winner struct {
	index  int
	losing []int
}

// effective applies the conflict rule to the approvals that address the machine. Approvals are
// sorted by update in the manifest, so those of one update stand together. What a delegated role
// approved ends with its signatures: then it is as if it had not.
func effective(m *Manifest, in map[string]int, now time.Time) []winner {
	out := make([]winner, 0, len(m.Approvals))
	for i := range m.Approvals {
		a := &m.Approvals[i]
		if _, addressed := in[a.Group]; !addressed || a.lapsed(now) {
			continue
		}
		last := len(out) - 1
		if last < 0 || m.Approvals[out[last].index].Update != a.Update {
			out = append(out, winner{index: i})
			continue
		}
		w := &out[last]
		if beats(*a, m.Approvals[w.index], in) {
			w.losing = append(w.losing, w.index)
			w.index = i
		} else {
			w.losing = append(w.losing, i)
		}
	}
	return out
}

// beats is the order that WSUS uses: the deeper group wins; then install beats remove and required
// beats optional; then any deadline beats none, and the earlier one the later. What is only listed beats nothing,
// not even a decline.
func beats(a, b Approval, in map[string]int) bool {
	if a.Listed() != b.Listed() {
		return b.Listed()
	}
	if in[a.Group] != in[b.Group] {
		return in[a.Group] > in[b.Group]
	}
	if x, y := force(a.Action), force(b.Action); x != y {
		return x > y
	}
	x, y := a.EarliestDeadline(), b.EarliestDeadline()
	return !x.IsZero() && (y.IsZero() || x.Before(y))
}

// force ranks actions at equal depth.
func force(a Action) int {
	switch a {
	case ActionInstall:
		return 5
	case ActionRemove:
		return 4
	case ActionStageOnly:
		return 3
	case ActionOptional:
		return 2
	case ActionDetectOnly:
		return 1
	}
	return 0
}
