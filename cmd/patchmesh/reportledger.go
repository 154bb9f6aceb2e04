package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"patchmesh/node/api"
)

func (a *app) reportLedgerCmd() *cobra.Command {
	var q api.LedgerQuery
	c := &cobra.Command{
		Use:   "ledger",
		Short: "what receipts prove: who signed to have given and to have got which bytes",
		Long: "ledger compares, by site and payload, what machines have signed to have given with what others have signed to have got from\n" +
			"them, and lists every transfer on which two machines do not agree, with both figures and the chunks. PROVEN is signed\n" +
			"for by both sides; SAVED is the part of it that came from within the site and kept off the WAN. Sticks and mirrors\n" +
			"cannot sign: what came from them is on the receiver's word alone and stands apart. Transfers of the last hour whose\n" +
			"second signature is still under way count as unsettled. On a seed it covers the fleet, elsewhere the receipts that have\n" +
			"come to this machine; 'patchmesh bundle export' collects those of its neighbours.\n" + exits,
		Example: `  patchmesh report ledger
  patchmesh report ledger --site north --json`,
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.onSeed(func(s api.Service) error {
				k, ok := s.(api.Auditor)
				if !ok {
					return api.Errorf(api.ClassFailed, "this node keeps no receipts")
				}
				l, err := k.Ledger(c.Context(), q)
				if err != nil {
					return err
				}
				return a.print(l, func(w io.Writer) { writeLedger(w, l) })
			})
		},
	}
	c.Flags().StringVar(&q.Site, "site", "", "what came to the machines of this site (default: of all sites that are known here)")
	return c
}

func writeLedger(w io.Writer, l *api.Ledger) {
	if l.AsOf.IsZero() {
		fmt.Fprintln(w, "no receipts have come here yet")
		return
	}
	verdict := "balanced: what was given is what was got"
	if !l.Balanced {
		verdict = fmt.Sprintf("NOT balanced: %d mismatches", len(l.Mismatches)+l.More)
	}
	fmt.Fprintf(w, "%d receipts from %s to %s, %s\n\n", l.Receipts, l.Since.Format("2006-01-02 15:04"), l.AsOf.Format("2006-01-02 15:04"), verdict)
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "SITE\tUPDATE\tGIVEN\tGOT\tPROVEN\tSAVED\tOVER THE WAN\tMEDIA\tMIRRORS\tUNSETTLED\t")
	line := func(site, update string, r api.LedgerRow) {
		mark := ""
		if !r.Balanced {
			mark = "differs"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", site, update, api.Size(r.GivenBytes), api.Size(r.GotBytes), api.Size(r.ProvenBytes),
			api.Size(r.SavedBytes), api.Size(r.WANBytes), api.Size(r.MediaBytes), api.Size(r.OriginBytes), api.Size(r.UnsettledBytes), mark)
	}
	for _, r := range l.Rows {
		update := api.Clean(r.Update)
		if update == "" {
			update = "payload " + shortID(r.Payload)
		}
		line(api.Clean(r.Site), update, r)
	}
	line("all", "", l.Total)
	_ = t.Flush()
	for _, m := range l.Mismatches {
		writeMismatch(w, m)
	}
	if l.More > 0 {
		fmt.Fprintf(w, "\nand %d mismatches more\n", l.More)
	}
}

func writeMismatch(w io.Writer, m api.LedgerMismatch) {
	name := func(name, id string) string {
		if name == "" {
			name = shortID(id)
		}
		return api.Clean(name)
	}
	what := api.Clean(m.Update)
	if what == "" {
		what = "payload " + shortID(m.Payload)
	}
	fmt.Fprintf(w, "\n%s: %s from %s to %s, %s\n  %s says it gave %s, %s says it got %s\n", m.Reason, what, name(m.SenderName, m.Sender), name(m.ReceiverName, m.Receiver),
		m.At.Format("2006-01-02 15:04"), name(m.SenderName, m.Sender), api.Size(m.GivenBytes), name(m.ReceiverName, m.Receiver), api.Size(m.GotBytes))
	if m.ChunkCount > 0 {
		chunks := strings.Trim(fmt.Sprint(m.Chunks), "[]")
		if m.ChunkCount > len(m.Chunks) {
			chunks += fmt.Sprintf(" and %d more", m.ChunkCount-len(m.Chunks))
		}
		fmt.Fprintf(w, "  chunks %s\n", chunks)
	}
	fmt.Fprintf(w, "  %s\n  next: %s\n", m.Text, m.NextStep)
}
