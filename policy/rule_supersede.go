package policy

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// settleSupersedence looks at other verdicts: of a chain in which one update
// replaces another, the newest that really comes to this machine is installed, the others are not.
// A replacement that is held, deferred, rolled back, not for this machine, or that needs something that does not come, replaces
// nothing: else a bad new update, stopped by a hold, would keep the good old one away too. Updates that replace each other
// in a circle contradict each other; all of them hold. A checkpoint, which a newer update replaces and yet needs
// to be there before it, is not left out, see keepNeeded.
//
// superseded are those that are on the machine although one that replaces them is too, or comes. It is told of them
// when everything else is settled: what needs them has them.
func (r *relations) settleSupersedence() (superseded []int) {
	for i := range r.verdicts {
		if r.circular[i] && r.verdicts[i].Verb != VerbNone {
			v := &r.verdicts[i]
			v.Verb, v.Compliance, v.Reason, v.Hold, v.Until, v.closesAt = VerbHold, Conflict, ReasonPolicyConflict, "", time.Time{}, time.Time{}
			v.Detail = "updates replace each other in a circle"
		}
	}
	goes := func(i int) bool { return !r.circular[i] && r.asked[i].goesOn(r.verdicts[i]) }
	later := r.comes(func(i int) bool { return goes(i) || !r.circular[i] && r.verdicts[i].Verb == VerbStage })
	for old, newer := range r.replacedBy(func(i int) bool { return later.coming[i] || r.counts(i) })[:len(r.asked)] {
		if newer >= 0 && !r.circular[old] && r.asked[old].approval.offers() && r.verdicts[old].Compliance == Installed {
			superseded = append(superseded, old)
		}
	}
	by, _ := r.leftOut(goes)
	for old, newer := range by {
		v := &r.verdicts[old]
		if newer < 0 || v.Compliance == Installed {
			continue
		}
		v.Verb, v.Compliance, v.Reason, v.Hold, v.Until, v.closesAt = VerbNone, NotApplicable, ReasonDepOtherFirst, "", time.Time{}, time.Time{}
		v.Detail = "replaced by " + string(r.verdicts[newer].Update)
	}
	return superseded
}

// leftOut gives for every update of the plan the one for whose sake it is left out, -1 if there is none; and what comes if nothing
// were left out. goes says which are about to be installed.
func (r *relations) leftOut(goes func(int) bool) (by []int, all flow) {
	all = r.comes(goes)
	by = r.replacedBy(func(i int) bool { return all.coming[i] || r.counts(i) })
	for _, i := range r.keepNeeded(by, all, goes) {
		by[i] = -1
	}
	return r.onlyOffered(by), all
}

// onlyOffered: what contradicts itself, or is not to be installed, is not left out for another.
func (r *relations) onlyOffered(by []int) []int {
	by = by[:len(r.asked)]
	for i := range by {
		if r.circular[i] || !r.asked[i].approval.offers() {
			by[i] = -1
		}
	}
	return by
}

// leftOutForGood is leftOut without all that may be kept after all: which of several checkpoints serve depends on what is there by then.
func (r *relations) leftOutForGood(goes func(int) bool) (by []int, all flow) {
	all = r.comes(goes)
	by = r.replacedBy(func(i int) bool { return all.coming[i] })
	now, stuck := r.without(by, nil, all, goes)
	for i := range r.awaited(stuck, all, now) {
		by[i] = -1
	}
	return r.onlyOffered(by), all
}

// without is what comes if all that is replaced were left out but for kept, and what does not come for want of it.
func (r *relations) without(by, kept []int, all flow, goes func(int) bool) (f flow, stuck []int) {
	f = r.comes(func(i int) bool { return goes(i) && (by[i] < 0 || slices.Contains(kept, i)) })
	for i := range r.asked {
		if by[i] < 0 && all.coming[i] && !f.coming[i] {
			stuck = append(stuck, i)
		}
	}
	return f, stuck
}

// counts: it is on the machine and stays, so that nothing older is laid over it.
func (r *relations) counts(i int) bool {
	a := r.asked[i].approval.Action
	return !r.circular[i] && r.verdicts[i].Compliance == Installed && a != ActionRemove && a != ActionDecline
}

// keepNeeded lists those that are replaced, by by, and come all the same, since something that comes needs one of them before it: a
// cumulative update of today that can only be laid over the checkpoint of last year. Left out, the checkpoint would never come,
// and the newest would wait for it without end. One that is not needed, since the replacement can come without, is not kept.
// all is what comes if nothing were left out.
func (r *relations) keepNeeded(by []int, all flow, goes func(int) bool) (kept []int) {
	for {
		now, stuck := r.without(by, kept, all, goes)
		if len(stuck) == 0 {
			break
		}
		more := r.nextKept(stuck, by, all, now)
		if len(more) == 0 {
			break
		}
		kept = append(kept, more...)
	}
	for at := 0; at < len(kept); {
		fewer := slices.Delete(slices.Clone(kept), at, at+1)
		if _, stuck := r.without(by, fewer, all, goes); len(stuck) == 0 {
			kept = fewer
		} else {
			at++
		}
	}
	return kept
}

// nextKept finds, of what the stuck ones wait for, what is left out and could be installed at once: those that are named
// as a need; where none of those comes, the newest that replaces such a one.
func (r *relations) nextKept(stuck, by []int, all, now flow) []int {
	found := r.awaited(stuck, all, now)
	maps.DeleteFunc(found, func(n int, _ bool) bool {
		return by[n] < 0 || slices.ContainsFunc(r.needs[n], func(u int) bool { return !now.has(u) })
	})
	list := slices.Sorted(maps.Keys(found))
	if named := slices.DeleteFunc(slices.Clone(list), func(n int) bool { return !found[n] }); len(named) > 0 {
		return named
	}
	if len(list) == 0 {
		return nil
	}
	return []int{slices.MaxFunc(list, func(a, b int) int { return cmp.Compare(r.rank[a], r.rank[b]) })}
}

// awaited are those of the plan that could come and serve, step by step, what the stuck ones wait for; and whether they are named
// as a need, or replace such a one.
func (r *relations) awaited(stuck []int, all, now flow) map[int]bool {
	found := map[int]bool{}
	todo := slices.Clone(stuck)
	visit := func(n int, named bool) {
		if n >= len(r.asked) || !all.coming[n] {
			return
		}
		if _, seen := found[n]; !seen {
			todo = append(todo, n)
		}
		found[n] = found[n] || named
	}
	for len(todo) > 0 {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, n := range r.needs[i] {
			if now.has(n) {
				continue
			}
			visit(n, true)
			for m := range r.above(n) {
				visit(m, false)
			}
		}
	}
	return found
}
