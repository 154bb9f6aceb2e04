package node

import (
	"fmt"
	"strings"
	"time"

	"patchmesh/node/api"
	"patchmesh/swarm"
)

// lookAtLimits tells which limits hold here, who says so, and what they do at present. That something is limited is no
// trouble: people meant it.
func (n *Node) lookAtLimits(e *examination, v *swarm.View) {
	t := n.traffic(v)
	var free []string
	for _, class := range []string{"site", "wan", "lan"} {
		for _, dir := range []string{"down", "up"} {
			if l := limitOf(t.Limits, class, dir); l != nil {
				e.fine(api.ScopeWAN, "limit "+class+"."+dir, "%s", limitDoes(*l))
				continue
			}
			free = append(free, class+"."+dir)
		}
	}
	if len(free) > 0 {
		e.fine(api.ScopeWAN, "no limit", "%s: nobody has set one ('run --limit' does here, 'policy set limit-wan-down=...' for a group)", strings.Join(free, ", "))
	}
	n.lookAtBudget(e, t.Budget)
}

// lookAtRoom tells what bounds the store.
func (n *Node) lookAtRoom(e *examination) {
	if u := n.keeper.usage.Load(); u != nil {
		e.fine(api.ScopeStore, "room", "%s of %s (%s), and %s are left free (%s)",
			api.Size(u.UsedBytes), api.Size(u.QuotaBytes), n.roomSource(n.cfg.StoreQuota, "store-quota"), api.Size(u.ReserveBytes), n.roomSource(n.cfg.StoreReserve, "store-reserve"))
	}
}

func limitOf(all []api.Limit, class, dir string) *api.Limit {
	for i, l := range all {
		if l.Class == class && l.Dir == dir {
			return &all[i]
		}
	}
	return nil
}

// limitDoes says a limit with its source and its effect.
func limitDoes(l api.Limit) string {
	text := l.Text("nothing passes", "no limit at this hour")
	if source := l.Source(); source != "" { // at other hours than those of a limit nobody says anything
		text += ", " + source
	}
	text += "; now " + api.Rate(float64(l.NowBytesPerSec))
	if l.WaitedSeconds >= 1 {
		return text + "; chunks have waited " + api.Duration(time.Duration(l.WaitedSeconds*float64(time.Second))) + " for it since the start"
	}
	return text + "; nothing had to wait for it yet"
}

// lookAtBudget tells what the site may take over the WAN.
func (n *Node) lookAtBudget(e *examination, b *api.Budget) {
	if b == nil {
		e.fine(api.ScopeWAN, "WAN budget", "none")
		return
	}
	var said []string
	if n.cfg.Budget.Set() {
		said = append(said, "--wan-budget")
	}
	if n.believer.current().Roster().SiteBudget(n.member.Site) != nil {
		said = append(said, "the seed, for the site")
	}
	stated := n.limits.stated.Load()
	for _, name := range []string{"wan-budget-day", "wan-budget-month"} {
		if stated.value(name) != "" {
			said = append(said, fmt.Sprintf("%s (%s)", name, stated.all[name].Source))
		}
	}
	e.fine(api.ScopeWAN, "WAN budget", "%s of %s today, %s of %s this month; said by %s", api.Size(b.DayBytes), limitText(b.DayLimit), api.Size(b.MonthBytes), limitText(b.MonthLimit), strings.Join(said, " and "))
}

// roomSource says who bounds the store.
func (n *Node) roomSource(own, name string) string {
	stated := n.limits.stated.Load()
	signed := ""
	if n.seed == nil && stated.value(name) != "" {
		signed = "signed for " + stated.all[name].Source
		if stated.all[name].Source == "local" {
			signed = "from policy.json"
		}
	}
	switch {
	case own != "" && signed != "":
		return "from --" + name + ", and " + signed
	case own != "":
		return "from --" + name
	case signed != "":
		return signed
	}
	return "default"
}
