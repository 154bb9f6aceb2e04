package policy

import (
	"maps"
	"slices"
	"time"

	"patchmesh/content"
)

// Replacement is what takes the place of an update.
type Replacement struct {
	By      []UpdateID // sorted; of a long chain some of the nearest
	More    bool       // there are others
	SinceAt time.Time  // from when the first of them has been in force on all of the machines
}

// mostNamed bounds the replacements of one update that are named: of a chain of thousands nobody reads them.
const mostNamed = 5

// Replaced tells which updates the machines in these groups leave out, once everything is done, for others that replace them; as
// far as what is signed can tell: for machines that may be in further groups, that have none of it yet, and for which
// all of it is meant. GroupAll asks for all machines; no group at all for those that are unassigned.
//
// It errs on the side of an update that is not replaced: what is let go by this answer is missing where it errs. One that comes to
// a part of the machines only, that a hold stops somewhere, that waits for its time, its ring, its user or for something that does
// not come replaces nothing yet; and a checkpoint, that another can only be laid over, is needed still by a machine that
// is set up tomorrow.
func (m *Manifest) Replaced(groups []string, describe func(content.ID) *Descriptor, now time.Time) map[UpdateID]bool {
	s := m.successors(groups, describe, now, func(UpdateID) bool { return false })
	out := map[UpdateID]bool{}
	for u, arch := range s.arch {
		if e := s.on[arch]; e.by[s.rel.node[u]] >= 0 {
			out[u] = true
		}
	}
	return out
}

// successors is what becomes of the chains of updates on some machines, see Replaced. What is for one processor architecture
// replaces nothing on the machines of another, so each has its own answer, and those that no update names ("") theirs: what is
// for all architectures is replaced there or not at all.
type successors struct {
	rel  *relations
	arch map[UpdateID]string // of each update of the plan, where its answer is
	on   map[string]ends
}

// ends is the answer for one architecture.
type ends struct {
	by      []int       // by place in the plan
	coming  []bool      // by place in the plan
	sinceAt []time.Time // of each node, see Replacement
}

// successors finds them where those that are not to count replace nothing.
func (m *Manifest) successors(groups []string, describe func(content.ID) *Descriptor, now time.Time, not func(UpdateID) bool) successors {
	f := m.fleetOf(groups, now)
	won := effective(m, f.in, now)
	asked, verdicts, since := make([]question, 0, len(won)), make([]Verdict, 0, len(won)), make([]time.Time, 0, len(won))
	chained := false
	none := circumstances{machine: &Machine{}, settings: &settings{}, now: now}
	for _, w := range won {
		a := m.Approvals[w.index]
		if a.Listed() {
			continue
		}
		q, v := question{approval: a, desc: describe(a.Descriptor), circumstances: &none}, Verdict{Update: a.Update, Compliance: Required, Verb: VerbWait}
		at, everywhere := f.inForce(&q)
		if everywhere && !not(a.Update) {
			v.Verb = VerbInstall
			chained = chained || len(q.desc.Supersedes) > 0
		}
		asked, verdicts, since = append(asked, q), append(verdicts, v), append(since, at)
	}
	if !chained {
		return successors{}
	}
	s := successors{newRelations(asked, verdicts, m.decided(describe, byMain)), make(map[UpdateID]string, len(asked)), map[string]ends{}}
	for _, q := range asked {
		s.arch[q.approval.Update] = byArch(s.on, q.desc, func(arch string) ends { return s.rel.endsOn(arch, since) })
	}
	return s
}

// endsOn is what becomes of the chains on machines of one architecture; since is from when each of the plan is in force.
func (r *relations) endsOn(arch string, since []time.Time) ends {
	by, all := r.leftOutForGood(func(i int) bool {
		return !r.circular[i] && r.verdicts[i].Verb == VerbInstall && r.asked[i].desc.forArch(arch)
	})
	return ends{by, all.coming, fromAbove(&r.chains, func(n int) (at time.Time) {
		if n < len(all.coming) && all.coming[n] {
			at = since[n]
		}
		return at
	}, earlier)}
}

// of tells what replaces an update; false: nothing.
func (s successors) of(u UpdateID) (rep Replacement, is bool) {
	arch, known := s.arch[u]
	if !known {
		return rep, false
	}
	n, e := s.rel.node[u], s.on[arch]
	if e.by[n] < 0 {
		return rep, false
	}
	for m := range s.rel.above(n) {
		if m >= len(e.coming) || !e.coming[m] {
			continue
		}
		if rep.More = len(rep.By) == mostNamed; rep.More {
			break
		}
		rep.By = append(rep.By, s.rel.names[m])
	}
	slices.Sort(rep.By)
	rep.SinceAt = e.sinceAt[n]
	return rep, true
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
	depth     map[string]int // of every group
	approvals map[UpdateID][]Approval
	takes     []settings             // what kinds of updates some of them take
	held      map[UpdateID]bool      // by a hold in force
	heldUntil map[UpdateID]time.Time // by holds that are over
	rings     map[[2]string]int      // by group and plan, see ringOf
	now       time.Time
}

func (m *Manifest) fleetOf(groups []string, now time.Time) fleet {
	f := fleet{m: m, in: m.around(groups), depth: map[string]int{GroupAll: 0, GroupUnassigned: 1}, approvals: map[UpdateID][]Approval{},
		held: map[UpdateID]bool{}, heldUntil: map[UpdateID]time.Time{}, rings: map[[2]string]int{}, now: now}
	parent := m.parents()
	for g := range parent {
		f.depth[g] = depth(parent, g)
	}
	for _, a := range m.Approvals {
		if !a.Listed() && !a.lapsed(now) {
			f.approvals[a.Update] = append(f.approvals[a.Update], a)
		}
	}
	for _, h := range m.Holds {
		if h.Over(now) {
			f.heldUntil[h.Update] = later(f.heldUntil[h.Update], h.ExpiresAt)
		} else {
			f.held[h.Update] = true
		}
	}
	f.findTakes()
	return f
}

// findTakes: what the machines take is said by their groups, or, for some, by further groups that are no less deep.
func (f *fleet) findTakes() {
	set := f.m.settingsFor(f.in, Machine{})
	f.takes = []settings{{takeClasses: set.takeClasses, takeProducts: set.takeProducts}}
	own := map[string]int{}
	for _, s := range f.m.Settings {
		if d, in := f.in[s.Group]; in {
			own[s.Name] = max(own[s.Name], d)
		}
	}
	for _, s := range f.m.Settings {
		if _, in := f.in[s.Group]; in || !f.mayBeIn(s.Group) || f.depth[s.Group] < own[s.Name] {
			continue
		}
		switch s.Name {
		case SetTakeClasses:
			f.takes = append(f.takes, settings{takeClasses: s.Value, takeProducts: takeAny})
		case SetTakeProducts:
			f.takes = append(f.takes, settings{takeClasses: takeAny, takeProducts: s.Value})
		}
	}
}

// taken: no machine of the fleet is told not to take such an update.
func (f *fleet) taken(q *question) bool {
	c := *q.circumstances // they are those of others too
	one := question{circumstances: &c, approval: q.approval, desc: q.desc}
	return !slices.ContainsFunc(f.takes, func(s settings) bool {
		c.settings = &s
		return ruleClass(&one, &Verdict{})
	})
}

// inForce says whether an update is installed on each of the machines for which it is meant, without regard to what is installed
// beside it, and from when: whichever approval of it counts on one of them, by a group that nobody here knows of, asks for
// the same. A mitigation goes again, and what always asks its user waits for an answer.
func (f *fleet) inForce(q *question) (since time.Time, everywhere bool) {
	a := q.approval
	if q.desc == nil || q.desc.Mitigates != "" || q.desc.AsksUser == "always" || f.held[a.Update] || f.held[AllUpdates] || !f.taken(q) {
		return time.Time{}, false
	}
	since = later(f.heldUntil[a.Update], f.heldUntil[AllUpdates])
	for _, b := range f.approvals[a.Update] {
		if f.never(b, a) {
			continue
		}
		at, reached := f.reached(b)
		if b.Action != ActionInstall || b.Descriptor != a.Descriptor || !reached {
			return time.Time{}, false
		}
		since = later(since, at)
	}
	return since, true
}

// never: on no machine of the fleet does b count, since a does.
func (f *fleet) never(b, a Approval) bool {
	mine, theirs := f.depth[a.Group], f.depth[b.Group]
	return !f.mayBeIn(b.Group) || theirs < mine || theirs == mine && force(b.Action) < force(a.Action)
}

// mayBeIn: there is such a group, and some machine of the fleet may be in it.
func (f *fleet) mayBeIn(group string) bool {
	_, known := f.depth[group]
	_, are := f.in[GroupUnassigned]
	return known && (group != GroupUnassigned || are || len(f.in) == 1)
}

// reached says whether an approval has begun on all machines of the fleet that are in its group too, and when.
func (f *fleet) reached(a Approval) (at time.Time, reached bool) {
	at = later(a.At, a.latestStart())
	if plan := f.m.RingPlan(a.RingPlan); plan != nil && !a.Expedite {
		ring := f.ringOf(a.Group, plan)
		if ring < 0 || ring >= len(a.RingsOpened) {
			return at, false
		}
		at = later(at, a.OpenedAt(ring).Add(time.Duration(plan.Rings[ring].SpreadMinutes)*time.Minute))
	}
	return at, !f.now.Before(at)
}

// ringOf is the last ring of a plan that a machine of the fleet in a group may be in: further groups may have it in an earlier one.
func (f *fleet) ringOf(group string, plan *RingPlan) int {
	key := [2]string{group, plan.Name}
	ring, known := f.rings[key]
	if !known {
		in := f.m.around([]string{group})
		maps.Copy(in, f.in)
		ring = plan.ringOf(in)
		f.rings[key] = ring
	}
	return ring
}
