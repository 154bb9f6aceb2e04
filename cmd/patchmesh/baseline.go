package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"patchmesh/node/api"
)

func (a *app) baselineCmd() *cobra.Command {
	c := &cobra.Command{
		Use:   "baseline",
		Short: "what every machine of a group must have, a new or rebuilt one first of all",
		Long: "A baseline is a signed set of updates by which machines are measured: 'status' and 'baseline show' say which machines\n" +
			"lack what of it. An update counts as there when it, or one that replaces it, was found installed, and when the machine has\n" +
			"found that it is for other machines. A baseline approves nothing: what is to be installed is still approved.\n" + exits,
		Example: "  patchmesh baseline set --group all openssl-3.0.15 ca-certs-2026\n  patchmesh baseline update --group all\n  patchmesh baseline show",
	}
	c.AddCommand(a.baselineShowCmd(), a.baselineSetCmd(), a.baselineUpdateCmd(), a.baselineDropCmd())
	return c
}

func (a *app) baselineShowCmd() *cobra.Command {
	var q api.BaselineQuery
	c := &cobra.Command{
		Use:     "show [GROUP]",
		Short:   "the baselines, and which machines lack what of them",
		Long:    "show lists the baselines, updates of them that nothing approved now brings to all machines of the group, and how the\nmachines stand by their reports. A machine that has not reported lacks everything.\n" + exits,
		Example: "  patchmesh baseline show\n  patchmesh baseline show servers --json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				q.Group = args[0]
			}
			return a.running(func(s api.Service) error {
				m, ok := s.(api.Measurer)
				if !ok {
					return api.Errorf(api.ClassFailed, "this node knows no baselines")
				}
				v, err := m.Baselines(c.Context(), q)
				if err != nil {
					return err
				}
				return a.print(v, func(w io.Writer) { writeBaselines(w, v) })
			})
		},
	}
	return c
}

func writeBaselines(w io.Writer, v *api.Baselines) {
	if len(v.Baselines) == 0 {
		fmt.Fprintln(w, "no baselines: 'patchmesh baseline set' makes one")
		return
	}
	for _, b := range v.Baselines {
		fmt.Fprintf(w, "baseline %s\n", api.Clean(b.String()))
		if len(b.Unapproved) > 0 {
			fmt.Fprintf(w, "  not approved for all of the group: %s\n", strings.Join(b.Unapproved, ", "))
		}
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "MACHINE\tASKED\tLACKS")
	for _, m := range v.Machines {
		lacks := "nothing"
		if len(m.Missing) > 0 {
			lacks = strings.Join(m.Missing, ", ")
		}
		fmt.Fprintf(t, "%s\t%d\t%s\n", api.Clean(m.Machine), m.Asked, lacks)
	}
	_ = t.Flush()
}

// writeLacking tells of the machines of a fleet that are behind their baseline.
func writeLacking(w io.Writer, f *api.Fleet) {
	for _, m := range f.Machines {
		if n := len(m.BaselineMissing); n > 0 {
			fmt.Fprintf(w, "%s lacks %d of its baseline: %s\n", api.Clean(m.Name), n, api.Clean(strings.Join(m.BaselineMissing[:min(n, 10)], ", ")))
		}
	}
}

func (a *app) baselineSetCmd() *cobra.Command {
	return a.baselineChange(&cobra.Command{
		Use:     "set UPDATE... --group GROUP",
		Short:   "state the baseline of a group",
		Long:    "set states all updates of the baseline, in place of what it was before.\n" + exits,
		Example: "  patchmesh baseline set --group all openssl-3.0.15 ca-certs-2026",
		Args:    cobra.MinimumNArgs(1),
	}, api.BaselineRequest{})
}

func (a *app) baselineUpdateCmd() *cobra.Command {
	return a.baselineChange(&cobra.Command{
		Use:     "update --group GROUP",
		Short:   "state the baseline of a group by what is approved now",
		Long:    "update takes everything that is approved for installation on all machines of the group: not what has only reached some\nrings, nor what others among it replace, nor mitigations.\n" + exits,
		Example: "  patchmesh baseline update --group servers --reason \"review of November\"",
		Args:    exactly(0, "no arguments"),
	}, api.BaselineRequest{FromApprovals: true})
}

func (a *app) baselineDropCmd() *cobra.Command {
	return a.baselineChange(&cobra.Command{
		Use:     "drop --group GROUP",
		Short:   "take the baseline of a group away",
		Long:    "drop takes the baseline of a group away; those of the groups around it still count.\n" + exits,
		Example: "  patchmesh baseline drop --group servers",
		Args:    exactly(0, "no arguments"),
	}, api.BaselineRequest{Drop: true})
}

func (a *app) baselineChange(c *cobra.Command, r api.BaselineRequest) *cobra.Command {
	var file string
	c.RunE = func(c *cobra.Command, args []string) error {
		if r.Updates = args; r.Group == "" {
			return api.Errorf(api.ClassUsage, "for which group?").WithHint("add --group NAME, or --group all for every machine")
		}
		return a.decide(file, &r.Passphrase, func(s api.Service) (*api.Published, error) {
			m, ok := s.(api.Measurer)
			if !ok {
				return nil, api.Errorf(api.ClassFailed, "this node knows no baselines")
			}
			return m.SetBaseline(c.Context(), r)
		})
	}
	c.Flags().StringVar(&r.Group, "group", "", "group of machines; all is every machine")
	c.Flags().StringVar(&r.Reason, "reason", "", "why, for the approval log")
	c.Flags().StringVar(&file, "passphrase-file", "", "file whose first line is the passphrase of the approver key")
	return c
}
