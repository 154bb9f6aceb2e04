package policy

import (
	"slices"
	"time"
)

// settleSupersedence is the one rule that looks at other verdicts: of a chain in which one update
// replaces another, the newest that really applies on this machine is installed, the others are not.
// A replacement that is held, deferred, rolled back or not for this machine replaces nothing: else a bad new
// update, stopped by a hold, would keep the good old one away too. Updates that replace each other
// in a circle contradict each other; all of them hold. A checkpoint, which a newer update replaces and yet needs
// to be there before it, is not left out, see keepNeeded.
//
// superseded are those that are on the machine although one that replaces them is too, or comes. It is told of them
// when everything else is settled: what needs them has them.
func settleSupersedence(asked []question, verdicts []Verdict) (superseded []int) {
	c := newChain(asked)
	circular := c.circular()
	for i := range verdicts {
		if circular[i] && verdicts[i].Verb != VerbNone {
			v := &verdicts[i]
			v.Verb, v.Compliance, v.Reason, v.Hold, v.Until = VerbHold, Conflict, ReasonPolicyConflict, "", time.Time{}
			v.Detail = "updates replace each other in a circle"
		}
	}
	by := c.replacedBy(func(i int) bool {
		return !circular[i] && (asked[i].goesOn(verdicts[i]) || verdicts[i].Compliance == Installed)
	})
	for old, newer := range c.replacedBy(func(i int) bool {
		return !circular[i] && (asked[i].goesOn(verdicts[i]) || verdicts[i].Verb == VerbStage || verdicts[i].Compliance == Installed)
	}) {
		if newer >= 0 && !circular[old] && verdicts[old].Compliance == Installed {
			superseded = append(superseded, old)
		}
	}
	keepNeeded(asked, verdicts, by)
	for old, newer := range by {
		if newer < 0 || circular[old] || verdicts[old].Compliance == Installed {
			continue
		}
		v := &verdicts[old]
		v.Verb, v.Compliance, v.Reason, v.Hold, v.Until = VerbNone, NotApplicable, ReasonDepOtherFirst, "", time.Time{}
		v.Detail = "replaced by " + string(verdicts[newer].Update)
	}
	return superseded
}

// replaced: it is left out for one that replaces it.
func (v Verdict) replaced() bool {
	return v.Verb == VerbNone && v.Compliance == NotApplicable && v.Reason == ReasonDepOtherFirst
}

// keepNeeded takes back that an update is replaced where the one at the top of its chain needs it first and it is not
// there: a cumulative update of today that can only be laid over the checkpoint of last year. Left out, the checkpoint
// would never come, and the newest would wait for it without end. What others need is not kept: the replacement does.
func keepNeeded(asked []question, verdicts []Verdict, by []int) {
	o := newOrder(asked, verdicts)
	for top := range verdicts {
		if by[top] >= 0 || !asked[top].goesOn(verdicts[top]) {
			continue
		}
		seen := map[int]bool{top: true}
		for todo := []int{top}; len(todo) > 0; {
			i := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			for _, u := range o.needs(i) {
				at, here := o.place[u]
				if !here || o.satisfied(u) {
					continue
				}
				if by[at] == top {
					by[at] = -1
				} else if by[at] >= 0 {
					at = by[at] // comes in its place
				}
				if !seen[at] {
					seen[at] = true
					todo = append(todo, at)
				}
			}
		}
	}
}

// chain is who replaces whom among the updates that are approved for installation here, by their
// place in the plan. Updates not approved here have no place and replace nothing.
type chain struct {
	replaces [][]int
	replacer [][]int
}

func newChain(asked []question) chain {
	place := map[UpdateID]int{}
	for i, q := range asked {
		if q.approval.offers() {
			place[q.approval.Update] = i
		}
	}
	c := chain{replaces: make([][]int, len(asked)), replacer: make([][]int, len(asked))}
	for i, q := range asked {
		if !q.approval.offers() || q.desc == nil {
			continue
		}
		for _, u := range q.desc.Supersedes {
			if old, here := place[u]; here && old != i && !slices.Contains(c.replaces[i], old) {
				c.replaces[i] = append(c.replaces[i], old)
				c.replacer[old] = append(c.replacer[old], i)
			}
		}
	}
	return c
}

// circular finds the updates on a circle, or between two: what is left when those that nobody
// replaces, and then those that replace nobody, are taken away again and again.
func (c chain) circular() []bool {
	left := make([]bool, len(c.replaces))
	for i := range left {
		left[i] = true
	}
	peel := func(out, in [][]int) {
		open := make([]int, len(in))
		var ends []int
		for i := range in {
			for _, j := range in[i] {
				if left[j] {
					open[i]++
				}
			}
			if left[i] && open[i] == 0 {
				ends = append(ends, i)
			}
		}
		for len(ends) > 0 {
			i := ends[len(ends)-1]
			ends = ends[:len(ends)-1]
			left[i] = false
			for _, j := range out[i] {
				if open[j]--; left[j] && open[j] == 0 {
					ends = append(ends, j)
				}
			}
		}
	}
	peel(c.replaces, c.replacer)
	peel(c.replacer, c.replaces)
	return left
}

// replacedBy gives every update the active one at the top of its chain, -1 if none replaces it.
func (c chain) replacedBy(active func(int) bool) []int {
	by := make([]int, len(c.replaces))
	for i := range by {
		by[i] = -1
	}
	for top := range c.replaces {
		if !active(top) {
			continue
		}
		todo := []int{top}
		for len(todo) > 0 {
			i := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			for _, old := range c.replaces[i] {
				if by[old] < 0 {
					by[old] = top
					todo = append(todo, old)
				}
			}
		}
	}
	for i := range by { // a replacement that is itself replaced is not the one to name
		for by[i] >= 0 && by[by[i]] >= 0 && by[by[i]] != i {
			by[i] = by[by[i]]
		}
	}
	return by
}
