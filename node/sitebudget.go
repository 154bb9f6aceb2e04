package node

import (
	"strconv"
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
	"patchmesh/swarm"
)

// siteBudget is the WAN budget that holds here: what the roster states for the site, and what is signed for this machine
// or it was told itself where that is stricter.
func (n *Node) siteBudget() swarm.BudgetChanged {
	e := swarm.BudgetChanged{Budget: n.cfg.Budget, MayPass: !n.cfg.BudgetStrict}
	e.Budget = n.limits.stated.Load().budget(e.Budget)
	s := n.believer.current().Roster().SiteBudget(n.member.Site)
	if s == nil {
		return e
	}
	e.Budget.DayBytes = stricter(e.Budget.DayBytes, s.DayBytes)
	e.Budget.MonthBytes = stricter(e.Budget.MonthBytes, s.MonthBytes)
	e.MayPass = e.MayPass && !s.Strict
	e.Budget.Zone = time.UTC // all machines of a site must turn the page together, so the roster's word counts
	if s.Zone != "" {
		z, err := time.LoadLocation(s.Zone)
		if err != nil {
			n.log.Warn("the zone of the WAN budget is not known here; its days begin at midnight UTC", "zone", s.Zone, "err", err)
			return e
		}
		e.Budget.Zone = z
	}
	return e
}

func stricter(a, b int64) int64 {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// tellBudget tells the core what holds, if that is something or was.
func (n *Node) tellBudget() {
	e := n.siteBudget()
	was := n.budgetSet.Swap(e.Budget.Set())
	if e.Budget.Set() || was {
		n.events.send(e)
	}
}

// stateBudget reads the budget of a site from what an admin said; nil: nothing was said.
func stateBudget(texts []string, strict bool) (*policy.SiteBudget, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	b, err := ParseBudget(texts)
	if err != nil {
		return nil, api.Errorf(api.ClassUsage, "%v", err).WithHint("give day=SIZE or month=SIZE, with the zone as in month=20GB@Europe/Berlin")
	}
	s := &policy.SiteBudget{DayBytes: b.DayBytes, MonthBytes: b.MonthBytes, Strict: strict}
	if b.Zone != nil {
		s.Zone = b.Zone.String()
	}
	return s, nil
}

// budgetTexts says a budget as ParseBudget reads it.
func budgetTexts(s *policy.SiteBudget) []string {
	out := []string{}
	if s == nil {
		return out
	}
	zone := ""
	if s.Zone != "" {
		zone = "@" + s.Zone
	}
	for _, x := range []struct {
		name  string
		bytes int64
	}{{"day", s.DayBytes}, {"month", s.MonthBytes}} {
		if x.bytes > 0 {
			out = append(out, x.name+"="+strconv.FormatInt(x.bytes, 10)+zone)
		}
	}
	return out
}
