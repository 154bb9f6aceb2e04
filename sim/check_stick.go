package sim

import "strconv"

// stickLine: only what a seed has published is written, and what somebody has changed on the way brings
// nothing: neither documents nor chunks.
func (c *Checker) stickLine(f fact) {
	m := c.machine(f)
	if m == nil {
		return
	}
	head, wrong := f.num("head"), f.num("wrong") == 1
	if !wrong && c.sets[head] == nil {
		c.fault(m.id, "stick", "head %d goes by stick, which no seed has published", head)
	}
	if f.str("way") == "in" {
		m.stick = !wrong
	} else if head > m.head && m.head != 0 {
		c.fault(m.id, "stick", "writes head %d and has adopted %d", head, m.head)
	}
}

// finishCarried judges the machines of sites that nothing but sticks and carried machines reach: how many of
// them may lack something at the end is for the scenario to say.
func (c *Checker) finishCarried(open map[string]bool) {
	s, ok := c.expects["carried"]
	if !ok {
		return
	}
	lacking := 0
	var first, why string
	for _, id := range c.order {
		m := c.machines[id]
		if m.seed || !m.up || m.lies != "-" || c.newest.revoked[id] || open[m.site] {
			continue
		}
		if lack := c.lacks(m); lack != "" {
			if lacking++; lacking == 1 {
				first, why = id, lack
			}
		}
	}
	if most, err := strconv.Atoi(s); err != nil || lacking > most {
		c.fault(first, "carried", "%d machines of sites without a line did not get there; the first %s", lacking, why)
	}
}
