package swarm

import (
	"fmt"
	"slices"
	"time"

	"patchmesh/policy"
	"patchmesh/swarm/rate"
)

// Eligible says whether chunks go one way now, and if not, why. The zero value: they do.
type Eligible struct {
	Reason policy.Reason
	Detail string
	Until  time.Time // when that ends by itself; zero: nobody can say
}

// givesHere says why a peer is not asked for chunks at present.
func (c *Core) givesHere(p *peer) Eligible {
	switch i, shunned := c.findShun(p.id); {
	case c.self.Seed:
		return Eligible{Reason: policy.ReasonNetPeersOnly, Detail: "a seed takes no chunks from machines"}
	case shunned && c.now.Before(c.tasks.shuns[i].Until):
		return Eligible{policy.ReasonPeerBanned, "it sent wrong bytes: " + string(c.tasks.shuns[i].Reason), c.tasks.shuns[i].Until}
	case c.gates.fetch != "":
		return Eligible{Reason: c.gates.fetch, Detail: "this machine takes nothing: " + c.gateText(c.gates.fetch)}
	case p.closed:
		return Eligible{Reason: p.gate.serve, Detail: "by its own word"}
	case p.silences > 0 && c.now.Before(p.busyUntil):
		return Eligible{policy.ReasonNetTimeout, fmt.Sprintf("it was asked and sent nothing, %d time(s) in a row", p.silences), p.busyUntil}
	case p.near:
		return Eligible{}
	}
	return c.givesFromAfar(p)
}

// givesFromAfar is givesHere for a peer of another site.
func (c *Core) givesFromAfar(p *peer) Eligible {
	switch {
	case !p.seed && !p.adjacent:
		return Eligible{Reason: policy.ReasonNetPeersOnly, Detail: "it is of another site, and no signed policy lets this one take from there"}
	case p.seed && !c.far.seed, p.adjacent && !c.adjacent.allowed:
		return Eligible{Reason: policy.ReasonNetPeersOnly, Detail: "the sources of this machine are " + c.cfg.Sources.String()}
	case !c.self.Egress:
		return Eligible{Reason: policy.ReasonNetSiteUnknown, Detail: "this machine leaves the WAN to others"}
	case c.gates.wan != "":
		return Eligible{Reason: c.gates.wan, Detail: c.gateText(c.gates.wan)}
	case p.seed && c.rates.down[rate.WAN].Rate() == 0:
		return Eligible{Reason: policy.ReasonWanBudgetSpent, Detail: "nothing may be fetched over the WAN at this hour"}
	case p.seed:
		return c.budgetSpent()
	}
	return Eligible{}
}

// takesAfar says why this machine fetches no chunks over the WAN at present: beside its gates it may have no way there or not be
// meant to use it, and its site may have spent its budget.
func (c *Core) takesAfar() Eligible {
	switch why := firstReason(c.gates.fetch, c.wanGate()); {
	case why != "":
		return Eligible{Reason: why, Detail: c.gateText(why)}
	case !c.self.Egress:
		return Eligible{Reason: policy.ReasonNetSiteUnknown, Detail: "this machine leaves the WAN to others"}
	}
	return c.budgetSpent()
}

// budgetSpent says that nothing more may be fetched over the WAN, be it that some of the budget is left and no chunk fits. What may
// pass it ('approve --ignore-budget') does all the same.
func (c *Core) budgetSpent() Eligible {
	if !c.budget.limit.Set() {
		return Eligible{}
	}
	v := c.budgetView()
	used, limit, until, _ := v.nearest()
	if used < limit && !slices.ContainsFunc(c.tasks.tasks, func(k *task) bool { return k.reason == policy.ReasonWanBudgetSpent }) {
		return Eligible{}
	}
	return Eligible{policy.ReasonWanBudgetSpent, "the budget of the site for the WAN is spent", until}
}

// takesHere says why a peer that asks for chunks gets none at present.
func (c *Core) takesHere(p *peer) Eligible {
	if p.seed {
		return Eligible{Reason: policy.ReasonNetPeersOnly, Detail: "a seed takes no chunks from machines"}
	}
	if !c.self.Seed && !p.near && !p.takes {
		return Eligible{Reason: policy.ReasonNetPeersOnly, Detail: "it is of another site, and no signed policy lets that one take from here"}
	}
	if why := c.gates.against(p); why != "" {
		return Eligible{Reason: why, Detail: c.gateText(why)}
	}
	return Eligible{}
}
