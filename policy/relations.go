package policy

import "slices"

// relations is how the updates of a plan hang together: what each replaces and what it needs. A node is an update: those of
// the plan by their place in it, then those that they only name. That one replaces another is a fact of its content, and goes on
// through one between them that is declined here.
//
// Where updates replace each other in a circle nobody can say which is the newer: of such none replaces another.
type relations struct {
	asked    []question
	verdicts []Verdict
	names    []UpdateID
	node     map[UpdateID]int
	older    [][]int // what each replaces, directly
	newer    [][]int
	needs    [][]int
	rank     []int  // higher than that of all that it replaces; the same for all of a circle
	circular []bool // by approvals to install it is on a circle of such
	there    []bool // it is on the machine, or one that replaces it
}

func newRelations(asked []question, verdicts []Verdict) *relations {
	r := &relations{asked: asked, verdicts: verdicts, node: map[UpdateID]int{}}
	for _, v := range verdicts {
		r.add(v.Update)
	}
	offered := make([][]int, len(asked))
	for i, q := range asked {
		if q.desc == nil {
			continue
		}
		for _, u := range q.desc.Supersedes {
			if old := r.add(u); old != i && !slices.Contains(r.older[i], old) {
				r.older[i], r.newer[old] = append(r.older[i], old), append(r.newer[old], i)
				if old < len(asked) && q.approval.offers() && asked[old].approval.offers() {
					offered[i] = append(offered[i], old)
				}
			}
		}
		if q.approval.Action == ActionInstall {
			for _, u := range q.desc.Prerequisites {
				n := r.add(u)
				r.needs[i] = append(r.needs[i], n)
			}
		}
	}
	r.rank, _ = ranks(r.older)
	_, r.circular = ranks(offered)
	f := flow{rel: r, giver: slices.Repeat([]int{nobody}, len(r.names)), passed: make([]bool, len(r.names))}
	for n, u := range r.names {
		if len(asked) > 0 {
			if d, seen := asked[0].machine.Detected[u]; seen && d.Present && d.Err == "" {
				f.give(n, nil)
			}
		}
	}
	r.there = make([]bool, len(r.names))
	for n := range r.there {
		r.there[n] = f.has(n)
	}
	return r
}

// add finds the node of an update, or makes it.
func (r *relations) add(u UpdateID) int {
	n, known := r.node[u]
	if !known {
		n = len(r.names)
		r.node[u], r.names = n, append(r.names, u)
		r.older, r.newer, r.needs = append(r.older, nil), append(r.newer, nil), append(r.needs, nil)
	}
	return n
}

// ranks gives every node of a graph a number that is higher than that of any node that can be reached from it, but for those
// from which it can be reached too: these have the same, and are circular. It is Tarjan's algorithm.
func ranks(to [][]int) (rank []int, circular []bool) {
	rank, circular = slices.Repeat([]int{-1}, len(to)), make([]bool, len(to))
	met, low := make([]int, len(to)), make([]int, len(to))
	var path []int
	count, next := 0, 0
	var visit func(n int)
	visit = func(n int) {
		count++
		met[n], low[n] = count, count
		path = append(path, n)
		for _, m := range to[n] {
			if met[m] == 0 {
				visit(m)
				low[n] = min(low[n], low[m])
			} else if rank[m] < 0 {
				low[n] = min(low[n], met[m])
			}
		}
		if low[n] != met[n] {
			return
		}
		at := slices.Index(path, n)
		for _, m := range path[at:] {
			rank[m], circular[m] = next, len(path)-at > 1
		}
		path = path[:at]
		next++
	}
	for n := range to {
		if met[n] == 0 {
			visit(n)
		}
	}
	return rank, circular
}

// above lists what replaces a node, directly or by way of others.
func (r *relations) above(n int) (list []int) {
	seen := map[int]bool{n: true}
	for todo := []int{n}; len(todo) > 0; {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, m := range r.newer[at] {
			if !seen[m] {
				seen[m] = true
				todo = append(todo, m)
				if r.rank[m] != r.rank[n] {
					list = append(list, m)
				}
			}
		}
	}
	return list
}

// replacedBy gives every node the active one at the top of its chain, -1 if none replaces it.
func (r *relations) replacedBy(active func(int) bool) []int {
	ranked := make([][]int, len(r.names))
	for n, k := range r.rank {
		ranked[k] = append(ranked[k], n)
	}
	over, by := slices.Repeat([]int{-1}, len(r.names)), make([]int, len(r.names))
	for k := len(ranked) - 1; k >= 0; k-- { // the newest first
		top := over[k]
		for _, n := range ranked[k] {
			by[n] = over[k]
			if top < 0 && n < len(r.asked) && active(n) {
				top = n
			}
		}
		if top < 0 {
			continue
		}
		for _, n := range ranked[k] {
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

// comes lets those come that may.
func (r *relations) comes(may func(int) bool) flow {
	f := flow{rel: r, coming: make([]bool, len(r.asked)), giver: make([]int, len(r.names)), passed: make([]bool, len(r.names))}
	for n, u := range r.names {
		f.giver[n] = nobody
		if r.there[n] || r.asked[0].machine.AwaitsRestart(u) { // brought in, and complete with the restart
			f.giver[n] = here
		}
	}
	open, waits := make([]int, len(r.asked)), make([][]int, len(r.names))
	var ready []int
	for i := range r.asked {
		if !may(i) {
			continue
		}
		for _, n := range r.needs[i] {
			if !f.has(n) {
				open[i]++
				waits[n] = append(waits[n], i)
			}
		}
		if open[i] == 0 {
			ready = append(ready, i)
		}
	}
	for len(ready) > 0 {
		i := ready[0]
		ready = ready[1:]
		f.coming[i] = true
		f.give(i, func(n int) {
			for _, j := range waits[n] {
				if open[j]--; open[j] == 0 {
					ready = append(ready, j)
				}
			}
		})
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
	circle := map[int]bool{} // of from: it does not have these, and another that is above them would
	for todo := []int{from}; len(todo) > 0; {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if f.passed[n] || circle[n] {
			continue
		}
		if f.rel.rank[n] == f.rel.rank[from] {
			circle[n] = true
		} else {
			f.passed[n] = true
		}
		for _, old := range f.rel.older[n] {
			if f.rel.rank[old] != f.rel.rank[from] {
				has(old)
			}
			todo = append(todo, old)
		}
	}
}
