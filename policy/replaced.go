package policy

import (
	"maps"
	"slices"
	"time"

	"patchmesh/content"
)

// Replacement is what takes the place of an update.
type Replacement struct {
	By      []UpdateID // sorted
	SinceAt time.Time  // from when the first of them has been in force on all of the machines
}

// Replaced tells which updates the machines in these groups leave out, once everything is done, for others that replace them; as
// far as what is signed can tell: for machines that may be in further groups, that have none of it yet, and for which
// all of it is meant. GroupAll asks for all machines; no group at all for those that are unassigned.
//
// It errs on the side of an update that is not replaced: what is let go by this answer is missing where it errs. One that comes to
// a part of the machines only, that a hold stops somewhere, that waits for its time, its ring or for something that does not
// come replaces nothing yet; and a checkpoint, that another can only be laid over, is needed still by a machine that
// is set up tomorrow.
func (m *Manifest) Replaced(groups []string, describe func(content.ID) *Descriptor, now time.Time) map[UpdateID]Replacement {
	return m.replacedBut(groups, describe, now, func(UpdateID) bool { return false })
}

// replacedBut is Replaced where those that are not to count replace nothing.
func (m *Manifest) replacedBut(groups []string, describe func(content.ID) *Descriptor, now time.Time, not func(UpdateID) bool) map[UpdateID]Replacement {
	f := m.fleetOf(groups, describe, now)
	var asked []question
	var verdicts []Verdict
	var since []time.Time
	chained := false
	for _, w := range effective(m, f.in, now) {
		a := m.Approvals[w.index]
		if a.Listed() {
			continue
		}
		q, v := question{approval: a, desc: describe(a.Descriptor), settings: f.set, now: now}, Verdict{Update: a.Update, Compliance: Required, Verb: VerbWait}
		at, everywhere := f.inForce(q)
		if everywhere && !not(a.Update) {
			v.Verb = VerbInstall
			chained = chained || len(q.desc.Supersedes) > 0
		}
		asked, verdicts, since = append(asked, q), append(verdicts, v), append(since, at)
	}
	out := map[UpdateID]Replacement{}
	if !chained {
		return out
	}
	r := newRelations(asked, verdicts, m.decidedForAll(describe))
	by, all := r.leftOutForGood(func(i int) bool { return !r.circular[i] && verdicts[i].Verb == VerbInstall })
	for old, newest := range by {
		if newest < 0 {
			continue
		}
		var rep Replacement
		for _, n := range r.above(old) {
			if n >= len(asked) || !all.coming[n] {
				continue
			}
			rep.By = append(rep.By, r.names[n])
			if rep.SinceAt.IsZero() || since[n].Before(rep.SinceAt) {
				rep.SinceAt = since[n]
			}
		}
		slices.Sort(rep.By)
		out[r.names[old]] = rep
	}
	return out
}

// around are the groups that every machine in these groups is in.
func (m *Manifest) around(groups []string) map[string]int {
	in := m.depths(groups)
	if len(groups) > 0 && !slices.Contains(groups, GroupUnassigned) {
		delete(in, GroupUnassigned)
	}
	return in
}

// fleet is all machines that are in some groups, whatever others they are in.
type fleet struct {
	m         *Manifest
	in        map[string]int // see depths
	set       settings
	depth     map[string]int // of every group
	approvals map[UpdateID][]Approval
	now       time.Time
}

func (m *Manifest) fleetOf(groups []string, describe func(content.ID) *Descriptor, now time.Time) fleet {
	f := fleet{m: m, in: m.around(groups), depth: map[string]int{GroupAll: 0, GroupUnassigned: 1}, approvals: map[UpdateID][]Approval{}, now: now}
	f.set = m.settingsFor(f.in, Machine{})
	parent := map[string]string{}
	for _, g := range m.Groups {
		parent[g.Name] = g.Parent
	}
	for g := range parent {
		f.depth[g] = depth(parent, g)
	}
	for _, a := range m.Approvals {
		if !a.Listed() && (a.until.IsZero() || !now.After(a.until)) {
			f.approvals[a.Update] = append(f.approvals[a.Update], a)
		}
	}
	return f
}

// inForce says whether an update is installed on each of the machines for which it is meant, without regard to what is installed
// beside it, and from when: whichever approval of it counts on one of them, by a group that nobody here knows of, asks for
// the same. A mitigation goes again.
func (f fleet) inForce(q question) (since time.Time, everywhere bool) {
	a := q.approval
	if q.desc == nil || q.desc.Mitigates != "" || f.m.Held(a.Update, f.now) || ruleClass(q, &Verdict{}) {
		return time.Time{}, false
	}
	for _, h := range f.m.Holds {
		if (h.Update == a.Update || h.Update == AllUpdates) && h.ExpiresAt.After(since) { // it is over
			since = h.ExpiresAt
		}
	}
	for _, b := range f.approvals[a.Update] {
		if f.never(b, a) {
			continue
		}
		at, reached := f.reached(b)
		if b.Action != ActionInstall || b.Descriptor != a.Descriptor || !reached {
			return time.Time{}, false
		}
		if at.After(since) {
			since = at
		}
	}
	return since, true
}

// never: on no machine of the fleet does b count, since a does.
func (f fleet) never(b, a Approval) bool {
	theirs, known := f.depth[b.Group]
	if !known || b.Group == GroupUnassigned && !f.mayBeUnassigned() {
		return true
	}
	mine := f.depth[a.Group]
	return theirs < mine || theirs == mine && force(b.Action) < force(a.Action)
}

func (f fleet) mayBeUnassigned() bool {
	_, are := f.in[GroupUnassigned]
	return are || len(f.in) == 1
}

// reached says whether an approval has begun on all machines of the fleet that are in its group too, and when.
func (f fleet) reached(a Approval) (at time.Time, reached bool) {
	if at = a.At; a.latestStart().After(at) {
		at = a.latestStart()
	}
	if plan := f.m.RingPlan(a.RingPlan); plan != nil && !a.Expedite {
		in := f.m.around([]string{a.Group})
		maps.Copy(in, f.in)
		ring := plan.ringOf(in) // further groups may have a machine in an earlier one
		if ring < 0 || ring >= len(a.RingsOpened) {
			return at, false
		}
		if turn := a.OpenedAt(ring).Add(time.Duration(plan.Rings[ring].SpreadMinutes) * time.Minute); turn.After(at) {
			at = turn
		}
	}
	return at, !f.now.Before(at)
}
