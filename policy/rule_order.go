package policy

import (
	"fmt"
	"slices"
	"time"
)

// settleOrder looks at other verdicts, after supersedence: an update waits for those that must be there
// before it (prerequisites; a checkpoint is one that later updates name), and one that must be installed alone goes
// alone, see settleExclusive. What waits is fetched meanwhile.
func settleOrder(asked []question, verdicts []Verdict) {
	o := newOrder(asked, verdicts)
	for i := range verdicts {
		if verdicts[i].Verb == VerbInstall && o.circular(i) {
			v := &verdicts[i]
			v.Verb, v.Compliance, v.Reason, v.Until, v.closesAt = VerbHold, Conflict, ReasonPolicyConflict, time.Time{}, time.Time{}
			v.Detail = "updates need each other in a circle"
		}
	}
	for i := range verdicts {
		if verdicts[i].Verb == VerbInstall {
			o.settleNeeds(i)
		}
	}
	o.settleExclusive()
}

// order is the updates of a plan by their place, and what each needs.
type order struct {
	asked    []question
	verdicts []Verdict
	place    map[UpdateID]int
}

func newOrder(asked []question, verdicts []Verdict) order {
	o := order{asked, verdicts, map[UpdateID]int{}}
	for i, v := range verdicts {
		o.place[v.Update] = i
	}
	return o
}

func (o order) needs(i int) []UpdateID {
	if d := o.asked[i].desc; d != nil && o.asked[i].approval.Action == ActionInstall {
		return d.Prerequisites
	}
	return nil
}

// satisfied: it is on the machine, or one that replaces it is.
func (o order) satisfied(u UpdateID) bool {
	if len(o.asked) == 0 {
		return false
	}
	if d, seen := o.asked[0].machine.Detected[u]; seen && d.Err == "" && d.Present {
		return true
	}
	return slices.ContainsFunc(o.verdicts, func(v Verdict) bool {
		d := o.asked[o.place[v.Update]].desc
		return v.Compliance == Installed && d != nil && slices.Contains(d.Supersedes, u)
	})
}

// circular: by needing and needing again one comes back to i. What is there already ends the way.
func (o order) circular(i int) bool {
	seen := map[int]bool{}
	todo := []int{i}
	for len(todo) > 0 {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, u := range o.needs(at) {
			next, here := o.place[u]
			if !here || o.satisfied(u) {
				continue
			}
			if next == i {
				return true
			}
			if !seen[next] {
				seen[next] = true
				todo = append(todo, next)
			}
		}
	}
	return false
}

// settleNeeds: one that is on its way is waited for; one that nobody has approved here is missing.
func (o order) settleNeeds(i int) {
	v := &o.verdicts[i]
	for _, u := range o.needs(i) {
		if o.asked[i].machine.AwaitsRestart(u) {
			v.Verb, v.Await, v.Until, v.closesAt = VerbStage, StateRestartNeededFirst, time.Time{}, time.Time{}
			v.Reason, v.Detail = ReasonRestartPending, fmt.Sprintf("%s must be complete before it, and that needs a restart", u)
			return
		}
		if o.satisfied(u) {
			continue
		}
		v.Verb, v.Await, v.Until, v.closesAt = VerbStage, StateWaitingPrerequisite, time.Time{}, time.Time{}
		if at, here := o.place[u]; here && o.asked[at].approval.Action == ActionInstall && o.verdicts[at].Verb != VerbNone {
			v.Reason, v.Detail = ReasonDepOtherFirst, fmt.Sprintf("%s must be installed before it", u)
			continue
		} else if here && o.verdicts[at].replaced() {
			v.Reason, v.Detail = ReasonDepOtherFirst, fmt.Sprintf("it needs %s, which is %s, and that must be installed before it", u, o.verdicts[at].Detail)
			continue
		}
		v.Reason, v.Detail = ReasonDepMissing, fmt.Sprintf("it needs %s, which is not approved for this machine", u)
		if at, here := o.place[u]; here && o.verdicts[at].Offered() {
			v.Detail = fmt.Sprintf("it needs %s, which waits for the user's word", u)
		}
		return
	}
}

// settleExclusive lets one update that must be alone go in a pass, with nothing else. What is to be removed goes
// before it: an exclusive one may need the room that it takes or the place that it holds, and a remedy must not wait for an
// install that may fail again and again. While a removal is due the exclusive one waits, and the others go on; then it
// goes before all other installs, unless it has just failed here: then it has its next turn when it is tried again. To remove an exclusive update holds back installs as well.
func (o order) settleExclusive() {
	exclusive := func(v Verdict) bool {
		d := o.asked[o.place[v.Update]].desc
		return d != nil && d.Exclusive == "yes"
	}
	removal := func(v Verdict) bool { return v.Verb == VerbRemove && v.Compliance == Installed }
	if at := slices.IndexFunc(o.verdicts, func(v Verdict) bool { return removal(v) && exclusive(v) }); at >= 0 {
		o.holdInstalls(at, ReasonExclusive, "%s must be removed alone, and goes first", func(Verdict) bool { return true })
	} else if at := slices.IndexFunc(o.verdicts, removal); at >= 0 {
		o.holdInstalls(at, ReasonDepOtherFirst, "it must be installed alone, and %s is removed first", exclusive)
	} else if at := slices.IndexFunc(o.verdicts, func(v Verdict) bool { return v.Verb == VerbInstall && exclusive(v) && !o.setBack(v) }); at >= 0 {
		o.holdInstalls(at, ReasonExclusive, "%s must be installed alone, and goes first", func(Verdict) bool { return true })
	}
}

func (o order) setBack(v Verdict) bool {
	now, _ := o.asked[o.place[v.Update]].setBack()
	return now
}

// holdInstalls has those installs wait that which says, but for the one at first, whose name goes into the detail.
func (o order) holdInstalls(first int, r Reason, detail string, which func(Verdict) bool) {
	for i := range o.verdicts {
		if v := &o.verdicts[i]; i != first && v.Verb == VerbInstall && which(*v) {
			v.Verb, v.Await, v.Reason, v.Until, v.closesAt = VerbStage, StateWaitingOtherInstall, r, time.Time{}, time.Time{}
			v.Detail = fmt.Sprintf(detail, o.verdicts[first].Update)
		}
	}
}
