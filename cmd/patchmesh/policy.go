package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"patchmesh/node/api"
)

func (a *app) policyCmd() *cobra.Command {
	c := &cobra.Command{
		Use:   "policy",
		Short: "how machines behave: signed settings by group",
		Long: "Client policy is signed like an approval and goes by group; the deepest group of a machine counts. The machine's\n" +
			"own file, policy.json in its data folder, may only be stricter:\n" +
			"  {\"settings\": {\"automation\": \"detect\"}, \"hold\": [\"linux-*\"]}\n" + exits,
		Example: "  patchmesh policy show\n  patchmesh policy set automation=download-notify --group desks",
	}
	c.AddCommand(a.policyShowCmd(), a.policySetCmd(), a.policyUnsetCmd())
	return c
}

func (a *app) policyShowCmd() *cobra.Command {
	var q api.PolicyQuery
	return &cobra.Command{
		Use:     "show [MACHINE]",
		Short:   "each value, and where it comes from",
		Long:    "show prints every setting of a machine, this one if none is named: its value, who says so (default, a group, or\nthe machine's own file), and the epoch of the approvals that were read.\n" + exits,
		Example: "  patchmesh policy show\n  patchmesh policy show till-3 --json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				q.Machine = args[0]
			}
			return a.running(func(s api.Service) error {
				v, err := s.Policy(c.Context(), q)
				if err != nil {
					return err
				}
				return a.print(v, func(w io.Writer) { writePolicy(w, v) })
			})
		},
	}
}

func writePolicy(w io.Writer, v *api.Policy) {
	fmt.Fprintf(w, "%s, groups %s, epoch %d\n", api.Clean(v.Machine), api.Clean(strings.Join(append([]string{"all"}, v.Groups...), ", ")), v.Epoch)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SETTING\tVALUE\tSOURCE\tMEANING")
	for _, e := range v.Settings {
		source := e.Source
		if e.Signed != "" {
			source += " (signed: " + e.Signed + ")"
		}
		if e.Ignored != "" {
			source += " (policy.json says " + api.Clean(e.Ignored) + ", which is not stricter and has no effect)"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", e.Name, api.Clean(e.Value), api.Clean(source), e.Text)
	}
	_ = t.Flush()
	for _, h := range v.Holds {
		fmt.Fprintf(w, "held back by the machine itself: %s\n", api.Clean(h))
	}
	if v.Trouble != "" {
		fmt.Fprintf(w, "the machine's own file cannot be read, so every update is held back: %s\n", v.Trouble)
	}
}

func (a *app) policySetCmd() *cobra.Command {
	var r api.SettingRequest
	var file string
	c := &cobra.Command{
		Use:   "set NAME=VALUE --group GROUP",
		Short: "state a setting for a group",
		Long: "set states how the machines of a group behave. 'policy show' lists the names and what they mean.\n" +
			"limit-CLASS-DIR is how fast they may be (class lan, site or wan; down or up), wan-budget-day and wan-budget-month what\n" +
			"their site may take over the WAN, store-quota and store-reserve what payloads may take of the disk, gate-NAME when\n" +
			"they stop to give chunks to others. A running machine goes by them at once; its command line and its own file may only be\n" +
			"stricter. Where two groups are equally deep, what is stricter at each instant counts. A rate with hours says nothing of other\n" +
			"hours: there a rate without any beside it holds, or the default. 'off' lets nothing pass and 'unlimited' everything; 0 is refused. 'doctor --wan' on a machine tells what holds there, and who says so.\n" + exits,
		Example: "  patchmesh policy set automation=server-manual --group servers\n  patchmesh policy set deadline-critical=72h --group all\n  patchmesh policy set limit-wan-down=20Mbit,2Mbit@Mon-Fri/08:00-18:00 --group branches\n  patchmesh policy set store-quota=20GiB --group tills\n  patchmesh policy set gate-battery=60 --group laptops",
		Args:    exactly(1, "one NAME=VALUE"),
		RunE: func(c *cobra.Command, args []string) error {
			var ok bool
			if r.Setting.Name, r.Setting.Value, ok = strings.Cut(args[0], "="); !ok {
				return api.Errorf(api.ClassUsage, "%q is no NAME=VALUE", args[0]).WithHint("like automation=download-notify")
			}
			return a.setSetting(c, r, file)
		},
	}
	a.settingFlags(c, &r, &file)
	return c
}

func (a *app) policyUnsetCmd() *cobra.Command {
	r := api.SettingRequest{Drop: true}
	var file string
	c := &cobra.Command{
		Use:     "unset NAME --group GROUP",
		Short:   "take a setting of a group back",
		Long:    "unset takes back what was stated; then the group above counts, or the default.\n" + exits,
		Example: "  patchmesh policy unset automation --group servers",
		Args:    exactly(1, "the name of one setting"),
		RunE: func(c *cobra.Command, args []string) error {
			r.Setting.Name = args[0]
			return a.setSetting(c, r, file)
		},
	}
	a.settingFlags(c, &r, &file)
	return c
}

func (a *app) settingFlags(c *cobra.Command, r *api.SettingRequest, file *string) {
	c.Flags().StringVar(&r.Setting.Group, "group", "", "group of machines; all is every machine")
	c.Flags().StringVar(&r.Reason, "reason", "", "why, for the approval log")
	c.Flags().StringVar(file, "passphrase-file", "", "file whose first line is the passphrase of the approver key")
}

func (a *app) setSetting(c *cobra.Command, r api.SettingRequest, file string) error {
	if r.Setting.Group == "" {
		return api.Errorf(api.ClassUsage, "for which group?").WithHint("add --group NAME, or --group all for every machine")
	}
	return a.decide(file, &r.Passphrase, func(s api.Service) (*api.Published, error) { return s.SetSetting(c.Context(), r) })
}

func (a *app) acceptCmd() *cobra.Command {
	r := api.WishRequest{Accept: true}
	c := &cobra.Command{
		Use:   "accept UPDATE",
		Short: "let this machine go on with an update that waits for its user",
		Long: "accept is the user's yes to an update that is offered (approved as optional) or that policy leaves to the user. It\n" +
			"installs nothing that is not approved, lifts no hold and opens no maintenance window. --undo takes the yes back as\n" +
			"long as the install has not begun. What waits for a word 'patchmesh notices' lists.\n" + exits,
		Example: "  patchmesh accept openssl-3.0.15\n  patchmesh accept openssl-3.0.15 --undo",
		Args:    exactly(1, "the id of one update"),
		RunE: func(c *cobra.Command, args []string) error {
			r.Update = args[0]
			return a.wish(c, r)
		},
	}
	c.Flags().BoolVar(&r.Undo, "undo", false, "take the yes back, while the install has not begun")
	return c
}

func (a *app) postponeCmd() *cobra.Command {
	var r api.WishRequest
	c := &cobra.Command{
		Use:     "postpone UPDATE --for DURATION",
		Short:   "put an update off on this machine, within what policy allows",
		Long:    "postpone puts an update off. Policy says how often and how long (postpone-times, postpone-for); the deadline of\nthe update ends it in any case.\n" + exits,
		Example: "  patchmesh postpone openssl-3.0.15 --for 8h",
		Args:    exactly(1, "the id of one update"),
		RunE: func(c *cobra.Command, args []string) error {
			if r.Update = args[0]; r.For <= 0 {
				return api.Errorf(api.ClassUsage, "%s is no time to put it off by", r.For)
			}
			return a.wish(c, r)
		},
	}
	r.For = 8 * time.Hour
	c.Flags().Var((*spanFlag)(&r.For), "for", "how long, like 8h or 2d")
	return c
}

func (a *app) wish(c *cobra.Command, r api.WishRequest) error {
	return a.running(func(s api.Service) error {
		v, err := s.Wish(c.Context(), r)
		if err != nil {
			return err
		}
		return a.print(v, func(w io.Writer) {
			detail := ""
			if v.Detail != "" {
				detail = "; " + api.Clean(v.Detail)
			}
			switch {
			case v.Unchanged:
				fmt.Fprintf(w, "%s: nothing to accept%s\n", v.Update, detail)
				return
			case v.Accepted:
				fmt.Fprintf(w, "%s: accepted%s\n", v.Update, detail)
				return
			case v.PostponedUntil.IsZero():
				fmt.Fprintf(w, "%s: not accepted any more%s\n", v.Update, detail)
				return
			}
			fmt.Fprintf(w, "%s: postponed until %s (%d time(s) so far)\n", v.Update, v.PostponedUntil.Local().Format("2006-01-02 15:04"), v.Times)
		})
	})
}
