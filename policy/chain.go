package policy

import (
	"iter"
	"slices"

	"patchmesh/content"
)

// chains is which updates replace which, by what their descriptors say. A node is an update. That one replaces another is a fact of
// its content: it goes on through one between them that is declined, held or for other machines.
//
// Where updates replace each other in a circle nobody can say which is the newer: of such none replaces another.
type chains struct {
	names []UpdateID
	node  map[UpdateID]int
	older [][]int // what each replaces, directly
	newer [][]int
	rank  []int   // higher than that of all that it replaces; the same for all of a circle
	alone []bool  // on no circle
	ranks [][]int // the nodes of each rank
}

// add finds the node of an update, or makes it.
func (c *chains) add(u UpdateID) int {
	n, known := c.node[u]
	if !known {
		if c.node == nil {
			c.node = map[UpdateID]int{}
		}
		n = len(c.names)
		c.node[u], c.names = n, append(c.names, u)
		c.older, c.newer = append(c.older, nil), append(c.newer, nil)
	}
	return n
}

// grow makes room for so many nodes.
func (c *chains) grow(n int) {
	c.node, c.names = make(map[UpdateID]int, n), make([]UpdateID, 0, n)
	c.older, c.newer = make([][]int, 0, n), make([][]int, 0, n)
}

// replaces notes what a descriptor says that the update of a node replaces.
func (c *chains) replaces(n int, d *Descriptor) {
	for _, u := range d.Supersedes {
		if old := c.add(u); old != n && !slices.Contains(c.older[n], old) {
			c.older[n], c.newer[old] = append(c.older[n], old), append(c.newer[old], n)
		}
	}
}

// complete notes what is known of updates that were only named so far, and of what those name. Nothing is added after that.
func (c *chains) complete(from int, known func(UpdateID) *Descriptor) {
	for n := from; n < len(c.names); n++ {
		if d := known(c.names[n]); d != nil {
			c.replaces(n, d)
		}
	}
	var circular []bool
	c.rank, circular = ranks(c.older)
	c.alone, c.ranks = make([]bool, len(circular)), make([][]int, len(circular))
	for n, k := range c.rank {
		c.alone[n], c.ranks[k] = !circular[n], append(c.ranks[k], n)
	}
}

// above yields what replaces a node, directly or by way of others, the nearest first.
func (c *chains) above(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		seen := map[int]bool{n: true}
		for todo := []int{n}; len(todo) > 0; todo = todo[1:] {
			for _, m := range c.newer[todo[0]] {
				if seen[m] {
					continue
				}
				seen[m] = true
				todo = append(todo, m)
				if c.rank[m] != c.rank[n] && !yield(m) {
					return
				}
			}
		}
	}
}

// walk calls found, once at least, with every node that edges (older, newer) lead to from one, but for those of its own circle. What
// earlier calls have passed is not walked again.
func (c *chains) walk(from int, edges [][]int, passed []bool, found func(int)) {
	var circle map[int]bool // of from: a walk that begins outside of it is still to find these
	for todo := []int{from}; len(todo) > 0; {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if passed[n] || circle[n] {
			continue
		}
		if c.rank[n] == c.rank[from] && !c.alone[n] {
			if circle == nil {
				circle = map[int]bool{}
			}
			circle[n] = true
		} else {
			passed[n] = true
		}
		for _, m := range edges[n] {
			if c.rank[m] != c.rank[from] {
				found(m)
			}
			todo = append(todo, m)
		}
	}
}

// fromAbove gives every node, merged, what own gives for those that replace it; the zero value where there are none. Of long chains
// it asks for each node once, which to go along above for each does not.
func fromAbove[T any](c *chains, own func(int) T, merge func(T, T) T) []T {
	over, out := make([]T, len(c.ranks)), make([]T, len(c.names)) // over: by rank
	for k, nodes := range slices.Backward(c.ranks) {              // the newest first
		with := over[k]
		for _, n := range nodes {
			out[n], with = over[k], merge(with, own(n))
		}
		for _, n := range nodes {
			for _, old := range c.older[n] {
				if r := c.rank[old]; r != k {
					over[r] = merge(over[r], with)
				}
			}
		}
	}
	return out
}

// replacedBySuch says of every node whether one that is so replaces it.
func (c *chains) replacedBySuch(is func(UpdateID) bool) []bool {
	return fromAbove(c, func(n int) bool { return is(c.names[n]) }, func(a, b bool) bool { return a || b })
}

// replacedForAll asks whether one that is so replaces an update wherever that is for: what is for one processor architecture
// replaces nothing on the machines of another.
func (c *chains) replacedForAll(desc func(UpdateID) *Descriptor, is func(UpdateID) bool) func(UpdateID) bool {
	on := map[string][]bool{}
	return func(u UpdateID) bool {
		arch := byArch(on, desc(u), func(arch string) []bool {
			return c.replacedBySuch(func(n UpdateID) bool { return is(n) && desc(n).forArch(arch) })
		})
		return on[arch][c.node[u]]
	}
}

// mostArchs bounds the architectures that are looked at apart. What is for further ones is replaced by what is for all.
const mostArchs = 8

// byArch is where the answer for an update is, found if it is not there yet: that of its architecture, or of "", one that nobody names,
// if it is for all. d may be nil.
func byArch[T any](on map[string]T, d *Descriptor, find func(arch string) T) (arch string) {
	if d != nil && !d.forArch("") {
		arch = d.Arch
	}
	if _, known := on[arch]; !known && len(on) >= mostArchs {
		arch = ""
	}
	if _, known := on[arch]; !known {
		on[arch] = find(arch)
	}
	return arch
}

// decided finds the descriptor of an update that somebody whose word counts has decided about, whatever for which machines and what
// they decided: the newest one. What is only listed says nothing: nobody has thought of what hangs on it.
func (m *Manifest) decided(describe func(content.ID) *Descriptor, counts func(Approval) bool) func(UpdateID) *Descriptor {
	var newest map[UpdateID]Approval
	return func(u UpdateID) *Descriptor {
		if newest == nil { // rarely asked for
			newest = m.newestDecided(counts)
		}
		if a, is := newest[u]; is {
			return describe(a.Descriptor)
		}
		return nil
	}
}

func (m *Manifest) newestDecided(counts func(Approval) bool) map[UpdateID]Approval {
	newest := map[UpdateID]Approval{}
	for _, a := range m.Approvals {
		if was, seen := newest[a.Update]; !a.Listed() && counts(a) && (!seen || was.Revision < a.Revision) {
			newest[a.Update] = a
		}
	}
	return newest
}

// byMain: a delegated role has no say on what replaces what on machines that are not its own.
func byMain(a Approval) bool { return a.role == "" }

// Between lists the approvals for other machines whose descriptors tell how the chains of a plan go on, for who keeps but those of
// its own: without them it would take a chain to end there. It knows of those that hang on descriptors at hand; ask again when more
// of them are.
func (m *Manifest) Between(p Plan, describe func(content.ID) *Descriptor) (out []Approval) {
	seen := map[UpdateID]bool{}
	var todo []*Descriptor
	for _, v := range p.Verdicts {
		seen[v.Update] = seen[v.Update] || !v.Listed
		if d := describe(v.Descriptor); d != nil && !v.Listed {
			todo = append(todo, d)
		}
	}
	newest := m.newestDecided(byMain)
	for ; len(todo) > 0; todo = todo[1:] {
		for _, u := range todo[0].Supersedes {
			a, is := newest[u]
			if seen[u] || !is {
				continue
			}
			seen[u], out = true, append(out, a)
			if d := describe(a.Descriptor); d != nil {
				todo = append(todo, d)
			}
		}
	}
	return out
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
