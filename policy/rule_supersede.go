package policy

import (
	"cmp"
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
	goes := func(i int) bool { return !r.circular[i] && r.asked[i].goesOn(&r.verdicts[i]) }
	later := r.comes(func(i int) bool { return goes(i) || !r.circular[i] && r.verdicts[i].Verb == VerbStage })
	for old, newer := range r.replacedBy(func(i int) bool { return later.coming[i] || r.counts(i) })[:len(r.asked)] {
		if newer >= 0 && !r.circular[old] && r.asked[old].approval.offers() && r.verdicts[old].Compliance == Installed {
			superseded = append(superseded, old)
		}
	}
	for old, newer := range r.leftOut(goes) {
		v := &r.verdicts[old]
		if newer < 0 || v.Compliance == Installed {
			continue
		}
		v.Verb, v.Compliance, v.Reason, v.Hold, v.Until, v.closesAt = VerbNone, NotApplicable, ReasonDepOtherFirst, "", time.Time{}, time.Time{}
		v.Detail = "replaced by " + string(r.verdicts[newer].Update)
	}
	return superseded
}

// leftOut gives for every update of the plan the one for whose sake it is left out, -1 if there is none. goes says which are about to
// be installed.
func (r *relations) leftOut(goes func(int) bool) []int {
	all := r.comes(goes)
	by := r.replacedBy(func(i int) bool { return all.coming[i] || r.counts(i) })
	for _, i := range r.keepNeeded(by, all) {
		by[i] = -1
	}
	return r.onlyOffered(by)
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

// leftOutForGood is leftOut without all that may be kept after all: which of several checkpoints serve depends on what is there by
// then; and what comes if nothing were left out.
func (r *relations) leftOutForGood(goes func(int) bool) (by []int, all flow) {
	all = r.comes(goes)
	by = r.replacedBy(func(i int) bool { return all.coming[i] })
	now, stuck := r.without(by, make([]bool, len(r.asked)), all)
	awaited, _ := r.awaited(stuck, all, now)
	for i, is := range awaited {
		if is {
			by[i] = -1
		}
	}
	return r.onlyOffered(by), all
}

// without is what comes if all that is replaced were left out but for kept, and what does not come for want of it.
func (r *relations) without(by []int, kept []bool, all flow) (f flow, stuck []int) {
	f = r.comes(func(i int) bool { return all.coming[i] && (by[i] < 0 || kept[i]) })
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
func (r *relations) keepNeeded(by []int, all flow) (kept []int) {
	is := make([]bool, len(r.asked))
	for {
		now, stuck := r.without(by, is, all)
		if len(stuck) == 0 {
			break
		}
		more := r.nextKept(stuck, by, all, now)
		if len(more) == 0 {
			break
		}
		for _, i := range more {
			is[i] = true
		}
		kept = append(kept, more...)
	}
	return slices.DeleteFunc(kept, func(i int) bool {
		is[i] = false
		_, stuck := r.without(by, is, all)
		is[i] = len(stuck) > 0
		return !is[i]
	})
}

// nextKept finds, of what the stuck ones wait for, what is left out and could be installed at once: those that are named
// as a need; where none of those comes, the newest that replaces such a one.
func (r *relations) nextKept(stuck, by []int, all, now flow) []int {
	var list, named []int
	awaited, needed := r.awaited(stuck, all, now)
	for n, is := range awaited {
		if !is || by[n] < 0 || slices.ContainsFunc(r.needs[n], func(u int) bool { return !now.has(u) }) {
			continue
		}
		list = append(list, n)
		if needed[n] {
			named = append(named, n)
		}
	}
	if len(named) > 0 || len(list) == 0 {
		return named
	}
	return []int{slices.MaxFunc(list, func(a, b int) int { return cmp.Compare(r.rank[a], r.rank[b]) })}
}

// awaited says of those of the plan whether they could come and serve, step by step, what the stuck ones wait for; and whether they
// are named as a need, or merely replace such a one.
func (r *relations) awaited(stuck []int, all, now flow) (is, named []bool) {
	is, named = make([]bool, len(r.asked)), make([]bool, len(r.asked))
	passed, todo := make([]bool, len(r.names)), slices.Clone(stuck)
	visit := func(n int) {
		if n < len(r.asked) && all.coming[n] && !is[n] {
			is[n] = true
			todo = append(todo, n)
		}
	}
	for len(todo) > 0 {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, n := range r.needs[i] {
			if now.has(n) {
				continue
			}
			if visit(n); n < len(r.asked) {
				named[n] = named[n] || is[n]
			}
			r.walk(n, r.newer, passed, visit)
		}
	}
	return is, named
}
