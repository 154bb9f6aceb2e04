package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"patchmesh/node/api"
)

func (a *app) explainCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "explain UPDATE MACHINE",
		Short:   "why an update is in the state it is in on a machine",
		Long:    "explain prints the chain of facts from approval to today's state, who owns the problem, and the next step.\n" + exits,
		Example: "  patchmesh explain openssl-3.0.15 till-3",
		Args:    exactly(2, "an update and a machine"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.running(func(s api.Service) error {
				e, err := s.Explain(c.Context(), args[0], args[1])
				if err != nil {
					return err
				}
				return a.print(e, func(w io.Writer) {
					fmt.Fprintf(w, "%s on %s: %s", e.Update, api.Clean(e.Machine), e.State)
					if e.Reason != "" {
						fmt.Fprintf(w, " (%s)", e.Reason)
					}
					fmt.Fprintln(w)
					for _, f := range e.Chain {
						at := "                   "
						if !f.At.IsZero() {
							at = f.At.Local().Format("2006-01-02 15:04:05")
						}
						fmt.Fprintf(w, "  %s  %-9s %s\n", at, f.Step, f.Text)
					}
					for _, l := range e.Losing {
						fmt.Fprintf(w, "  overruled: %s\n", l)
					}
					fmt.Fprintf(w, "owner: %s\nnext step: %s\n", e.Owner, e.NextStep)
				})
			})
		},
	}
}

func (a *app) peersCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "peers",
		Short:   "who this node is connected to",
		Long:    "peers shows this node and its open sessions.\n" + exits,
		Example: "  patchmesh peers --json",
		Args:    exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.running(func(s api.Service) error {
				n, err := s.Node(c.Context())
				if err != nil {
					return err
				}
				return a.print(n, func(w io.Writer) {
					fmt.Fprintf(w, "%s (%s), site %s, listening on %s, egress %v\n", api.Clean(n.Name), n.ID, n.Site, n.Listen, n.Egress)
					if c := n.Membership; c != nil {
						fmt.Fprintf(w, "member until %s, renewed from %s on%s\n", c.NotAfter.Local().Format("2006-01-02 15:04"), c.RenewAt.Local().Format("2006-01-02 15:04"), renewTrouble(c))
					}
					writeTraffic(w, n.Traffic)
					for _, p := range n.Peers {
						kind := "machine"
						if p.Seed {
							kind = "seed"
						}
						fmt.Fprintf(w, "  %s  %-7s  site %-12s %-22s in %s, out %s, %s\n", shortID(p.ID), kind, p.Site, p.Addr, api.Size(p.BytesIn), api.Size(p.BytesOut), gated(p))
					}
				})
			})
		},
	}
}

// gated is the standing of a peer, and why it serves nobody at present.
func gated(p api.PeerInfo) string {
	if p.Gated == "" {
		return p.Standing
	}
	return p.Standing + ", serves nobody: " + api.Clean(p.Gated)
}

func renewTrouble(m *api.Membership) string {
	if m.Trouble == "" {
		return ""
	}
	return "; " + api.Clean(m.Trouble)
}
