package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"patchmesh/node"
	"patchmesh/node/api"
)

// trafficFlags are those of 'run' that say what may be moved, when, and under what conditions.
type trafficFlags struct {
	limits, budget, gates []string
	strict                bool
	metered, vpn, origin  string
	sources               string
	peersOnly             bool
}

func (t *trafficFlags) add(c *cobra.Command) {
	f := c.Flags()
	f.StringArrayVar(&t.limits, "limit", nil, "CLASS.DIR=RATE[@DAYS/HH:MM-HH:MM[@ZONE]], as wan.down=10Mbit, lan.up=50% or wan.down=2Mbit@Mon-Fri/08:00-18:00@Europe/Berlin; classes lan, site, wan; RATE off lets nothing pass over wan.down, unlimited everything (and so does 0, which services of earlier versions say); one with hours says nothing of other hours, where one without or the default holds; may be repeated; what 'patchmesh policy set limit-wan-down=...' has signed for the machine holds beside it, and the lower counts (default: 100Mbit for site.up but within the own subnet, on Wi-Fi 50Mbit for lan.up and site.up, each of which =unlimited lifts; nothing else: a site takes every byte once, over a line of which nobody knows how fast it is)")
	f.StringArrayVar(&t.budget, "wan-budget", nil, "day=SIZE or month=SIZE[@ZONE] that the machines of this site together may take over the WAN; may be repeated, and what is stated for the site or signed for the machine holds beside it")
	f.BoolVar(&t.strict, "wan-budget-strict", false, "the budget holds even for what approvers let pass it ('patchmesh approve --ignore-budget')")
	f.StringArrayVar(&t.gates, "gate", nil, "when this machine stops serving others: battery=40 (percent), cpu=80 (percent), disk-queue=10, free=512MiB (0 is never), other-traffic=1Mbit (of this machine, from which on background fetching over the WAN becomes a trickle), or link=metered|vpn|wifi|plain where the system cannot tell; may be repeated; what 'patchmesh policy set gate-battery=60' and the like have signed for the machine takes the place of the default, and of both what stops sooner counts")
	f.StringVar(&t.metered, "metered", "peers-only", "what a metered link is for: allow, peers-only or never")
	f.StringVar(&t.origin, "origin", "auto", "when web hosts that an update names are asked for its bytes: auto (no seed can be asked), first or never")
	f.StringVar(&t.sources, "sources", "", "order in which machines and places are asked for bytes, as cache,wired,subnet,site,seed,origin: of the site first a cache of it, then holders that are not on Wi-Fi, then those in the same subnet, then any; beyond it machines of a neighbour site (neighbour), the seed and web hosts (origin), and none of these that is left out (default: wired,subnet,site,neighbour,seed,origin)")
	f.BoolVar(&t.peersOnly, "peers-only", false, "take bytes from machines of this site alone, never from a neighbour site, the seed or a web host; news and reports go their way all the same")
	f.StringVar(&t.vpn, "vpn", "", "what a tunnel is for: full, download-only or off (default: as 'patchmesh policy set gate-vpn=...' has signed, else download-only)")
}

// into reads the flags into the configuration of a node.
func (t *trafficFlags) into(cfg *node.Config) error {
	bad := func(err error) error {
		return api.Errorf(api.ClassUsage, "%v", err).WithHint("see 'patchmesh run --help'")
	}
	for _, text := range t.limits {
		l, err := node.ParseLimit(text)
		if err != nil {
			return bad(err)
		}
		cfg.Limits = append(cfg.Limits, l)
	}
	var err error
	if cfg.Budget, err = node.ParseBudget(t.budget); err != nil {
		return bad(err)
	}
	cfg.BudgetStrict, cfg.Origin, cfg.Sources, cfg.PeersOnly = t.strict, t.origin, t.sources, t.peersOnly
	if cfg.Gates, err = node.ParseGates(t.gates, t.metered, t.vpn); err != nil {
		return bad(err)
	}
	return nil
}

// writeTraffic tells what a machine may move at present; nothing where nothing is limited.
func writeTraffic(w io.Writer, t *api.Traffic) {
	if t == nil {
		return
	}
	for _, l := range t.Limits {
		text := l.Text("nothing", "no limit")
		if source := l.Source(); source != "" {
			text += ", " + source
		}
		fmt.Fprintf(w, "limit %s.%s: %s; now %s\n", l.Class, l.Dir, text, api.Rate(float64(l.NowBytesPerSec)))
	}
	if b := t.Budget; b != nil {
		var parts []string
		if b.DayLimit > 0 {
			parts = append(parts, fmt.Sprintf("%s of %s today", api.Size(b.DayBytes), api.Size(b.DayLimit)))
		}
		if b.MonthLimit > 0 {
			parts = append(parts, fmt.Sprintf("%s of %s this month", api.Size(b.MonthBytes), api.Size(b.MonthLimit)))
		}
		fmt.Fprintf(w, "WAN budget of the site: %s\n", strings.Join(parts, ", "))
	}
	for _, g := range t.Gates {
		fmt.Fprintf(w, "gate: %s\n", g.Text())
	}
	if len(t.Sources) > 0 {
		fmt.Fprintf(w, "sources, in this order: %s\n", api.Clean(strings.Join(t.Sources, ", ")))
	}
	if t.Yielding {
		fmt.Fprintln(w, "background fetching over the WAN yields to other traffic of this machine")
	}
	for _, m := range t.Origin {
		fmt.Fprintf(w, "web host %s: %s, %d failed\n", api.Clean(m.Host), api.Size(m.Bytes), m.Failed)
	}
}

// writeGates tells which machines of a fleet hold something back.
func writeGates(w io.Writer, f *api.Fleet) {
	for _, m := range f.Machines {
		if m.Traffic == nil {
			continue
		}
		for _, g := range m.Traffic.Gates {
			fmt.Fprintf(w, "%s %s\n", api.Clean(m.Name), g.Text())
		}
	}
}
