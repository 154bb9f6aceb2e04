package swarm

import (
	"fmt"
	"slices"
	"strings"

	"patchmesh/policy"
	"patchmesh/swarm/rate"
)

// Conditions are facts about the machine that it lives on and about its link. The zero value is a
// machine in good health on mains power; what cannot be found out is left zero.
type Conditions struct {
	OnBattery      bool
	BatteryPercent int // of its charge, while OnBattery
	CPUPercent     int // of all cores, by everybody, over half a minute
	DiskQueue      int // requests waiting at the disk of the data folder, over half a minute
	FreeBytes      int64
	FreeKnown      bool
	Metered        bool  // the way to the WAN is paid by volume
	VPN            bool  // the way to the WAN is a tunnel
	WiFi           bool  // this machine is on Wi-Fi
	Away           bool  // this machine is where another site is
	OtherBytes     int64 // per second over that way, both directions, not of patchmesh
}

// LinkUse says what a link that costs or detours is good for.
type LinkUse int

// The uses of a metered link and of a tunnel.
const (
	UseAll       LinkUse = iota // like any other
	UsePeersOnly                // metered: nothing over the WAN. Tunnel: fetch, but serve nobody through it
	UseNothing                  // no payload bytes at all
)

type (
	// ConditionsChanged tells the conditions of this machine, some time after they changed.
	ConditionsChanged struct{ Conditions Conditions }
	// PeerGated says that a neighbour serves nobody, or leaves the WAN to others, and why; empty: it does not.
	PeerGated struct {
		Peer       PeerID
		Serve, WAN policy.Reason
	}
	// TellGate tells a neighbour the same of this machine.
	TellGate struct {
		To         PeerID
		Serve, WAN policy.Reason
	}
)

func (ConditionsChanged) isEvent() {}
func (PeerGated) isEvent()         {}
func (TellGate) isAction()         {}

// gate is what a machine does not do at present, each with its reason; empty: it does.
type gate struct {
	serve policy.Reason // send chunks to neighbours
	far   policy.Reason // send chunks to neighbours of other subnets, whom only the tunnel may reach
	wan   policy.Reason // fetch chunks over the WAN
	fetch policy.Reason // fetch chunks at all
	help  policy.Reason // fetch for neighbours what it does not need itself
}

// gateState is this machine's gates and what neighbours were told of them.
type gateState struct {
	gate
	last      Conditions
	use       LinkUse                  // of a metered link, when the conditions were judged
	cpu, disk bool                     // closed: they open again only well below their limits
	details   map[policy.Reason]string // the facts behind each that is closed
	told      gate
}

// GatesChanged says when gates close from now on, instead of what the configuration says: see Config for each.
type GatesChanged struct {
	BatteryPercent, CPUPercent, DiskQueue int
	FreeBytes, YieldAbove                 int64
	VPN                                   LinkUse
}

func (GatesChanged) isEvent() {}

func (c *Core) gatesChanged(e GatesChanged) {
	c.cfg.GateBatteryPercent, c.cfg.GateCPUPercent, c.cfg.GateDiskQueue = e.BatteryPercent, e.CPUPercent, e.DiskQueue
	c.cfg.GateFreeBytes, c.cfg.YieldAbove, c.cfg.VPN = e.FreeBytes, e.YieldAbove, e.VPN
	c.conditionsChanged(ConditionsChanged{Conditions: c.gates.last})
}

// conditionsChanged judges the conditions. A seed serves whatever happens: it is there for that.
func (c *Core) conditionsChanged(e ConditionsChanged) {
	if c.self.Seed {
		return
	}
	g, x := &c.gates, e.Conditions
	g.gate, g.details, g.last, g.use = gate{}, map[policy.Reason]string{}, x, c.meteredUse()
	close := func(shut bool, r policy.Reason, detail string, what ...*policy.Reason) {
		if !shut {
			return
		}
		for _, w := range what {
			if *w == "" {
				*w = r
			}
		}
		if g.details[r] == "" {
			g.details[r] = detail
		}
	}
	g.cpu = over(x.CPUPercent, c.cfg.GateCPUPercent, g.cpu)
	g.disk = over(x.DiskQueue, c.cfg.GateDiskQueue, g.disk)
	close(x.OnBattery && x.BatteryPercent < c.cfg.GateBatteryPercent, policy.ReasonHostBattery,
		fmt.Sprintf("on battery, %d %% left, at least %d %% are wanted", x.BatteryPercent, c.cfg.GateBatteryPercent), &g.serve, &g.wan)
	close(x.Metered && g.use != UseAll, policy.ReasonNetMetered, "the link is metered", &g.wan)
	close(x.Metered && g.use == UseNothing, policy.ReasonNetMetered, "the link is metered", &g.serve, &g.fetch)
	close(x.VPN && c.cfg.VPN != UseAll, policy.ReasonNetVPN, "the link is a tunnel", &g.far)
	close(x.Away, policy.ReasonNetSiteUnknown, "this machine is at another site: what it gave to its own would cross the line between them", &g.far)
	close(x.VPN && c.cfg.VPN == UseNothing, policy.ReasonNetVPN, "the link is a tunnel", &g.serve, &g.wan, &g.fetch)
	close(g.cpu, policy.ReasonHostBusy, fmt.Sprintf("the processor is %d %% busy", x.CPUPercent), &g.serve)
	close(g.disk, policy.ReasonHostBusy, fmt.Sprintf("%d requests wait at the disk", x.DiskQueue), &g.serve)
	close(x.FreeKnown && x.FreeBytes < c.cfg.GateFreeBytes, policy.ReasonDiskShort,
		fmt.Sprintf("%d bytes are free, at least %d are wanted", x.FreeBytes, c.cfg.GateFreeBytes), &g.help)
	c.otherTraffic(x.OtherBytes)
	c.powerChanged(x)
	c.gatesMoved()
}

// over says whether a load is too high. Once it was, it has to fall by a tenth: a load that sways about
// its limit must not open and close the gate each time it is looked at.
func over(load, limit int, was bool) bool {
	if limit <= 0 {
		return false
	}
	if was {
		return load*10 > limit*9
	}
	return load > limit
}

// gatesMoved acts on what the gates stop now.
func (c *Core) gatesMoved() {
	now := c.gateTold()
	if was := c.gates.told; now != was {
		text := "all gates are open"
		why := firstReason(now.serve, now.far, now.wan)
		if why != "" {
			text = c.gateText(why)
		}
		c.act(Note{Kind: NoteGate, Reason: why, Text: text})
		c.gates.told = now
		c.toListeners(func(p *peer) {
			switch {
			case now.wan == was.wan && now.against(p) == was.against(p):
			case p.near:
				c.act(TellGate{To: p.id, Serve: now.against(p), WAN: now.wan})
			case now.against(p) != was.against(p):
				c.act(TellGate{To: p.id, Serve: now.against(p)})
			}
		})
	}
	c.sweepCache()
	c.driveAll()
	c.driveLink()
	c.driveTasks()
}

// gateTold is what neighbours should know.
func (c *Core) gateTold() gate {
	return gate{serve: c.gates.serve, far: c.gates.far, wan: c.wanShut()}
}

// against says why a neighbour is not served; empty: it is.
func (g gate) against(p *peer) policy.Reason {
	if g.serve == "" && !p.sameSubnet {
		return g.far
	}
	return g.serve
}

// wanGate says why this machine leaves the WAN to others; empty: it does not.
func (c *Core) wanGate() policy.Reason {
	if !c.leavesSite() {
		return policy.ReasonNetPeersOnly
	}
	if c.gates.wan == "" && c.rates.down[rate.WAN].Rate() == 0 {
		return policy.ReasonWanBudgetSpent
	}
	return c.gates.wan
}

// wanShut says why nobody is to wait for this machine to fetch over the WAN: its gate, or its order of sources.
func (c *Core) wanShut() policy.Reason { return firstReason(c.wanGate(), c.sourceGate()) }

// gateText gives the facts behind a gate that is closed for this reason.
func (c *Core) gateText(why policy.Reason) string {
	switch text := c.gates.details[why]; {
	case text != "" || why == "":
		return text
	case why == policy.ReasonNetPeersOnly:
		return "its sources are " + c.cfg.Sources.String()
	}
	return "nothing may be fetched over the WAN at this hour"
}

func firstReason(rs ...policy.Reason) policy.Reason {
	for _, r := range rs {
		if r != "" {
			return r
		}
	}
	return ""
}

// peerGated books what a neighbour says of itself. While it serves nobody, what it holds does not count:
// the site must not wait for chunks that nobody gives.
func (c *Core) peerGated(e PeerGated) {
	p := c.byID[e.Peer]
	if p != nil && p.adjacent {
		p.gate.serve, p.closed = e.Serve, e.Serve != ""
		c.driveAll()
		return
	}
	if p == nil || !c.neighbour(p) {
		return
	}
	was := p.closed
	for _, l := range c.payloads {
		if !was && e.Serve != "" {
			c.uncountHolder(l, p)
			c.stampLost(l)
		}
	}
	p.gate.serve, p.gate.wan, p.closed = e.Serve, e.WAN, e.Serve != ""
	if was && e.Serve == "" {
		for _, l := range c.payloads {
			if r := p.have.of(l.id); r != nil {
				c.countHolder(l, p, r)
			}
		}
	}
	c.driveAll()
	c.driveLink()
	c.driveTasks()
}

// gatedHolders lists why neighbours that hold something of a payload do not give it.
func (c *Core) gatedHolders(l *payload) string {
	var why []string
	c.toNeighbours(func(p *peer) {
		if r := p.have.of(l.id); r != nil && r.bits.Count() > 0 && p.gate.serve != "" && !slices.Contains(why, string(p.gate.serve)) {
			why = append(why, string(p.gate.serve))
		}
	})
	slices.Sort(why)
	return strings.Join(why, ", ")
}

// GateView is what this machine does at present, and what it does not with the reason.
type GateView struct {
	Serve    Eligible // it sends chunks to machines of its own subnet
	Far      Eligible // and to others
	WAN      Eligible // it fetches chunks over the WAN, as far as gates say
	Afar     Eligible // it does so, whatever else may keep it from that
	Fetch    Eligible // it fetches chunks at all
	Help     Eligible // it fetches for neighbours what it does not need itself
	Yielding bool     // background fetching gives way to other traffic
}

func (c *Core) gateView() GateView {
	of := func(why policy.Reason) Eligible { return Eligible{Reason: why, Detail: c.gateText(why)} }
	g := &c.gates
	return GateView{
		Serve: of(g.serve), Far: of(firstReason(g.serve, g.far)), WAN: of(firstReason(g.fetch, c.wanGate())), Fetch: of(g.fetch), Help: of(firstReason(g.fetch, g.help)),
		Afar: c.takesAfar(), Yielding: c.rates.yielding,
	}
}

// gateStops says which gate keeps this machine itself from a payload: one that stops all fetching, or one
// that stops its WAN where nobody else in the site could use theirs.
func (c *Core) gateStops(l *payload) policy.Reason {
	if c.gates.fetch != "" {
		return c.gates.fetch
	}
	why := c.wanGate()
	if why == "" || c.localSeed() != nil || c.nextForWAN(l, 0) < 0 {
		return ""
	}
	others := false
	c.toNeighbours(func(p *peer) { others = others || p.egress && !p.seed && p.gate.wan == "" })
	if others {
		return ""
	}
	return why
}
