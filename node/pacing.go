package node

import (
	"patchmesh/node/api"
	"patchmesh/node/transport"
	"patchmesh/swarm"
	"patchmesh/swarm/rate"
)

func (n *Node) pacing() transport.Pacing {
	return transport.Pacing{
		Up:   func(p transport.Peer) *transport.Pace { return n.limits.of(p, rate.Up) },
		Down: func(p transport.Peer) *transport.Pace { return n.limits.of(p, rate.Down) },
	}
}

// traffic tells people what holds now.
func (n *Node) traffic(v *swarm.View) *api.Traffic {
	t := &api.Traffic{Limits: []api.Limit{}, Gates: []api.Gate{}}
	if n.limits == nil { // offline
		return t
	}
	t.Limits, t.Sources = n.limits.info(n.cfg.Now()), n.sources
	t.Origin, t.Yielding = n.web.info(), v.Gate.Yielding
	if b := v.Budget; b.DayLimit > 0 || b.MonthLimit > 0 {
		t.Budget = &api.Budget{
			DayBytes: b.DayBytes, DayLimit: b.DayLimit, DayEnd: b.DayEnd, MonthBytes: b.MonthBytes, MonthLimit: b.MonthLimit,
			MonthEnd: b.MonthEnd, Most: string(b.Most),
		}
	}
	for _, g := range []struct {
		what string
		swarm.Eligible
	}{{"serve", v.Gate.Far}, {"wan", v.Gate.WAN}, {"fetch", v.Gate.Fetch}, {"help", v.Gate.Help}} {
		if g.Reason != "" {
			t.Gates = append(t.Gates, api.Gate{What: g.what, Reason: string(g.Reason), Detail: g.Detail})
		}
	}
	return t
}

// explainTraffic says what the machine does not move at present, and why.
func explainTraffic(e *explanation, m api.Machine) {
	t := m.Traffic
	if t == nil {
		return
	}
	for _, l := range t.Limits {
		switch {
		case l.Off:
			e.add(m.LastReport, "limit", "nothing may pass %s.%s at this hour%s", l.Class, l.Dir, sourceText(l))
		case !l.Unlimited:
			e.add(m.LastReport, "limit", "%s.%s is limited to %s%s", l.Class, l.Dir, api.Rate(float64(l.BytesPerSec)), sourceText(l))
		}
	}
	if b := t.Budget; b != nil {
		e.add(m.LastReport, "limit", "the site has taken %s of %s today and %s of %s this month over the WAN", api.Size(b.DayBytes), limitText(b.DayLimit), api.Size(b.MonthBytes), limitText(b.MonthLimit))
	}
	for _, g := range t.Gates {
		e.add(m.LastReport, "gate", "%s", g.Text())
	}
}

// sourceText is who says so, in brackets; what older machines report does not tell.
func sourceText(l api.Limit) string {
	if source := l.Source(); source != "" {
		return " (" + source + ")"
	}
	return ""
}

func limitText(n int64) string {
	if n == 0 {
		return "any number"
	}
	return api.Size(n)
}
