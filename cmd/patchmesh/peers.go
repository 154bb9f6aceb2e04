package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"patchmesh/node/api"
)

func (a *app) peersCmd() *cobra.Command {
	c := &cobra.Command{
		Use:   "peers",
		Short: "who this node is connected to",
		Long: "peers shows this node, its open sessions, and the machines of its site that are away. Rates are smoothed over 20 s.\n" +
			"A peer that sent wrong bytes is shunned, with the reason and until when. 'peers eligibility' tells of each whether chunks come\n" +
			"from it and go to it now, and why not.\n" + exits,
		Example: "  patchmesh peers --json",
		Args:    exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.running(func(s api.Service) error {
				n, err := s.Node(c.Context())
				if err != nil {
					return err
				}
				return a.print(n, func(w io.Writer) { writePeers(w, n, time.Now()) })
			})
		},
	}
	c.AddCommand(a.eligibilityCmd())
	return c
}

func writePeers(w io.Writer, n *api.NodeInfo, now time.Time) {
	fmt.Fprintf(w, "%s (%s), site %s, listening on %s, egress %v%s%s\n", api.Clean(n.Name), n.ID, n.Site, n.Listen, n.Egress, map[bool]string{true: ", a cache of the site"}[n.Cache], map[bool]string{true: ", on Wi-Fi"}[n.WiFi])
	if c := n.Membership; c != nil {
		fmt.Fprintf(w, "member until %s, renewed from %s on%s\n", c.NotAfter.Local().Format("2006-01-02 15:04"), c.RenewAt.Local().Format("2006-01-02 15:04"), renewTrouble(c))
	}
	writeTraffic(w, n.Traffic)
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "PEER\tID\tSITE\tADDRESS\tSTATE\tTIER\tRTT\tIN\tOUT\tRECEIVED\tGIVEN\tHOLDS\tSTANDING")
	for _, p := range n.Peers {
		name := api.Clean(p.Name)
		if p.Seed {
			name += " (seed)"
		}
		if p.Cache {
			name += " (cache)"
		}
		if p.WiFi {
			name += " (Wi-Fi)"
		}
		if p.State == "away" {
			fmt.Fprintf(t, "%s\t%s\t%s\t\taway, seen %s\t\t\t\t\t\t\tlacked %d\t%s\n", name, shortID(p.ID), p.Site, api.Ago(p.SeenAt, now), p.LackingPayloads, p.Standing)
			continue
		}
		rtt := "?"
		if p.RTTSeconds > 0 {
			rtt = fmt.Sprintf("%.1f ms", 1000*p.RTTSeconds)
		}
		standing := p.Standing
		if p.ShunReason != "" {
			standing += ": " + p.ShunReason + " until " + p.ShunnedUntil.Local().Format("2006-01-02 15:04")
		}
		if p.Gated != "" {
			standing += ", serves nobody: " + api.Clean(p.Gated)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d chunks of %d\t%s\n", name, shortID(p.ID), p.Site, p.Addr, p.State, p.Tier, rtt,
			api.Rate(p.InBytesPerSec), api.Rate(p.OutBytesPerSec), api.Size(p.BytesIn), api.Size(p.BytesOut), p.HeldChunks, p.HeldPayloads, standing)
	}
	_ = t.Flush()
}

func renewTrouble(m *api.Membership) string {
	if m.Trouble == "" {
		return ""
	}
	return "; " + api.Clean(m.Trouble)
}
