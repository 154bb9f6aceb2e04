package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"patchmesh/node/api"
)

func (a *app) windowsCmd() *cobra.Command {
	c := &cobra.Command{
		Use:   "windows",
		Short: "maintenance windows: when machines may be changed",
		Long: "Machines that windows address are changed only while one of them is open, and only if an update's longest run\n" +
			"time still fits. Bytes are fetched before. Machines that no window addresses are changed at any time. A deadline\n" +
			"opens no window; 'approve --ignore-windows' does, for one update.\n" + exits,
		Example: "  patchmesh windows set servers-patch --group servers --rule 'FREQ=MONTHLY;BYDAY=2TU' --offset-days 3 --at 01:00 --open 4h\n  patchmesh windows next",
	}
	c.AddCommand(a.windowsSetCmd(), a.windowsDropCmd(), a.windowsListCmd(), a.windowsNextCmd())
	return c
}

func (a *app) windowsSetCmd() *cobra.Command {
	var r api.WindowRequest
	var file string
	var open, spread time.Duration
	c := &cobra.Command{
		Use:   "set ID --group GROUP --rule RULE --at HH:MM --open DURATION",
		Short: "make or change a maintenance window",
		Long: "The rule says on which days the window opens, as iCalendar (RFC 5545) writes it: FREQ=DAILY, WEEKLY, MONTHLY or\n" +
			"YEARLY with INTERVAL, BYDAY, BYMONTHDAY, BYMONTH and UNTIL. A local time that the change of clocks leaves out is\n" +
			"read as if the clock had not changed; one that comes twice is the first. Changing a window is signed like an\n" +
			"approval.\n" + exits,
		Example: `  patchmesh windows set tills --group tills --rule 'FREQ=DAILY' --at 02:00 --open 2h --spread 30m --zone local
  patchmesh windows set servers-patch --group servers --rule 'FREQ=MONTHLY;BYDAY=2TU' --offset-days 3 --at 22:00 --open 6h --zone Europe/Berlin
  patchmesh windows set weekend --group office --rule 'FREQ=WEEKLY;BYDAY=SA,SU' --at 00:00 --open 24h`,
		Args: exactly(1, "the id of one window"),
		RunE: func(c *cobra.Command, args []string) error {
			r.Window.ID = args[0]
			r.Window.Minutes, r.Window.SpreadMinutes = int(open/time.Minute), int(spread/time.Minute)
			switch {
			case r.Window.Group == "":
				return api.Errorf(api.ClassUsage, "for which group?").WithHint("add --group NAME, or --group all for every machine")
			case open%time.Minute != 0 || spread%time.Minute != 0:
				return api.Errorf(api.ClassUsage, "windows are measured in whole minutes")
			}
			if r.Window.From == "" { // a rule that counts weeks or months says from when; others need not
				r.Window.From = "2026-01-01"
				if strings.Contains(r.Window.Rule, "INTERVAL") || !strings.Contains(r.Window.Rule, "BY") {
					r.Window.From = time.Now().Format(time.DateOnly)
				}
			}
			return a.setWindow(c, r, file)
		},
	}
	f := c.Flags()
	f.StringVar(&r.Window.Group, "group", "", "group of machines; all is every machine")
	f.StringVar(&r.Window.Rule, "rule", "FREQ=DAILY", "on which days it opens (RFC 5545)")
	f.StringVar(&r.Window.At, "at", "01:00", "local time at which it opens")
	spanVar(f, &open, "open", 3*time.Hour, "how long it is open, 5m to 24h")
	f.StringVar(&r.Window.Zone, "zone", api.ZoneLocal, "zone of that time: an IANA name like Europe/Berlin, or local for each machine's own")
	f.StringVar(&r.Window.From, "from", "", "first day, 2026-01-31; weeks and months of INTERVAL count from it (default: today where that matters)")
	f.IntVar(&r.Window.OffsetDays, "offset-days", 0, "open so many days after the days of the rule: second Tuesday + 3")
	spanVar(f, &spread, "spread", 0, "machines begin at different times within so long after the opening")
	f.StringVar(&r.Reason, "reason", "", "why, for the approval log")
	f.StringVar(&file, "passphrase-file", "", "file whose first line is the passphrase of the approver key")
	return c
}

func (a *app) setWindow(c *cobra.Command, r api.WindowRequest, file string) error {
	return a.decide(file, &r.Passphrase, func(s api.Service) (*api.Published, error) { return s.SetWindow(c.Context(), r) })
}

func (a *app) windowsDropCmd() *cobra.Command {
	r := api.WindowRequest{Drop: true}
	var file string
	c := &cobra.Command{
		Use:     "drop ID",
		Short:   "take a maintenance window away",
		Long:    "drop takes a window away. A group without any window is changed at any time.\n" + exits,
		Example: "  patchmesh windows drop tills",
		Args:    exactly(1, "the id of one window"),
		RunE: func(c *cobra.Command, args []string) error {
			r.Window.ID = args[0]
			return a.setWindow(c, r, file)
		},
	}
	c.Flags().StringVar(&r.Reason, "reason", "", "why, for the approval log")
	c.Flags().StringVar(&file, "passphrase-file", "", "file whose first line is the passphrase of the approver key")
	return c
}

func (a *app) windowsListCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "the windows in force",
		Long:    "list shows every maintenance window of the mesh, on any machine.\n" + exits,
		Example: "  patchmesh windows list",
		Args:    exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.running(func(s api.Service) error {
				v, err := s.Windows(c.Context(), api.WindowsQuery{})
				if err != nil {
					return err
				}
				return a.print(v, func(w io.Writer) {
					if len(v.Windows) == 0 {
						fmt.Fprintln(w, "no maintenance windows: machines are changed at any time")
					}
					for _, o := range v.Windows {
						fmt.Fprintln(w, api.Clean(o.String()))
					}
				})
			})
		},
	}
}

func (a *app) windowsNextCmd() *cobra.Command {
	var q api.WindowsQuery
	c := &cobra.Command{
		Use:   "next [MACHINE]",
		Short: "when a machine may be changed next, and by which window",
		Long: "next prints the coming openings of a machine, this one if none is named. For another machine, windows in local\n" +
			"time are read by the clock of the machine that answers.\n" + exits,
		Example: "  patchmesh windows next\n  patchmesh windows next till-3 --count 10",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				q.Machine = args[0]
			}
			return a.running(func(s api.Service) error {
				v, err := s.Windows(c.Context(), q)
				if err != nil {
					return err
				}
				return a.print(v, func(w io.Writer) { writeOpenings(w, v) })
			})
		},
	}
	c.Flags().IntVar(&q.Count, "count", 5, "how many openings")
	return c
}

func writeOpenings(w io.Writer, v *api.Windows) {
	groups := strings.Join(append([]string{"all"}, v.Groups...), ", ")
	switch {
	case v.Anytime:
		fmt.Fprintf(w, "%s: no window addresses its groups (%s), so it may be changed at any time\n", api.Clean(v.Machine), api.Clean(groups))
	case len(v.Openings) == 0:
		fmt.Fprintf(w, "%s: no window will open again\n", api.Clean(v.Machine))
	}
	for _, o := range v.Openings {
		state := api.Ago(o.From, v.AsOf)
		if !v.AsOf.Before(o.From) {
			state = "open now"
		}
		fmt.Fprintf(w, "%s to %s  %-14s %s", o.From.Local().Format("Mon 2006-01-02 15:04 MST"), o.Until.Local().Format("15:04 MST"), state, strings.Join(o.Windows, ", "))
		if o.Begins.After(o.From) {
			fmt.Fprintf(w, ", this machine begins at %s", o.Begins.Local().Format("15:04"))
		}
		fmt.Fprintln(w)
	}
	for _, z := range v.UnknownZones {
		fmt.Fprintf(w, "%s is in zone %s, which is not known here: a window there stays closed, a limit goes by this computer's clock\n", api.Clean(z.What), api.Clean(z.Zone))
	}
	if v.ZoneAssumed {
		fmt.Fprintf(w, "%s has not told its time zone: windows in local time are read by the clock of this computer; if it is in another zone, ask there\n", api.Clean(v.Machine))
	}
}
