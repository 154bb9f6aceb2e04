package swarm

import (
	"slices"

	"patchmesh/policy"
)

// What is signed for this machine about its links goes before its own configuration.

// meteredUse is what a metered link is for: as it is signed, or less where whoever looks after this machine says so.
func (c *Core) meteredUse() LinkUse {
	var use LinkUse
	switch c.tasks.plan.Habits.Metered {
	case policy.MeteredAllow:
		use = UseAll
	case policy.MeteredPeersOnly:
		use = UsePeersOnly
	case policy.MeteredNever:
		use = UseNothing
	default:
		return c.cfg.Metered
	}
	if c.cfg.MeteredOwn {
		return max(use, c.cfg.Metered)
	}
	return use
}

// habitsMoved judges the link anew when a plan says something else about it.
func (c *Core) habitsMoved() {
	if c.meteredUse() != c.gates.use {
		c.conditionsChanged(ConditionsChanged{Conditions: c.gates.last})
	}
}

// powerChanged lets the plan know what the machine runs on. Rules look at the charge, so every change of it may
// change an answer.
func (c *Core) powerChanged(x Conditions) {
	now := policy.Power{OnBattery: x.OnBattery}
	if x.OnBattery {
		now.Percent = x.BatteryPercent
	}
	if now != c.self.Machine.Power {
		c.self.Machine.Power = now
		c.replan()
	}
}

// takesReports says whether reports of this machine may go to a seed.
func (c *Core) takesReports(p *peer) bool {
	to := c.tasks.plan.Habits.ReportTo
	return len(to) == 0 || slices.Contains(to, string(p.id))
}

// reportSeed is the seed that reports are handed to: one of the own site before one across the WAN.
func (c *Core) reportSeed() *peer {
	for _, near := range []bool{true, false} {
		for _, p := range c.peers {
			if c.takesReports(p) && (near && p.seed && c.neighbour(p) || !near && c.wanSeed(p)) {
				return p
			}
		}
	}
	return nil
}
