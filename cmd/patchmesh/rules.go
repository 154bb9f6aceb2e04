package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"patchmesh/node/api"
)

func (a *app) rulesCmd() *cobra.Command {
	c := &cobra.Command{
		Use:   "rules",
		Short: "approval rules: what is proposed for new updates",
		Long: "A rule says which new updates are laid before the approvers, for which group or ring plan. It never approves: the seed\n" +
			"prepares a draft, and 'patchmesh sign' shows and signs it as any other, with the threshold and passphrase that it takes.\n" +
			"What was decided by hand, for the same group or as a decline, is left alone, and so is what has a licence to accept.\n" +
			"Two settings do the same for what is approved already: 'patchmesh policy set approve-revisions=metadata' proposes newer\n" +
			"revisions of which only the description changed, 'decline-obsolete=yes' to decline what is withdrawn, or replaced for 30 days.\n" + exits,
		Example: "  patchmesh rules try fast --severity critical --group all\n  patchmesh rules set fast --severity critical --rings standard --deadline 14\n  patchmesh rules list\n  patchmesh rules templates",
	}
	c.AddCommand(a.rulesSetCmd(), a.rulesTryCmd(), a.rulesDropCmd(), a.rulesListCmd(), a.rulesProposeCmd(), a.rulesTemplatesCmd())
	return c
}

// ruleFlags are the flags that describe a rule.
func ruleFlags(f *pflag.FlagSet, r *api.ApprovalRule, action *string) {
	f.StringSliceVar(&r.Severities, "severity", nil, "critical, important, moderate, low or unspecified; several with commas")
	f.StringSliceVar(&r.Classifications, "classification", nil, "classification, or a pattern like 'sec*'")
	f.StringSliceVar(&r.Products, "product", nil, "product, or a pattern like 'firefox*'")
	f.StringSliceVar(&r.Updates, "update", nil, "pattern of update ids, like 'openssl-*'")
	f.StringSliceVar(&r.Sources, "source", nil, "host that the payload comes from (import --origin), or a pattern like '*.debian.org'")
	f.StringVar(&r.Group, "group", "", "group of machines that it is proposed for (with --rings: all)")
	f.StringVar(&r.RingPlan, "rings", "", "ring plan along which it goes")
	f.StringVar(action, "action", "install", "install, optional, stage-only, detect-only or decline")
	f.IntVar(&r.SoakDays, "soak", 0, "days that a revision lies in the catalogue before it is proposed")
	f.IntVar(&r.DeadlineDays, "deadline", 0, "days from the draft to the deadline (default: by severity, see 'patchmesh policy show')")
	f.IntVar(&r.DeadlineHour, "deadline-hour", 0, "hour of that day, UTC")
	f.BoolVar(&r.Existing, "existing", false, "also updates that are in the catalogue already")
}

// readRule completes a rule.
func readRule(name, action string, r *api.ApprovalRule) error {
	r.Name = name
	if r.Group == "" && r.RingPlan != "" {
		r.Group = "all"
	}
	if r.Group == "" {
		return api.Errorf(api.ClassUsage, "for which group?").WithHint("add --group NAME, or --group all for every machine, or --rings PLAN")
	}
	var err error
	if r.Action, err = api.ParseAction(action); err != nil {
		return api.Errorf(api.ClassUsage, "%v", err).WithHint("install, optional, stage-only, detect-only or decline")
	}
	return nil
}

func (a *app) proposer(f func(api.Proposer) error) error {
	return a.onSeed(func(s api.Service) error {
		p, ok := s.(api.Proposer)
		if !ok {
			return api.Errorf(api.ClassFailed, "this node knows no approval rules")
		}
		return f(p)
	})
}

func setRule(c *cobra.Command, s api.Service, r api.RuleRequest) (*api.Published, error) {
	p, ok := s.(api.Proposer)
	if !ok {
		return nil, api.Errorf(api.ClassFailed, "this node knows no approval rules")
	}
	return p.SetApprovalRule(c.Context(), r)
}

func (a *app) rulesSetCmd() *cobra.Command {
	var r api.RuleRequest
	var action, file string
	c := &cobra.Command{
		Use:   "set NAME",
		Short: "make or change an approval rule",
		Long: "set makes a rule, or another one of the same name. Of each kind of condition one value must fit; a rule has at least one\n" +
			"condition. Unless --existing is given it is about updates that come into the catalogue after it. The rule is signed like an\n" +
			"approval, and so is everything that comes of it. --template fills in the flags that are not given.\n" + exits,
		Example: `  patchmesh rules set fast --severity critical --rings standard --deadline 14 --deadline-hour 18
  patchmesh rules set fast --template fast-track --deadline 3
  patchmesh rules set rest --template thorough-test --group servers
  patchmesh rules set drivers --classification driver --group desks --action optional --soak 30
  patchmesh rules set debian --source '*.debian.org' --severity critical,important --group servers --soak 7`,
		Args: exactly(1, "the name of one rule"),
		RunE: func(c *cobra.Command, args []string) error {
			template, err := a.templatedRule(c, args[0], &action, &r.Rule)
			if err != nil {
				return err
			}
			err = a.decide(file, &r.Passphrase, func(s api.Service) (*api.Published, error) { return setRule(c, s, r) })
			if err == nil && template != nil && !a.json {
				fmt.Fprintf(a.out, "the rule in full: %s\n", api.Clean(ruleCommand(args[0], c.Flags())))
			}
			return err
		},
	}
	ruleFlags(c.Flags(), &r.Rule, &action)
	templateFlag(c.Flags())
	c.Flags().StringVar(&r.Reason, "reason", "", "why, for the approval log")
	c.Flags().StringVar(&file, "passphrase-file", "", "file whose first line is the passphrase of the approver key")
	return c
}

func (a *app) rulesTryCmd() *cobra.Command {
	var r api.ApprovalRule
	var action string
	c := &cobra.Command{
		Use:     "try NAME",
		Short:   "show what a rule would propose, without making it",
		Long:    "try takes the conditions of 'rules set' and lists every update that fits, whether it would be proposed, and if not, why.\nNothing is changed or signed.\n" + exits,
		Example: "  patchmesh rules try fast --severity critical --group all --existing",
		Args:    exactly(1, "the name of one rule"),
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := a.templatedRule(c, args[0], &action, &r); err != nil {
				return err
			}
			return a.showRules(c, api.RulesQuery{Try: &r})
		},
	}
	ruleFlags(c.Flags(), &r, &action)
	templateFlag(c.Flags())
	return c
}

func (a *app) rulesListCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "the rules, and what they fit now",
		Long:    "list shows the approval rules, and what they and the switches for revisions and declines fit now: proposed, or why not.\n" + exits,
		Example: "  patchmesh rules list\n  patchmesh rules list --json",
		Args:    exactly(0, "no arguments"),
		RunE:    func(c *cobra.Command, _ []string) error { return a.showRules(c, api.RulesQuery{}) },
	}
}

func (a *app) showRules(c *cobra.Command, q api.RulesQuery) error {
	return a.proposer(func(p api.Proposer) error {
		v, err := p.ApprovalRules(c.Context(), q)
		if err != nil {
			return err
		}
		return a.print(v, func(w io.Writer) { writeRules(w, v) })
	})
}

func writeRules(w io.Writer, v *api.Rules) {
	if len(v.Rules) == 0 {
		fmt.Fprintln(w, "no approval rules: 'patchmesh rules set' makes one")
	}
	for _, r := range v.Rules {
		fmt.Fprintln(w, api.Clean(r.String()))
	}
	if len(v.Matches) > 0 {
		fmt.Fprintln(w)
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "RULE\tUPDATE\tREVISION\tACTION\tGROUP\tDEADLINE\tPROPOSED")
		for _, m := range v.Matches {
			deadline, group, state := "by severity", m.Group, "yes"
			if !m.Deadline.IsZero() {
				deadline = m.Deadline.UTC().Format(time.RFC3339)
			}
			if m.RingPlan != "" {
				group += " along " + m.RingPlan
			}
			if !m.Proposed {
				state = "no: " + api.Clean(m.Why)
			}
			fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\t%s\n", m.Rule, m.Update, m.Revision, m.Action, api.Clean(group), deadline, state)
		}
		_ = t.Flush()
	}
	if v.Waiting {
		fmt.Fprintln(w, "\na draft of this waits for signatures: 'patchmesh sign --show' shows it, 'patchmesh sign' signs it")
	}
}

func (a *app) rulesDropCmd() *cobra.Command {
	r := api.RuleRequest{Drop: true}
	var file string
	c := &cobra.Command{
		Use:     "drop NAME",
		Short:   "take an approval rule away",
		Long:    "drop takes a rule away. What came of it stays as it is.\n" + exits,
		Example: "  patchmesh rules drop fast",
		Args:    exactly(1, "the name of one rule"),
		RunE: func(c *cobra.Command, args []string) error {
			r.Rule.Name = args[0]
			return a.decide(file, &r.Passphrase, func(s api.Service) (*api.Published, error) { return setRule(c, s, r) })
		},
	}
	c.Flags().StringVar(&r.Reason, "reason", "", "why, for the approval log")
	c.Flags().StringVar(&file, "passphrase-file", "", "file whose first line is the passphrase of the approver key")
	return c
}

func (a *app) rulesProposeCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "propose",
		Short:   "prepare the draft of what rules ask for now",
		Long:    "propose prepares the draft that a running seed prepares by itself every half minute. It signs nothing.\n" + exits,
		Example: "  patchmesh rules propose && patchmesh sign",
		Args:    exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.proposer(func(p api.Proposer) error {
				v, err := p.Propose(c.Context(), api.ProposeRequest{})
				if err == nil && v.Unchanged {
					return a.print(v, func(w io.Writer) { fmt.Fprintln(w, v.Summary) })
				}
				return a.published(v, err)
			})
		},
	}
}
