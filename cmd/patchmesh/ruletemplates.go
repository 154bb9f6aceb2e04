package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"patchmesh/node/api"
)

// ruleTemplate is a set of defaults for the flags of a rule. It is gone once the rule is made: what approvers sign and
// what every machine reads is the rule with all its values, so that nobody has to know what a template meant in
// the version of somebody else.
type ruleTemplate struct {
	name, purpose string
	flags         [][2]string // name and value, as on a command line
	rings         []string    // of the plan that the rule goes along, as 'rings set --ring' reads them; none: any plan or none
}

// ruleTemplates are the two ways in which an update is planned. By severity they share out all that comes: none is fit
// by both, and none by neither.
//
// The fast one has a deadline of two days because deadlines fall on a full hour of a day: one day from a draft at
// 23:59 is a minute. The thorough one leaves it to the severity, which counts from when a machine's ring is opened:
// a date fixed by the draft may have passed before the tests are done, and then users cannot postpone any more.
var ruleTemplates = []ruleTemplate{
	{
		name: "fast-track", purpose: "what is critical: proposed at once for everybody, to be done within two days",
		flags: [][2]string{{"severity", "critical"}, {"group", "all"}, {"deadline", "2"}},
	}, {
		name: "thorough-test", purpose: "all the rest: three days in the catalogue, a week on the pilot machines, and tested before it goes to everybody",
		flags: [][2]string{{"severity", "important,moderate,low,unspecified"}, {"group", "all"}, {"rings", "thorough-test"}, {"soak", "3"}},
		rings: []string{"pilot:groups=pilot,success=100%,count=2,soak=168h,fail=1", "broad:groups=all,fail=5%,spread=8h,evidence=business+restart+rollback+effectiveness"},
	},
}

// templateFlag adds --template.
func templateFlag(f *pflag.FlagSet) {
	f.String("template", "", "defaults for the other flags, see 'patchmesh rules templates'")
}

// expandTemplate gives the flags that nobody has set the values of --template. Nil without one.
func expandTemplate(f *pflag.FlagSet) (*ruleTemplate, error) {
	if !f.Changed("template") {
		return nil, nil
	}
	name, err := f.GetString("template")
	if err != nil {
		return nil, err
	}
	var known []string
	for i := range ruleTemplates {
		if t := &ruleTemplates[i]; t.name == name {
			return t, t.expand(f)
		}
		known = append(known, ruleTemplates[i].name)
	}
	return nil, api.Errorf(api.ClassUsage, "no rule template %.60q", name).WithHint("known are %s; 'patchmesh rules templates' shows them", strings.Join(known, " and "))
}

// templatedRule completes a rule from its flags and the template that they name. It returns the template, or nil.
func (a *app) templatedRule(c *cobra.Command, name string, action *string, r *api.ApprovalRule) (*ruleTemplate, error) {
	t, err := expandTemplate(c.Flags())
	if err != nil {
		return nil, err
	}
	if err := readRule(name, *action, r); err != nil {
		return nil, err
	}
	return t, a.checkPlan(c, t, r)
}

func (t *ruleTemplate) expand(f *pflag.FlagSet) error {
	for _, v := range t.flags {
		if f.Changed(v[0]) {
			continue
		}
		if err := f.Set(v[0], v[1]); err != nil {
			return fmt.Errorf("rule template %s: --%s: %w", t.name, v[0], err)
		}
	}
	return nil
}

// prepare is the command that makes the ring plan of a template; empty if it has none.
func (t *ruleTemplate) prepare() string {
	if len(t.rings) == 0 {
		return ""
	}
	s := "patchmesh rings set " + t.name
	for _, r := range t.rings {
		s += " --ring " + quote(r)
	}
	return s
}

// checkPlan refuses a rule that would be thorough by name only: the plan that it goes along is there, and keeps an
// update from everybody until a ring before has soaked and the tests are recorded. Templates without rings ask for
// nothing. ClassNotFound, ClassUsage.
func (a *app) checkPlan(c *cobra.Command, t *ruleTemplate, r *api.ApprovalRule) error {
	if t == nil || len(t.rings) == 0 {
		return nil
	}
	if r.RingPlan == "" {
		return api.Errorf(api.ClassUsage, "rule template %s goes along a ring plan", t.name).WithHint("leave --rings out, or name a plan; without --template a rule needs none")
	}
	return a.onSeed(func(s api.Service) error {
		v, err := s.Rings(c.Context(), api.RingsQuery{})
		if err != nil {
			return err
		}
		i := 0
		for i < len(v.Plans) && v.Plans[i].Name != r.RingPlan {
			i++
		}
		if i == len(v.Plans) {
			return api.Errorf(api.ClassNotFound, "no ring plan %q is in force", api.Clean(r.RingPlan)).WithHint("make one, with your own groups, and sign it: %s", t.prepare())
		}
		if lacks := untested(v.Plans[i].Rings); lacks != "" {
			return api.Errorf(api.ClassUsage, "ring plan %s is no thorough test: %s", api.Clean(r.RingPlan), lacks).
				WithHint("change it ('patchmesh rings set'), name another one with --rings, or leave --template out")
		}
		return nil
	})
}

// untested is what rings lack to be a test before everybody has an update; empty if they lack nothing. Everybody is the
// first ring of all machines, or else the last one.
func untested(rings []api.Ring) string {
	broad := slices.IndexFunc(rings, func(r api.Ring) bool { return slices.Contains(r.Groups, "all") })
	if broad < 0 {
		broad = len(rings) - 1
	}
	switch {
	case broad < 1:
		return "no ring comes before everybody"
	case !slices.ContainsFunc(rings[:broad], func(r api.Ring) bool { return r.SoakMinutes > 0 }):
		return "no ring before " + api.Clean(rings[broad].Name) + " soaks"
	case len(rings[broad].Evidence) == 0:
		return "ring " + api.Clean(rings[broad].Name) + " asks for no evidence"
	}
	return ""
}

// ruleCommand is the command line without a template that makes the rule which flags describe.
func ruleCommand(name string, f *pflag.FlagSet) string {
	own := pflag.NewFlagSet("", pflag.ContinueOnError)
	own.SortFlags = false
	ruleFlags(own, new(api.ApprovalRule), new(string))
	s := "patchmesh rules set " + quote(name)
	own.VisitAll(func(o *pflag.Flag) {
		value := f.Lookup(o.Name).Value.String()
		switch {
		case value == o.DefValue:
			return
		case o.Value.Type() == "bool":
			s += " --" + o.Name
			return
		case o.Value.Type() == "stringSlice":
			value = strings.TrimSuffix(strings.TrimPrefix(value, "["), "]")
		}
		s += " --" + o.Name + " " + quote(value)
	})
	return s
}

// quote makes one word of a shell of a text.
func quote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.,/", r)
	}
	if s != "" && strings.TrimFunc(s, plain) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// templateFacts is what 'rules templates' tells of one.
type templateFacts struct {
	Name    string            `json:"name"`
	Purpose string            `json:"purpose"`
	Flags   map[string]string `json:"flags"`
	Command string            `json:"command"`           // the same in full, for a rule NAME
	Rings   []api.Ring        `json:"rings,omitempty"`   // of the plan along which it goes, as a proposal
	Prepare string            `json:"prepare,omitempty"` // the command that makes that plan
}

func (t *ruleTemplate) facts() (*templateFacts, error) {
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	ruleFlags(f, new(api.ApprovalRule), new(string))
	if err := t.expand(f); err != nil {
		return nil, err
	}
	out := &templateFacts{Name: t.name, Purpose: t.purpose, Flags: map[string]string{}, Command: ruleCommand("NAME", f), Prepare: t.prepare()}
	for _, v := range t.flags {
		out.Flags[v[0]] = v[1]
	}
	var r api.RingsRequest
	for i, ring := range t.rings {
		if err := addRing(&r, ring, i == len(t.rings)-1); err != nil {
			return nil, err
		}
	}
	out.Rings = r.Plan.Rings
	return out, nil
}

func (a *app) rulesTemplatesCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "templates",
		Short: "the templates for rules, and what they expand to",
		Long: "templates shows what 'patchmesh rules set NAME --template TEMPLATE' makes: a rule like any other, with every value written\n" +
			"out. A template is defaults for flags; flags that are given count instead, and an empty one takes a condition away.\n" +
			"thorough-test wants a ring plan that soaks and asks for evidence before everybody; it is shown, and made by hand, since\n" +
			"only you know your groups. No node is asked.\n" + exits,
		Example: "  patchmesh rules templates\n  patchmesh rules set fast --template fast-track --deadline-hour 18\n  patchmesh rules set security --template fast-track --severity= --classification security",
		Args:    exactly(0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			var v struct {
				Templates []*templateFacts `json:"templates"`
			}
			for i := range ruleTemplates {
				f, err := ruleTemplates[i].facts()
				if err != nil {
					return err
				}
				v.Templates = append(v.Templates, f)
			}
			return a.print(v, func(w io.Writer) {
				for _, t := range v.Templates {
					fmt.Fprintf(w, "%s: %s\n  %s\n", t.Name, t.Purpose, t.Command)
					if t.Prepare != "" {
						fmt.Fprintf(w, "  along a ring plan like this, which must be there before:\n  %s\n", t.Prepare)
					}
				}
			})
		},
	}
}
