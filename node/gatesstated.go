package node

import (
	"patchmesh/policy"
	"patchmesh/swarm"
)

// gates are those that hold now. What is signed for this machine, or stands in its own file, takes the place of the
// default; of that and what was chosen on the command line the one that closes sooner counts.
func (l *limits) gates() *Gates {
	g := *l.n.cfg.gates()
	if s := l.stated.Load(); s != nil && l.n.seed == nil {
		for _, name := range signedGates {
			g.state(name, s.value(policy.SetGate(name)))
		}
	}
	return &g
}

// state takes over what is stated of one gate; empty: nothing is.
func (g *Gates) state(name, value string) {
	if value == "" {
		return
	}
	said, err := statedGate(name, value)
	if err != nil { // a later version knows more values; the default holds
		return
	}
	o := owner(g.chosen&gateBit(name) != 0)
	switch name {
	case "battery":
		g.BatteryPercent = int(o.higher(int64(g.BatteryPercent), int64(said.BatteryPercent)))
	case "cpu":
		g.CPUPercent = int(o.lower(int64(g.CPUPercent), int64(said.CPUPercent)))
	case "disk-queue":
		g.DiskQueue = int(o.lower(int64(g.DiskQueue), int64(said.DiskQueue)))
	case "free":
		g.FreeBytes = o.higher(g.FreeBytes, said.FreeBytes)
	case "other-traffic":
		g.YieldAbove = o.lower(g.YieldAbove, said.YieldAbove)
	case "vpn":
		g.VPN = swarm.LinkUse(o.higher(int64(g.VPN), int64(said.VPN)))
	}
}

// statedGate reads a value as it is signed.
func statedGate(name, value string) (*Gates, error) {
	if name == "vpn" {
		return ParseGates(nil, "", value)
	}
	if value == "none" {
		value = "0"
	}
	return ParseGates([]string{name + "=" + value}, "", "")
}

// owner says whether a gate was chosen here, so that what is stated can only close it sooner.
type owner bool

// higher is for gates that close below a bound.
func (o owner) higher(own, said int64) int64 {
	if !o {
		return said
	}
	return max(own, said)
}

// lower is for gates that close above a bound, or with 0 never.
func (o owner) lower(own, said int64) int64 {
	switch {
	case !bool(o) || own == 0:
		return said
	case said == 0:
		return own
	}
	return min(own, said)
}

// event tells the core of them.
func (g *Gates) event() swarm.GatesChanged {
	return swarm.GatesChanged{
		BatteryPercent: g.BatteryPercent, CPUPercent: g.CPUPercent, DiskQueue: g.DiskQueue, FreeBytes: g.FreeBytes, YieldAbove: g.YieldAbove, VPN: g.VPN,
	}
}
