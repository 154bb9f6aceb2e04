package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"patchmesh/node/api"
)

func (a *app) ringsCmd() *cobra.Command {
	c := &cobra.Command{
		Use:   "rings",
		Short: "ring plans: test, pilot, everybody",
		Long: "An update that is approved along a ring plan reaches the groups of its first ring, and each further ring only\n" +
			"after the one before has shown that it works. When too many machines fail it is held everywhere.\n" + exits,
		Example: "  patchmesh rings set standard --ring 'pilot:groups=pilot,count=2,soak=24h,fail=1' --ring 'broad:groups=all,fail=5%'\n  patchmesh approve openssl-3.0.15 --rings standard\n  patchmesh rings list",
	}
	c.AddCommand(a.ringsSetCmd(), a.ringsDropCmd(), a.ringsListCmd())
	return c
}

func (a *app) ringsSetCmd() *cobra.Command {
	var r api.RingsRequest
	var rings []string
	var file string
	c := &cobra.Command{
		Use:   "set NAME --ring RING...",
		Short: "make or change a ring plan",
		Long: "Each --ring is NAME:KEY=VALUE,... in the order in which they are reached. Keys:\n" +
			"  groups=G+G    whose machines are in it; a machine is in the first ring that names one of its groups\n" +
			"  success=95%   the next ring opens when so many of those that need the update have it; in a small ring all of them.\n" +
			"                That is the default of one that says neither success nor count nor manual; success=0 asks for nothing\n" +
			"  count=2       ... and at least so many machines; a smaller ring needs all it has\n" +
			"  soak=24h      ... and no sooner than so long after this ring was opened\n" +
			"  manual        ... and only by 'patchmesh promote'\n" +
			"  skip-empty    where no machine of this ring needs the update, go on once it has soaked; else 'patchmesh promote' must\n" +
			"  fail=1        hold the update everywhere when so many machines have failed, or fail=10%; default 1, fail=0 never\n" +
			"  evidence=C+C  it opens only after these checks: business, restart, rollback, effectiveness; see 'patchmesh evidence';\n" +
			"                a removal is asked for the rollback check besides, and what approval rules propose for the same as all\n" +
			"  spread=8h     its machines begin one after the other over so long\n" +
			"Changing a plan is signed like an approval, and so is every promotion.\n" + exits,
		Example: `  patchmesh rings set standard --ring 'test:groups=lab,count=1,fail=1' \
    --ring 'pilot:groups=pilot+it,success=90%,count=3,soak=48h,fail=1' --ring 'broad:groups=all,fail=5%,spread=8h'`,
		Args: exactly(1, "the name of one plan"),
		RunE: func(c *cobra.Command, args []string) error {
			r.Plan.Name = args[0]
			for i, text := range rings {
				if err := addRing(&r, text, i == len(rings)-1); err != nil {
					return err
				}
			}
			return a.setRings(c, r, file)
		},
	}
	c.Flags().StringArrayVar(&rings, "ring", nil, "one ring, see above; may be repeated, in order")
	c.Flags().StringVar(&r.Reason, "reason", "", "why, for the approval log")
	c.Flags().StringVar(&file, "passphrase-file", "", "file whose first line is the passphrase of the approver key")
	return c
}

func (a *app) setRings(c *cobra.Command, r api.RingsRequest, file string) error {
	return a.decide(file, &r.Passphrase, func(s api.Service) (*api.Published, error) { return s.SetRings(c.Context(), r) })
}

// addRing reads NAME:KEY=VALUE,...
func addRing(r *api.RingsRequest, text string, last bool) error {
	name, rest, ok := strings.Cut(text, ":")
	ring := api.Ring{Name: name}
	wrong := func(part string) error {
		return api.Errorf(api.ClassUsage, "--ring %q: %q is not understood", text, part).WithHint("like 'pilot:groups=pilot,count=2,soak=24h,fail=1'; lengths of time in whole minutes")
	}
	if !ok || name == "" {
		return wrong(text)
	}
	said := api.RingSaid{Success: last} // nothing comes after the last one
	for part := range strings.SplitSeq(rest, ",") {
		key, value, _ := strings.Cut(part, "=")
		number, percent := strings.CutSuffix(value, "%")
		n, numberErr := strconv.Atoi(number)
		span, spanErr := api.ParseSpan(value)
		switch {
		case key == "groups" && value != "":
			ring.Groups = strings.Split(value, "+")
		case key == "evidence" && value != "":
			for c := range strings.SplitSeq(value, "+") {
				ring.Evidence = append(ring.Evidence, api.Check(c))
			}
		case key == "manual" && value == "":
			ring.Manual, said.Success = true, true
		case key == "skip-empty" && value == "":
			ring.SkipEmpty = true
		case key == "success" && (percent || value == "0") && numberErr == nil:
			ring.SuccessPercent, said.Success = n, true
		case key == "count" && !percent && numberErr == nil:
			ring.SuccessCount, said.Success = n, true
		case key == "fail" && numberErr == nil && percent:
			ring.FailPercent, said.Failure = n, true
		case key == "fail" && numberErr == nil:
			ring.FailCount, said.Failure = n, true
		case key == "soak" && spanErr == nil && span%time.Minute == 0:
			ring.SoakMinutes = int(span / time.Minute)
		case key == "spread" && spanErr == nil && span%time.Minute == 0:
			ring.SpreadMinutes = int(span / time.Minute)
		default:
			return wrong(part)
		}
	}
	r.Plan.Rings = append(r.Plan.Rings, ring.Usual(said))
	return nil
}

func (a *app) ringsDropCmd() *cobra.Command {
	r := api.RingsRequest{Drop: true}
	var file string
	c := &cobra.Command{
		Use:     "drop NAME",
		Short:   "take a ring plan away",
		Long:    "drop takes a plan away that no approval goes along any more.\n" + exits,
		Example: "  patchmesh rings drop standard",
		Args:    exactly(1, "the name of one plan"),
		RunE: func(c *cobra.Command, args []string) error {
			r.Plan.Name = args[0]
			return a.setRings(c, r, file)
		},
	}
	c.Flags().StringVar(&r.Reason, "reason", "", "why, for the approval log")
	c.Flags().StringVar(&file, "passphrase-file", "", "file whose first line is the passphrase of the approver key")
	return c
}

func (a *app) ringsListCmd() *cobra.Command {
	var q api.RingsQuery
	c := &cobra.Command{
		Use:     "list [UPDATE]",
		Short:   "the plans, and how far updates have got along them",
		Long:    "list shows the ring plans and, for each update that goes along one, its rings with what their machines have\nreported, what is due next, and why.\n" + exits,
		Example: "  patchmesh rings list\n  patchmesh rings list openssl-3.0.15",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				q.Update = args[0]
			}
			return a.onSeed(func(s api.Service) error {
				v, err := s.Rings(c.Context(), q)
				if err != nil {
					return err
				}
				return a.print(v, func(w io.Writer) { writeRings(w, v) })
			})
		},
	}
	return c
}

func writeRings(w io.Writer, v *api.Rings) {
	if len(v.Plans) == 0 {
		fmt.Fprintln(w, "no ring plans: 'patchmesh rings set' makes one")
	}
	for _, p := range v.Plans {
		fmt.Fprintln(w, api.Clean(p.String()))
	}
	writeDrafts(w, v.Drafts)
	for _, o := range v.Rollouts {
		state := o.Next
		if o.Held {
			state = "held"
		}
		whose := ""
		if o.Group != "" && o.Group != "all" { // one update may go along a plan for several groups
			whose = " for group " + o.Group
		}
		fmt.Fprintf(w, "\n%s revision %d%s along %s: %s (%s)\n", o.Update, o.Revision, whose, o.Plan, state, api.Clean(o.Why))
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "  RING\tOPENED\tMACHINES\tNEED IT\tINSTALLED\tFAILED")
		for _, r := range o.Rings {
			opened := "not yet"
			if !r.OpenedAt.IsZero() {
				opened = r.OpenedAt.Local().Format("2006-01-02 15:04")
			}
			fmt.Fprintf(t, "  %s\t%s\t%d\t%d\t%d\t%d\n", r.Ring, opened, r.Machines, r.Needed, r.Installed, r.Failed)
		}
		_ = t.Flush()
	}
}

func (a *app) promoteCmd() *cobra.Command {
	var r api.PromoteRequest
	var file string
	c := &cobra.Command{
		Use:     "promote UPDATE",
		Short:   "open the next ring of an update's plan",
		Long:    "promote opens the next ring now, whatever the plan still waits for. Where machines have failed it refuses,\nunless --force is given.\n" + exits,
		Example: "  patchmesh promote openssl-3.0.15 --reason \"pilot users are content\"",
		Args:    exactly(1, "the id of one update"),
		RunE: func(c *cobra.Command, args []string) error {
			r.Update = args[0]
			return a.decide(file, &r.Passphrase, func(s api.Service) (*api.Published, error) { return s.Promote(c.Context(), r) })
		},
	}
	c.Flags().BoolVar(&r.Force, "force", false, "although machines have failed")
	c.Flags().StringVar(&r.Reason, "reason", "", "why, for the approval log")
	c.Flags().StringVar(&file, "passphrase-file", "", "file whose first line is the passphrase of the approver key")
	return c
}
