package swarm

import "patchmesh/policy"

// awaitsRestart: the update was brought in and is complete only after a restart. What detection says until
// then does not count: files that are in use are replaced while the machine starts. After the restart this
// program starts anew as well, and looks at everything.
func (c *Core) awaitsRestart(k *task) bool {
	if !c.self.Machine.AwaitsRestart(k.verdict.Update) {
		return false
	}
	p := c.news.manifest.PlanRestart(c.self.Machine, c.stale(), c.now)
	state := policy.StateRestartPending
	if p.Failed {
		state = policy.StateFailedRestart
	}
	if o := c.orchs.bound; p.Due && o != nil {
		if need := c.news.manifest.RestartNeeds(c.self.Machine); !o.m.May(need, c.orchTime()) {
			p.Reason, p.Detail = c.slotReason(o), c.slotWhy(o, need)
			c.wakeBy(c.now.Add(orchLook))
		}
	}
	c.setState(k, state, p.Reason, p.Detail, nil)
	if !p.Until.IsZero() {
		c.wakeBy(p.Until)
	}
	return true
}
