package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"patchmesh/node/api"
)

// bookkeeper calls f with the running node, or with the books of a seed whose node is not running.
func (a *app) bookkeeper(f func(api.Bookkeeper) error) error {
	return a.onSeed(func(s api.Service) error {
		b, ok := s.(api.Bookkeeper)
		if !ok {
			return api.Errorf(api.ClassFailed, "this node keeps no account of bytes")
		}
		return f(b)
	})
}

func (a *app) provenanceCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "provenance UPDATE MACHINE",
		Short: "who gave a machine which share of an update",
		Long: "provenance shows where the bytes of an update on a machine came from: by peer and tier, when, and summing up to all of\n" +
			"it. It is asked on the machine itself, or on a seed for any machine that has reported.\n" + exits,
		Example: "  patchmesh provenance openssl-3.0.15 till-3",
		Args:    exactly(2, "an update and a machine"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.bookkeeper(func(b api.Bookkeeper) error {
				p, err := b.Provenance(c.Context(), args[0], args[1])
				if err != nil {
					return err
				}
				return a.print(p, func(w io.Writer) { writeProvenance(w, p) })
			})
		},
	}
}

func writeProvenance(w io.Writer, p *api.Provenance) {
	fmt.Fprintf(w, "%s on %s: %s of %s, as it travels", p.Update, api.Clean(p.Machine), api.Size(p.HeldBytes), api.Size(p.StoredBytes))
	if p.Evicted {
		fmt.Fprint(w, "; no longer in its store")
	}
	if p.Vendor != nil {
		fmt.Fprintf(w, "\n%s", api.Clean(p.Vendor.String()))
	}
	fmt.Fprint(w, "\n\n")
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "FROM\tTIER\tBYTES\tSHARE\tCHUNKS\tFIRST\tLAST")
	for _, s := range p.Sources {
		from := api.Clean(s.Name)
		switch {
		case from == "" && s.Peer != "":
			from = shortID(s.Peer)
		case s.Tier == api.TierStore:
			from = "(was here)"
		case from == "":
			from = "(not reported yet)"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%.1f %%\t%d\t%s\t%s\n", from, s.Tier, api.Size(s.Bytes), s.Percent, s.Chunks, clockText(s.FirstAt), clockText(s.LastAt))
	}
	_ = t.Flush()
	if p.WastedBytes+p.DuplicateBytes > 0 {
		fmt.Fprintf(w, "\nthrown away: %s that did not match, %s that were here already\n", api.Size(p.WastedBytes), api.Size(p.DuplicateBytes))
	}
}

func clockText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}
