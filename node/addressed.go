package node

import (
	"slices"

	"patchmesh/policy"
)

// Whoever signs reads how many machines it is about: an approval for the wrong group, or for one in which nobody is, shows
// there. So it is the machines of this change alone, not all that the manifest says something to.

// addressed counts the enrolled machines that a draft changes something for, against what is trusted.
func (s *seed) addressed(by *policy.Trust, d *policy.Draft) int {
	changes, err := d.Changes(by)
	was := by.Manifest()
	if err != nil || was == nil {
		return 0
	}
	is := was
	if d.Role() == "" {
		if is, err = policy.DecodeManifest(d.Manifest()); err != nil {
			return 0
		}
	}
	members, err := s.db.Members()
	if err != nil {
		return 0
	}
	// Groups that are listed since something is said for them say nothing by themselves.
	alone := !slices.ContainsFunc(changes, func(c policy.Change) bool { return c.Group == nil && c.WasGroup == nil })
	n := 0
	for _, k := range members {
		if k.ReplacedBy != "" {
			continue
		}
		groups := withMemberships(k.Groups, s.membershipsOf(k))
		said := said{machine: k.ID, was: func(g string) bool { return was.InGroup(groups, g) }, is: func(g string) bool { return is.InGroup(groups, g) },
			along: func(p *policy.RingPlan) bool { return p != nil && is.RingOf(p, groups) >= 0 }, plan: is.RingPlan}
		if slices.ContainsFunc(changes, func(c policy.Change) bool { return said.reached(c, alone) }) {
			n++
		}
	}
	return n
}

// said tells what is about a machine: by its groups before a change and after it.
type said struct {
	machine string
	was, is func(group string) bool
	along   func(*policy.RingPlan) bool
	plan    func(name string) *policy.RingPlan
}

func (x said) reached(c policy.Change, groupsAlone bool) bool {
	sides := func(was, is string) bool { return was != "" && x.was(was) || is != "" && x.is(is) }
	approval := func(a *policy.Approval, in func(string) bool) bool {
		return a != nil && !a.Listed() && in(a.Group) && (a.RingPlan == "" || x.along(x.plan(a.RingPlan)))
	}
	hold := func(h *policy.Hold, in func(string) bool) bool {
		return h != nil && in(first(h.Group, policy.GroupAll))
	}
	except := func(e *policy.HoldException, in func(string) bool) bool {
		return e != nil && (e.Machine == x.machine || e.Machine == "" && in(e.Group))
	}
	switch {
	case approval(c.WasApproval, x.was), approval(c.Approval, x.is), hold(c.WasHold, x.was), hold(c.Hold, x.is),
		except(c.WasHoldException, x.was), except(c.HoldException, x.is), x.along(c.WasRingPlan), x.along(c.RingPlan),
		groupsAlone && sides(nameOf(c.WasGroup, func(g policy.Group) string { return g.Name }), nameOf(c.Group, func(g policy.Group) string { return g.Name })):
		return true
	}
	window, setting := func(w policy.Window) string { return w.Group }, func(s policy.Setting) string { return s.Group }
	base, turn := func(b policy.Baseline) string { return b.Group }, func(o policy.Orchestration) string { return o.Group }
	return sides(nameOf(c.WasWindow, window), nameOf(c.Window, window)) || sides(nameOf(c.WasSetting, setting), nameOf(c.Setting, setting)) ||
		sides(nameOf(c.WasBaseline, base), nameOf(c.Baseline, base)) || sides(nameOf(c.WasOrchestration, turn), nameOf(c.Orchestration, turn))
}

// nameOf is what f says of x; empty where there is none.
func nameOf[T any](x *T, f func(T) string) string {
	if x == nil {
		return ""
	}
	return f(*x)
}
