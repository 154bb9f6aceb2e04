package sim

import (
	"slices"
	"strings"
)

// checkedOrch lets so many of its members install at once.
type checkedOrch struct {
	id      string
	slots   int64
	members []string
}

func (c *Checker) orchestrationLine(f fact) {
	if s := c.sets[f.num("head")]; s != nil {
		s.orchs = append(s.orchs, checkedOrch{f.str("id"), f.num("slots"), strings.Split(f.str("members"), ",")})
	}
}

// turns judges an installation that begins: with it, no more than so many members that know of the orchestration are
// at work, in whatever parts the site may be.
func (c *Checker) turns(m *checked) {
	if m.knows == nil {
		return
	}
	for _, o := range m.knows.orchs {
		if !slices.Contains(o.members, m.id) {
			continue
		}
		busy := int64(1)
		for _, id := range o.members {
			x := c.machines[id]
			if x != nil && x != m && x.installing != "" && x.knows != nil && slices.ContainsFunc(x.knows.orchs, func(y checkedOrch) bool { return y.id == o.id }) {
				busy++
			}
		}
		if busy > o.slots {
			c.fault(m.id, "orchestration", "%d members of %s install at once, %d may", busy, o.id, o.slots)
		}
	}
}
