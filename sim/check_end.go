package sim

import (
	"maps"
	"slices"
	"sort"
	"strconv"
	"time"
)

// Finish gives what was found, after the last line.
func (c *Checker) Finish() []Violation {
	if !c.ended {
		c.fault("", "trace", "it does not end")
	}
	c.finishMachines()
	c.finishSites()
	if c.stored > 0 {
		c.within("duplicates", "", float64(c.duplicate)/float64(c.stored))
	}
	if s, ok := c.expects["settle"]; ok && c.quietAt >= 0 {
		most, err := parseTime(s)
		last := c.quietAt
		for _, id := range c.order {
			last = max(last, c.machines[id].doneAt)
		}
		if took := float64(last - c.quietAt); err != nil || took > most {
			c.fault("", "settle", "took %v after the last fault, at most %s", time.Duration(took), s)
		}
	}
	if s, ok := c.expects["within"]; ok {
		most, err := parseTime(s)
		for _, id := range c.order {
			if m := c.machines[id]; err != nil || m.doneAt > int64(most) {
				c.fault(id, "within", "done after %v, at most %s", time.Duration(m.doneAt), s)
				break
			}
		}
	}
	return c.violations
}

// within judges a number by what the scenario expects of it.
func (c *Checker) within(what, machine string, got float64) {
	s, ok := c.expects[what]
	if !ok {
		return
	}
	most, err := strconv.ParseFloat(s, 64)
	if err != nil || got > most {
		c.fault(machine, what, "is %.4f, at most %s", got, s)
	}
}

func (c *Checker) finishSites() {
	names := make([]string, 0, len(c.sites))
	for name := range c.sites {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		s := c.sites[name]
		c.finishBytes(name, s)
		for _, u := range slices.Sorted(maps.Keys(s.held)) {
			if s.held[u] > maxHolders && c.now-s.over[u] > holdersSoon {
				c.fault("", "lease", "%d machines of %s hold the lease of %s", s.held[u], name, u)
			}
		}
	}
}

// finishMachines: whoever could converge did. A machine could that is on, honest, not locked out, and
// in a site with a way to the seed.
func (c *Checker) finishMachines() {
	if c.newest == nil {
		return
	}
	open := map[string]bool{}
	for _, m := range c.machines {
		if m.up && m.egress && m.lies == "-" && !c.newest.revoked[m.id] || m.seed {
			open[m.site] = true
		}
	}
	c.finishCarried(open)
	c.finishHolds()
	lacking := 0
	var first, why string
	for _, id := range c.order {
		m := c.machines[id]
		if m.seed || !m.up || m.lies != "-" || c.newest.revoked[id] || !open[m.site] {
			continue
		}
		if lack := c.lacks(m); lack != "" {
			if lacking++; lacking == 1 {
				first, why = id, lack
			}
		} else if u := slices.Sorted(mapKeys(m.claims)); len(u) > 0 {
			c.fault(id, "lease", "still holds the lease of %v at the end", u)
		}
	}
	if lacking > 0 {
		if allowed, err := strconv.Atoi(c.expects["unfinished"]); err != nil || lacking > allowed {
			c.fault(first, "converge", "%d machines did not get there; the first %s", lacking, why)
		}
	}
}

func mapKeys(m map[string]bool) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}
