package node

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"patchmesh/node/api"
	"patchmesh/swarm"
)

// Gates say under what conditions a machine stops to serve others, or to use its link. See swarm/gate.go.
type Gates struct {
	BatteryPercent, CPUPercent, DiskQueue int // 0: never
	FreeBytes                             int64
	Metered, VPN                          swarm.LinkUse
	MeteredOwn                            bool // Metered was chosen here: signed policy makes no more of it
	// Link says what the link is, where the system cannot tell: LinkMetered, LinkVPN, LinkWiFi, LinkPlain or empty.
	Link string
	// YieldAbove is how many bytes per second of this machine's other traffic make background fetching from
	// the WAN yield. 0: none does.
	YieldAbove int64

	chosen gateSet // which of those that may be signed were chosen here
}

// gateSet has a bit for each of signedGates.
type gateSet uint8

// signedGates are the gates that may be signed, see policy.SetGate.
var signedGates = []string{"battery", "cpu", "disk-queue", "free", "other-traffic", "vpn"}

func gateBit(name string) gateSet {
	if i := slices.Index(signedGates, name); i >= 0 {
		return 1 << i
	}
	return 0
}

// The values of Gates.Link.
const (
	LinkMetered = "metered"
	LinkVPN     = "vpn"
	LinkWiFi    = "wifi"
	LinkPlain   = "plain"
)

// DefaultGates are those of swarm.DefaultConfig.
func DefaultGates() Gates {
	c := swarm.DefaultConfig()
	return Gates{
		BatteryPercent: c.GateBatteryPercent, CPUPercent: c.GateCPUPercent, DiskQueue: c.GateDiskQueue, FreeBytes: c.GateFreeBytes,
		Metered: c.Metered, VPN: c.VPN,
	}
}

// gates are those that were chosen, or the default.
func (c *Config) gates() *Gates {
	if c.Gates != nil {
		return c.Gates
	}
	d := DefaultGates()
	return &d
}

// ParseGates reads what differs from the default: NAME=NUMBER, what a metered link is for (allow,
// peers-only, never) and what a tunnel is for (full, download-only, off); empty texts change nothing.
func ParseGates(texts []string, metered, vpn string) (*Gates, error) {
	g := DefaultGates()
	if vpn != "" {
		g.chosen = gateBit("vpn")
	}
	for _, text := range texts {
		name, value, _ := strings.Cut(text, "=")
		g.chosen |= gateBit(name)
		into, most := map[string]*int{"battery": &g.BatteryPercent, "cpu": &g.CPUPercent, "disk-queue": &g.DiskQueue}[name], 100
		switch {
		case name == "free":
			n, err := api.ParseSize(value)
			if err != nil {
				return nil, fmt.Errorf("gate %q: %w", api.Clean(text), err)
			}
			g.FreeBytes = n
			continue
		case name == "other-traffic":
			n, err := api.ParseRate(value)
			if err != nil {
				return nil, fmt.Errorf("gate %q: %w", api.Clean(text), err)
			}
			g.YieldAbove = n
			continue
		case name == "link" && (value == LinkMetered || value == LinkVPN || value == LinkWiFi || value == LinkPlain):
			g.Link = value
			continue
		case into == nil:
			return nil, fmt.Errorf("gate %q: there are battery, cpu, disk-queue, free, other-traffic and link (metered, vpn, wifi or plain)", api.Clean(text))
		case name == "disk-queue":
			most = 10000
		}
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 || n > most {
			return nil, fmt.Errorf("gate %q is a number from 0 to %d", api.Clean(text), most)
		}
		*into = n
	}
	for _, u := range []struct {
		what, text, all, some, none string
		into                        *swarm.LinkUse
	}{{"metered", metered, "allow", "peers-only", "never", &g.Metered}, {"vpn", vpn, "full", "download-only", "off", &g.VPN}} {
		switch u.text {
		case "":
		case u.all:
			*u.into = swarm.UseAll
		case u.some:
			*u.into = swarm.UsePeersOnly
		case u.none:
			*u.into = swarm.UseNothing
		default:
			return nil, fmt.Errorf("%s is %q, must be %s, %s or %s", u.what, api.Clean(u.text), u.all, u.some, u.none)
		}
	}
	g.MeteredOwn = metered != ""
	return &g, nil
}

// apply sets the gates in the core's configuration.
func (g *Gates) apply(c *swarm.Config) {
	if g == nil {
		return
	}
	c.GateBatteryPercent, c.GateCPUPercent, c.GateDiskQueue, c.GateFreeBytes = g.BatteryPercent, g.CPUPercent, g.DiskQueue, g.FreeBytes
	c.MeteredOwn = g.MeteredOwn
	c.Metered, c.VPN, c.YieldAbove = g.Metered, g.VPN, g.YieldAbove
}
