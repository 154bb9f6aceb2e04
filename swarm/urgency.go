package swarm

import (
	"slices"
	"time"
)

// Urgency has two classes. In the foreground is what the approvers have expedited or what is close to its
// deadline; all else is background. It is decided by policy (policy.Verdict.Urgent, policy.Approval.Urgent)
// and used here: the nearer deadline goes first within a class, what is urgent goes first where machines
// choose, and does not yield to other traffic. The site's WAN budget binds it like all else, unless the approval says
// otherwise (policy.Approval.OverBudget).
//
// A machine that fetches for its neighbours only has no verdict of its own about the update, so all
// approvals of the manifest count, whomever they address.

// markUrgent finds out which payloads are urgent now, and when that changes by itself.
func (c *Core) markUrgent() {
	c.tasks.urgentAt = time.Time{}
	for _, l := range c.payloads {
		l.urgent, l.overBudget, l.deadline = false, false, time.Time{}
	}
	for _, v := range c.tasks.plan.Verdicts {
		if d := c.describe(v.Descriptor); d != nil && v.Urgent && c.byMap[d.Payload] != nil {
			c.byMap[d.Payload].urgent = true
		}
	}
	for _, a := range c.news.manifest.Approvals {
		urgent, at := a.Urgent(c.now)
		over, ends := a.OverBudget(c.now)
		for _, at := range []time.Time{at, ends} {
			if at.After(c.now) && (c.tasks.urgentAt.IsZero() || at.Before(c.tasks.urgentAt)) {
				c.tasks.urgentAt = at
			}
		}
		d := c.describe(a.Descriptor)
		if d == nil || c.byMap[d.Payload] == nil {
			continue
		}
		l := c.byMap[d.Payload]
		l.urgent, l.overBudget = l.urgent || urgent, l.overBudget || over
		if by := a.EarliestDeadline(); !by.IsZero() && (l.deadline.IsZero() || by.Before(l.deadline)) {
			l.deadline = by
		}
	}
	c.orderPayloads()
	if at := c.tasks.urgentAt; !at.IsZero() {
		c.wakeBy(at)
	}
}

// refreshUrgency looks again when time has made something urgent.
func (c *Core) refreshUrgency() {
	switch at := c.tasks.urgentAt; {
	case at.IsZero() || c.news.manifest == nil:
	case c.now.Before(at):
		c.wakeBy(at)
	default:
		c.markUrgent()
	}
}

// orderPayloads puts the payloads in the order in which they go: urgent ones first, then by deadline.
func (c *Core) orderPayloads() {
	c.order = c.order[:0]
	if !slices.ContainsFunc(c.payloads, func(l *payload) bool { return l.urgent || !l.deadline.IsZero() }) {
		return
	}
	c.order = append(c.order, c.payloads...)
	slices.SortStableFunc(c.order, func(a, b *payload) int {
		switch {
		case a.urgent != b.urgent:
			return choose(a.urgent)
		case a.deadline.Equal(b.deadline):
			return 0
		case a.deadline.IsZero() || b.deadline.IsZero():
			return choose(b.deadline.IsZero())
		}
		return a.deadline.Compare(b.deadline)
	})
	for i, l := range c.order {
		l.place = i
	}
}

func choose(first bool) int {
	if first {
		return -1
	}
	return 1
}

// driveBefore moves what goes before a payload: a line or a peer may have become free.
func (c *Core) driveBefore(l *payload) {
	for _, o := range c.order {
		if o == l {
			return
		}
		if o.needed() && !o.have.Full() && c.byMap[o.id] == o {
			c.drive(o)
		}
	}
}

// waitsOnWAN: chunks of a payload that goes first are on their way here over the WAN. The line is theirs.
func (c *Core) waitsOnWAN(l *payload) bool {
	for _, o := range c.order {
		if o == l {
			return false
		}
		if o.lease.asks > 0 {
			return true
		}
	}
	return false
}

// turn is a payload's place among those that wait to be sent; all are equal where none has a deadline.
func (c *Core) turn(l *payload) uint64 {
	if l == nil || len(c.order) == 0 {
		return 0
	}
	return uint64(l.place)
}
