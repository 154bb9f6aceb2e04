package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"patchmesh/node/api"
)

func (a *app) orchestrationCmd() *cobra.Command {
	c := &cobra.Command{
		Use:   "orchestration",
		Short: "how many machines of a group are changed at once, and in which order",
		Long: "An orchestration binds the machines of a group in one site: only so many are at work at once. A machine takes a slot\n" +
			"before the script that goes before an update, and gives it back when the update is installed, verified, its script behind\n" +
			"has run and the machine has been restarted. The machines settle that among themselves by votes, with the seed away too;\n" +
			"without the votes of a majority nothing begins. Groups with machines in several sites need one for each site.\n" + exits,
		Example: "  patchmesh orchestration set web --group web --max 1\n  patchmesh orchestration show web",
	}
	c.AddCommand(a.orchestrationSetCmd(), a.orchestrationShowCmd(),
		a.orchestrationChange(&cobra.Command{
			Use: "refresh NAME", Short: "take the machines that the group has now as members",
			Long: "refresh signs the list of members anew: after machines were enrolled into the group, or were locked out. Lists from\n" +
				"before stay beside it until all of their machines have reported to know better.\n" + exits,
			Example: "  patchmesh orchestration refresh web",
		}, api.OrchestrationRequest{Refresh: true}),
		a.orchestrationChange(&cobra.Command{
			Use: "reset NAME", Short: "let an orchestration go on after a member has failed",
			Long: "reset lets an orchestration go on that has stopped, because a member failed or did not come back, or all took too long.\n" +
				"It takes no slot away from a machine that holds one: that ends by itself.\n" + exits,
			Example: "  patchmesh orchestration reset web --reason \"web-2 repaired\"",
		}, api.OrchestrationRequest{Reset: true}),
		a.orchestrationChange(&cobra.Command{
			Use: "drop NAME", Short: "take an orchestration away",
			Long:    "drop takes it away: machines of the group wait for nobody any more.\n" + exits,
			Example: "  patchmesh orchestration drop web",
		}, api.OrchestrationRequest{Drop: true}))
	return c
}

func (a *app) orchestrationSetCmd() *cobra.Command {
	var r api.OrchestrationRequest
	var most string
	var member, group time.Duration
	var order []string
	c := a.orchestrationChange(&cobra.Command{
		Use:   "set NAME --group GROUP --max N|N%",
		Short: "make or change an orchestration",
		Long: "set signs an orchestration, like an approval; its members are the machines that the group has in the site now. --max is\n" +
			"a number of machines, or a share of the members: rounded down, at least one, and all only for 100%. With --order members\n" +
			"go in that order; one that is not heard of is passed over after --member-timeout. That is also how long a machine may hold\n" +
			"its slot: it must cover an update's longest run with its scripts, or a restart with its warning. A member that fails stops\n" +
			"the others until 'orchestration reset', unless --go-on. --false-votes N asks for so many more votes that N members that\n" +
			"lie change nothing.\n" + exits,
		Example: `  patchmesh orchestration set web --group web --max 25% --member-timeout 45m
  patchmesh orchestration set db --group db --site berlin --max 1 --order db-2,db-3,db-1 --group-timeout 6h --reason "primary last"`,
	}, r)
	f := c.Flags()
	f.StringVar(&r.Group, "group", "", "group of machines")
	f.StringVar(&r.Site, "site", "", "site of the machines (default: the only one that the group has)")
	f.StringVar(&most, "max", "1", "machines at work at once: a number, or a share like 25%")
	f.StringSliceVar(&order, "order", nil, "machines in their order, all of them")
	spanVar(f, &member, "member-timeout", time.Hour, "how long a machine may hold a slot, and one that comes first is waited for")
	spanVar(f, &group, "group-timeout", 0, "how long all may take together; then it stops (default: as long as they need)")
	f.BoolVar(&r.GoOn, "go-on", false, "a member that fails does not stop the others")
	f.BoolVar(&r.Bypass, "user-may-bypass", false, "what a machine's user accepts by hand ('patchmesh accept') waits for no slot")
	f.IntVar(&r.Liars, "false-votes", 0, "members whose false votes change nothing")
	c.RunE = func(c *cobra.Command, args []string) error {
		if r.Group == "" {
			return api.Errorf(api.ClassUsage, "for which group?").WithHint("add --group NAME, or --group all for every machine")
		}
		if member%time.Minute != 0 || group%time.Minute != 0 {
			return api.Errorf(api.ClassUsage, "timeouts are measured in whole minutes")
		}
		n, share := strings.CutSuffix(most, "%")
		into := &r.Count
		if share {
			into = &r.Percent
		}
		if _, err := fmt.Sscanf(n+"\n", "%d\n", into); err != nil || *into < 1 || share && *into > 100 {
			return api.Errorf(api.ClassUsage, "--max %q is neither a number of machines nor a share", api.Clean(most)).WithHint("like --max 2 or --max 25%%")
		}
		r.Order, r.MemberMinutes, r.GroupMinutes = order, int(member/time.Minute), int(group/time.Minute)
		return a.decideOrchestration(c, args, r)
	}
	return c
}

// orchestrationChange gives a verb what all of them have.
func (a *app) orchestrationChange(c *cobra.Command, r api.OrchestrationRequest) *cobra.Command {
	c.Args = exactly(1, "the name of one orchestration")
	c.RunE = func(c *cobra.Command, args []string) error { return a.decideOrchestration(c, args, r) }
	c.Flags().String("reason", "", "why, for the approval log")
	c.Flags().String("passphrase-file", "", "file whose first line is the passphrase of the approver key")
	return c
}

func (a *app) decideOrchestration(c *cobra.Command, args []string, r api.OrchestrationRequest) error {
	r.Name = args[0]
	r.Reason, _ = c.Flags().GetString("reason")
	file, _ := c.Flags().GetString("passphrase-file")
	return a.decide(file, &r.Passphrase, func(s api.Service) (*api.Published, error) {
		o, ok := s.(api.Orchestrator)
		if !ok {
			return nil, errNoOrchestrations()
		}
		return o.SetOrchestration(c.Context(), r)
	})
}

func errNoOrchestrations() error {
	return api.Errorf(api.ClassFailed, "this node knows no orchestrations")
}

func (a *app) orchestrationShowCmd() *cobra.Command {
	var q api.OrchestrationQuery
	return &cobra.Command{
		Use:     "show [NAME]",
		Short:   "the orchestrations, and who holds slots",
		Long:    "show lists the orchestrations in force. On a member it tells who holds slots, this machine's place in line, its votes and\nwho was not heard; on a seed, machines of the group that are not on the list yet.\n" + exits,
		Example: "  patchmesh orchestration show\n  patchmesh orchestration show web --json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				q.Name = args[0]
			}
			return a.running(func(s api.Service) error {
				o, ok := s.(api.Orchestrator)
				if !ok {
					return errNoOrchestrations()
				}
				v, err := o.Orchestrations(c.Context(), q)
				if err != nil {
					return err
				}
				return a.print(v, func(w io.Writer) { writeOrchestrations(w, v) })
			})
		},
	}
}

func writeOrchestrations(w io.Writer, v *api.Orchestrations) {
	if len(v.Orchestrations) == 0 {
		fmt.Fprintln(w, "no orchestrations: 'patchmesh orchestration set' makes one")
	}
	for _, o := range v.Orchestrations {
		fmt.Fprintln(w, api.Clean(o.String()))
		for _, l := range []struct {
			text string
			list []string
		}{{"in the group, and not members: 'patchmesh orchestration refresh " + o.Name + "' takes them up", o.NotMembers}, {"may still go by an earlier list", o.Unsettled}} {
			if len(l.list) > 0 {
				fmt.Fprintf(w, "  %s: %s\n", l.text, api.Clean(strings.Join(l.list, ", ")))
			}
		}
		if o.Stopped != "" {
			fmt.Fprintf(w, "  it has stopped: %s\n", api.Clean(o.Stopped))
		}
		if h := o.Here; h != nil {
			writeOrchestrationHere(w, h)
		}
	}
}

func writeOrchestrationHere(w io.Writer, h *api.OrchestrationHere) {
	fmt.Fprintf(w, "  %s is %s", api.Clean(h.Machine), h.Phase)
	if h.Place > 0 {
		fmt.Fprintf(w, ", number %d in line", h.Place)
	}
	if h.LeftSeconds > 0 {
		fmt.Fprintf(w, ", its slot ends in %s", time.Duration(h.LeftSeconds*float64(time.Second)).Round(time.Second))
	}
	fmt.Fprintf(w, "; it has %d of the %d votes that a slot needs\n", h.Votes, h.Quorum)
	for _, l := range []struct {
		text string
		list []string
	}{{"slots are held by", h.Holders}, {"before it in line", h.Ahead}, {"waited for long enough", h.Passed}, {"not heard lately", h.Silent}} {
		if len(l.list) > 0 {
			fmt.Fprintf(w, "  %s: %s\n", l.text, api.Clean(strings.Join(l.list, ", ")))
		}
	}
	if h.Why != "" {
		fmt.Fprintf(w, "  it waits: %s\n", api.Clean(h.Why))
	}
}
