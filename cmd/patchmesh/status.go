package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"patchmesh/node/api"
)

func (a *app) statusCmd() *cobra.Command {
	var q api.StatusQuery
	var watch, asTable bool
	var every time.Duration
	c := &cobra.Command{
		Use:   "status",
		Short: "how far every machine is",
		Long: "status shows the fleet on a seed, and this machine elsewhere. --watch shows it again and again until Ctrl-C; with --json\n" +
			"it then prints one document on each line.\n" + exits,
		Example: `  patchmesh status
  patchmesh status --update openssl-3.0.15 --json
  patchmesh status --csv > fleet.csv
  patchmesh status --watch`,
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			if asTable && a.json {
				return errTableAndJSON
			}
			if watch && asTable {
				return api.Errorf(api.ClassUsage, "--csv is one picture, --watch are many").WithHint("--watch --json prints one document on each line")
			}
			if watch {
				return a.watch(c.Context(), every, q)
			}
			return a.running(func(s api.Service) error {
				f, err := s.Status(c.Context(), q)
				if err != nil {
					return err
				}
				if asTable {
					return fleetTable(a.out, f)
				}
				return a.print(f, func(w io.Writer) { writeFleet(w, f) })
			})
		},
	}
	c.Flags().StringVar(&q.Machine, "machine", "", "one machine, by name or id")
	c.Flags().StringVar(&q.Update, "update", "", "one update")
	c.Flags().BoolVar(&watch, "watch", false, "show it again and again until Ctrl-C")
	spanVar(c.Flags(), &every, "interval", time.Second, "time between two pictures of --watch")
	c.Flags().BoolVar(&asTable, "csv", false, "print a row for each machine and update, as comma-separated values")
	c.Flags().StringVar(&q.Group, "group", "", "machines of one group")
	return c
}

func writeFleet(w io.Writer, f *api.Fleet) {
	fmt.Fprintf(w, "%s, epoch %d, as of %s\n", f.Org, f.Epoch, f.AsOf.Local().Format("2006-01-02 15:04:05"))
	if f.Stale {
		fmt.Fprintln(w, "STALE: the approvals have expired and were not renewed; nothing new is installed")
	}
	if f.Reason != "" {
		fmt.Fprintf(w, "TROUBLE: %s: %s\n", f.Reason, f.Detail)
	}
	writeAttention(w, f)
	for _, r := range f.Refused {
		fmt.Fprintf(w, "refused %d time(s): %s from %s: %s\n", r.Count, r.Reason, shortID(r.Peer), r.Detail)
	}
	writeDrafts(w, f.Drafts)
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "MACHINE\tSITE\tEPOCH\tCONTACT\tUPDATE\tSTATE\tREASON\tHERE\tOVER THE WAN")
	for _, m := range f.Machines {
		name := api.Clean(m.Name)
		if m.Cache {
			name += " (cache)"
		}
		contact := "never"
		if !m.LastContact.IsZero() {
			contact = api.Duration(max(f.AsOf.Sub(m.LastContact), 0).Round(time.Second)) + " ago"
		}
		if m.Online {
			contact = "online"
		}
		if m.Reason == "host-revoked" {
			contact = "locked out"
			fmt.Fprintf(t, "%s\t%s\t\t%s\t\trevoked\t%s\t\t\n", name, m.Site, contact, api.Clean(m.Detail))
		}
		if len(m.Updates) == 0 && m.Reason != "host-revoked" {
			fmt.Fprintf(t, "%s\t%s\t%d\t%s\t-\t-\t%s\t\t\n", name, m.Site, m.Epoch, contact, m.Reason)
		}
		for _, u := range m.Updates {
			here := api.Size(u.HaveBytes)
			if whole := cmp.Or(u.StoredBytes, u.SizeBytes); whole > 0 && u.HaveBytes < whole {
				here = fmt.Sprintf("%d %% of %s", 100*u.HaveBytes/whole, api.Size(whole))
			}
			fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\n", name, m.Site, m.Epoch, contact, u.Update, u.State, reasonText(u)+againText(u, f.AsOf), here, api.Size(u.Bytes.WAN()))
		}
		for _, r := range m.Refused {
			fmt.Fprintf(t, "%s\t\t\t\t\trefused\t%s from %s (%d)\t\t\n", name, r.Reason, shortID(r.Peer), r.Count)
		}
	}
	_ = t.Flush()
	writeLeftOut(w, f)
	writeNewer(w, f)
	writeGates(w, f)
	writeLacking(w, f)
	writeNotApproved(w, f)
	writeExcepted(w, f)
	for _, v := range f.Vendors {
		fmt.Fprintf(w, "%s (revision %d) is made around a vendor's file: %s, sha256 %s%s\n", v.Update, v.Revision, api.Clean(v.FileName), v.SHA256, from(v.Origin))
	}
}

// writeLeftOut names machines that have said less than there is to say.
func writeLeftOut(w io.Writer, f *api.Fleet) {
	for _, m := range f.Machines {
		if m.LeftOut > 0 {
			fmt.Fprintf(w, "%s had no room in its last report for %d updates: they are shown as it told them before, or not at all ('patchmesh status' there shows all)\n", api.Clean(m.Name), m.LeftOut)
		}
	}
}

// writeNewer names machines whose reports may tell more than is shown.
func writeNewer(w io.Writer, f *api.Fleet) {
	for _, m := range f.Machines {
		if m.ReportVersion > api.ReportVersion {
			fmt.Fprintf(w, "%s reports in version %d, and this patchmesh reads up to %d: not all that it says is shown; update patchmesh here\n", api.Clean(m.Name), m.ReportVersion, api.ReportVersion)
		}
	}
}

// from names where a file comes from, if somebody has said it.
func from(origin string) string {
	if origin == "" {
		return ""
	}
	return ", from " + api.Clean(origin)
}

// reasonText is why an update is as it is on a machine. A compliance that its state does not tell comes first, and one that only
// newer versions know: who reads that an update is held must see that the machine is not simply without it.
func reasonText(u api.Update) string {
	words := []string{}
	switch u.Compliance {
	case "", "unknown", "not-applicable", "required", "installed", "conflict", "error":
	default:
		words = append(words, u.Compliance)
	}
	if u.Reason != "" {
		words = append(words, u.Reason)
	}
	if u.Detail != "" {
		words = append(words, "("+cutText(api.Clean(u.Detail), 60)+")")
	}
	return strings.Join(words, " ")
}

// cutText shortens a text between characters.
func cutText(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + "..."
	}
	return s
}

// againText says when an update that failed is tried again.
func againText(u api.Update, now time.Time) string {
	if !u.RetryAt.After(now) {
		return ""
	}
	return fmt.Sprintf("; tried again at %s (in %s)", u.RetryAt.Local().Format("15:04:05"), api.Duration(u.RetryAt.Sub(now).Round(time.Second)))
}

func shortID(id string) string {
	if len(id) > 12 {
		return "..." + id[len(id)-8:]
	}
	if id == "" {
		return "somebody"
	}
	return id
}
