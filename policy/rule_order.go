package policy

import (
	"fmt"
	"time"
)

// settleOrder looks at other verdicts, after supersedence: an update waits for those that must be there
// before it (prerequisites; a checkpoint is one that later updates name), and one that must be installed alone goes
// alone, see settleExclusive. What waits is fetched meanwhile.
func (r *relations) settleOrder() {
	f := r.comes(func(i int) bool { return r.asked[i].goesOn(&r.verdicts[i]) })
	for i := range r.verdicts {
		if r.verdicts[i].Verb == VerbInstall && !f.coming[i] && r.needsItself(i) {
			v := &r.verdicts[i]
			v.Verb, v.Compliance, v.Reason, v.Until, v.closesAt = VerbHold, Conflict, ReasonPolicyConflict, time.Time{}, time.Time{}
			v.Detail = "updates need each other in a circle"
		}
	}
	for i := range r.verdicts {
		if r.verdicts[i].Verb == VerbInstall {
			r.settleNeeds(i, f)
		}
	}
	r.settleExclusive()
}

// needsItself: by needing and needing again one comes back to i. What is there already ends the way.
func (r *relations) needsItself(i int) bool {
	seen := map[int]bool{}
	todo := []int{i}
	for len(todo) > 0 {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, n := range r.needs[at] {
			if r.there[n] {
				continue
			}
			if n == i {
				return true
			}
			if !seen[n] {
				seen[n] = true
				todo = append(todo, n)
			}
		}
	}
	return false
}

// settleNeeds: one that is on its way is waited for; one that nobody has approved here is missing.
func (r *relations) settleNeeds(i int, f flow) {
	v := &r.verdicts[i]
	for _, n := range r.needs[i] {
		u := r.names[n]
		if r.asked[i].machine.AwaitsRestart(u) {
			v.Verb, v.Await, v.Until, v.closesAt = VerbStage, StateRestartNeededFirst, time.Time{}, time.Time{}
			v.Reason, v.Detail = ReasonRestartPending, fmt.Sprintf("%s must be complete before it, and that needs a restart", u)
			return
		}
		if r.there[n] {
			continue
		}
		v.Verb, v.Await, v.Until, v.closesAt = VerbStage, StateWaitingPrerequisite, time.Time{}, time.Time{}
		approved := n < len(r.asked)
		if by := f.giver[n]; by >= 0 && by != n {
			v.Reason, v.Detail = ReasonDepOtherFirst, fmt.Sprintf("it needs %s, which is replaced by %s, and that must be installed before it", u, r.names[by])
			continue
		} else if approved && r.asked[n].approval.Action == ActionInstall && r.verdicts[n].Verb != VerbNone {
			v.Reason, v.Detail = ReasonDepOtherFirst, fmt.Sprintf("%s must be installed before it", u)
			continue
		}
		v.Reason, v.Detail = ReasonDepMissing, fmt.Sprintf("it needs %s, which is not approved for this machine", u)
		if approved && r.verdicts[n].Offered() {
			v.Detail = fmt.Sprintf("it needs %s, which waits for the user's word", u)
		}
		return
	}
}

// settleExclusive lets one update that must be alone go in a pass, with nothing else. What is to be removed goes
// before it: an exclusive one may need the room that it takes or the place that it holds, and a remedy must not wait for an
// install that may fail again and again. While a removal is due the exclusive one waits, and the others go on; then it
// goes before all other installs. To remove an exclusive update holds back installs as well. None is waited for that has just failed
// here, until it is tried again, nor one that could not begin (Machine.Unready): content that nobody holds any more would
// keep the machine open for good. It has its turn as soon as it can begin.
func (r *relations) settleExclusive() {
	exclusive := func(i int) bool { return r.asked[i].desc != nil && r.asked[i].desc.Exclusive == "yes" }
	removal := func(i int) bool {
		return r.verdicts[i].Verb == VerbRemove && r.verdicts[i].Compliance == Installed && r.couldBegin(i)
	}
	all := func(int) bool { return true }
	if at := r.first(func(i int) bool { return removal(i) && exclusive(i) }); at >= 0 {
		r.holdInstalls(at, ReasonExclusive, "%s must be removed alone, and goes first", all)
	} else if at := r.first(removal); at >= 0 {
		r.holdInstalls(at, ReasonDepOtherFirst, "it must be installed alone, and %s is removed first", exclusive)
	} else if at := r.first(func(i int) bool { return r.verdicts[i].Verb == VerbInstall && exclusive(i) && r.couldBegin(i) }); at >= 0 {
		r.holdInstalls(at, ReasonExclusive, "%s must be installed alone, and goes first", all)
	}
}

// first is the first of the plan that is so; -1: none.
func (r *relations) first(is func(int) bool) int {
	for i := range r.verdicts {
		if is(i) {
			return i
		}
	}
	return -1
}

// couldBegin: nothing but the plan itself keeps it from being done now.
func (r *relations) couldBegin(i int) bool {
	back, _ := r.asked[i].setBack()
	return !back && !r.asked[i].notOrdered() && !r.asked[i].machine.Unready[r.asked[i].approval.Descriptor]
}

// holdInstalls has those installs wait that which says, but for the one at first, whose name goes into the detail.
func (r *relations) holdInstalls(first int, why Reason, detail string, which func(int) bool) {
	for i := range r.verdicts {
		if v := &r.verdicts[i]; i != first && v.Verb == VerbInstall && which(i) {
			v.Verb, v.Await, v.Reason, v.Until, v.closesAt = VerbStage, StateWaitingOtherInstall, why, time.Time{}, time.Time{}
			v.Detail = fmt.Sprintf(detail, r.verdicts[first].Update)
		}
	}
}
