package swarm

import "time"

// Urgency has two classes. In the foreground is what the approvers have expedited or what is close to its
// deadline; all else is background. It is decided by policy (policy.Verdict.Urgent, policy.Approval.Urgent)
// and used here: what is urgent may be exempt from the site's WAN budget, goes first where machines
// choose, and does not yield to other traffic.
//
// A machine that fetches for its neighbours only has no verdict of its own about the update, so all
// approvals of the manifest count, whomever they address.

// markUrgent finds out which payloads are urgent now, and when that changes by itself.
func (c *Core) markUrgent() {
	c.tasks.urgentAt = time.Time{}
	for _, l := range c.payloads {
		l.urgent = false
	}
	for _, v := range c.tasks.plan.Verdicts {
		if d := c.describe(v.Descriptor); d != nil && v.Urgent && c.byMap[d.Payload] != nil {
			c.byMap[d.Payload].urgent = true
		}
	}
	for _, a := range c.news.manifest.Approvals {
		urgent, at := a.Urgent(c.now)
		if !at.IsZero() && (c.tasks.urgentAt.IsZero() || at.Before(c.tasks.urgentAt)) {
			c.tasks.urgentAt = at
		}
		if d := c.describe(a.Descriptor); d != nil && urgent && c.byMap[d.Payload] != nil {
			c.byMap[d.Payload].urgent = true
		}
	}
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
