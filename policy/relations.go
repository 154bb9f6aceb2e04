package policy

import "slices"

// relations is how the updates of a plan hang together: what each replaces and what it needs. Its nodes are the updates of
// the plan by their place in it, then those that they only name.
type relations struct {
	chains
	asked    []question
	verdicts []Verdict
	needs    [][]int
	neededBy [][]int
	circular []bool // by approvals to install it is on a circle of such
	there    []bool // it is on the machine, or one that replaces it
	giver    []int  // of each node, before anything comes, see flow
}

// newRelations: known finds the descriptor of an update that is only named, nil if there is none.
func newRelations(asked []question, verdicts []Verdict, known func(UpdateID) *Descriptor) *relations {
	r := &relations{asked: asked, verdicts: verdicts, needs: make([][]int, len(asked))}
	r.grow(len(verdicts))
	for i := range verdicts {
		r.add(verdicts[i].Update)
	}
	for i := range asked {
		q := &asked[i]
		if q.desc == nil {
			continue
		}
		r.replaces(i, q.desc)
		if q.approval.Action == ActionInstall {
			for _, u := range q.desc.Prerequisites {
				r.needs[i] = append(r.needs[i], r.add(u))
			}
		}
	}
	r.complete(len(asked), known)
	r.needs = append(r.needs, make([][]int, len(r.names)-len(asked))...)
	r.neededBy = make([][]int, len(r.names))
	for i, needs := range r.needs {
		for _, n := range needs {
			r.neededBy[n] = append(r.neededBy[n], i)
		}
	}
	offered := make([][]int, len(asked))
	for i := range asked {
		q := &asked[i]
		for _, old := range r.older[i] {
			if old < len(asked) && q.approval.offers() && asked[old].approval.offers() {
				offered[i] = append(offered[i], old)
			}
		}
	}
	_, r.circular = ranks(offered)
	r.lookThere()
	return r
}

// lookThere finds what is on the machine.
func (r *relations) lookThere() {
	f := flow{rel: r, giver: slices.Repeat([]int{nobody}, len(r.names)), passed: make([]bool, len(r.names))}
	for n, u := range r.names {
		if len(r.asked) > 0 {
			if d, seen := r.asked[0].machine.Detected[u]; seen && d.Present && d.Err == "" {
				f.give(n, nil)
			}
		}
	}
	r.there, r.giver = make([]bool, len(r.names)), slices.Repeat([]int{nobody}, len(r.names))
	for n, u := range r.names {
		if r.there[n] = f.has(n); r.there[n] || r.asked[0].machine.AwaitsRestart(u) { // brought in, and complete with the restart
			r.giver[n] = here
		}
	}
}

// replacedBy gives every node the active one at the top of its chain, -1 if none replaces it.
func (r *relations) replacedBy(active func(int) bool) []int {
	over, by := slices.Repeat([]int{-1}, len(r.names)), make([]int, len(r.names))
	for k, nodes := range slices.Backward(r.ranks) { // the newest first
		top := over[k]
		for _, n := range nodes {
			by[n] = over[k]
			if top < 0 && n < len(r.asked) && active(n) {
				top = n
			}
		}
		if top < 0 {
			continue
		}
		for _, n := range nodes {
			for _, old := range r.older[n] {
				if o := &over[r.rank[old]]; r.rank[old] != k && (*o < 0 || top < *o) {
					*o = top
				}
			}
		}
	}
	return by
}

// flow is what comes to the machine: the least set in which each has all that it needs, because it is there or comes itself, or
// one that replaces it does. What waits for something that never comes, or in a circle, is not in it.
type flow struct {
	rel    *relations
	coming []bool // by place in the plan
	giver  []int  // of each node: whose coming brings it; it waits for nothing that needs the node. here, nobody
	passed []bool
}

const (
	nobody = -1
	here   = -2
)

func (f *flow) has(n int) bool { return f.giver[n] != nobody }

// comes lets those come that may. It is asked many times for one plan.
func (r *relations) comes(may func(int) bool) flow {
	f := flow{rel: r, coming: make([]bool, len(r.asked)), giver: slices.Clone(r.giver), passed: make([]bool, len(r.names))}
	open := make([]int, len(r.asked)) // what each still waits for; never 0 of one that may not come
	var ready []int
	for i := range r.asked {
		if !may(i) {
			open[i] = -1
			continue
		}
		for _, n := range r.needs[i] {
			if !f.has(n) {
				open[i]++
			}
		}
		if open[i] == 0 {
			ready = append(ready, i)
		}
	}
	had := func(n int) {
		for _, j := range r.neededBy[n] {
			if open[j]--; open[j] == 0 {
				ready = append(ready, j)
			}
		}
	}
	for ; len(ready) > 0; ready = ready[1:] {
		f.coming[ready[0]] = true
		f.give(ready[0], had)
	}
	return f
}

// give notes that a node and all that it replaces is had from now on, and calls found with each of which that is new.
func (f *flow) give(from int, found func(int)) {
	has := func(n int) {
		if f.giver[n] == nobody {
			f.giver[n] = from
			if found != nil {
				found(n)
			}
		}
	}
	has(from)
	f.rel.walk(from, f.rel.older, f.passed, has)
}
