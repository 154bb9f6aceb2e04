package main

import (
	"fmt"
	"io"
	"os/user"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"patchmesh/node/api"
)

func (a *app) evidenceCmd() *cobra.Command {
	c := &cobra.Command{
		Use:   "evidence record|show",
		Short: "what was tested of an update before it goes to everybody",
		Long: "A ring of a plan may ask for test evidence, see 'patchmesh rings set'. People record that the business programs work\n" +
			"(business), that a machine restarts properly (restart) and that the update can be taken off (rollback). That it is\n" +
			"effective is what the machines of the open rings report. A removal along rings that ask for anything is asked for\n" +
			"the rollback check besides. A new revision or other bytes have to be tested anew.\n" + exits,
		Example: "  patchmesh evidence record openssl-3.0.15 --check business\n  patchmesh evidence show openssl-3.0.15",
		Args:    exactly(1, "record or show"),
		RunE: func(*cobra.Command, []string) error {
			return api.Errorf(api.ClassUsage, "what about the evidence?").WithHint("record or show")
		},
	}
	c.AddCommand(a.evidenceRecordCmd(), a.evidenceShowCmd())
	return c
}

func (a *app) evidenceRecordCmd() *cobra.Command {
	var r api.EvidenceRequest
	var checks []string
	var failed bool
	c := &cobra.Command{
		Use:     "record UPDATE --check CHECK...",
		Short:   "note that a check was made, by whom and when",
		Long:    "record notes a check of the newest revision of an update in the books of the seed.\n" + exits,
		Example: "  patchmesh evidence record openssl-3.0.15 --check business --check restart --note \"till 4 in the lab\"\n  patchmesh evidence record openssl-3.0.15 --check rollback --failed --note \"the service stays down\"",
		Args:    exactly(1, "the id of one update"),
		RunE: func(c *cobra.Command, args []string) error {
			r.Update, r.Passed = args[0], !failed
			if r.By == "" {
				if u, err := user.Current(); err == nil {
					r.By = u.Username
				}
			}
			if len(checks) == 0 {
				return api.Errorf(api.ClassUsage, "which check was made?").WithHint("--check business, restart or rollback")
			}
			return a.onSeed(func(s api.Service) error {
				var last *api.Evidence
				for _, r.Check = range checks {
					var err error
					if last, err = s.RecordEvidence(c.Context(), r); err != nil {
						return err
					}
				}
				return a.print(last, func(w io.Writer) { writeEvidence(w, last) })
			})
		},
	}
	f := c.Flags()
	f.StringArrayVar(&checks, "check", nil, "business, restart or rollback; may be repeated")
	f.BoolVar(&failed, "failed", false, "it was made, and did not pass")
	f.IntVar(&r.Revision, "revision", 0, "revision that was tested (default: the newest)")
	f.StringVar(&r.By, "by", "", "who has made it (default: this user)")
	f.StringVar(&r.Note, "note", "", "what was seen")
	return c
}

func (a *app) evidenceShowCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "show UPDATE",
		Short:   "how the checks of an update stand",
		Long:    "show tells of each check whether it has passed, who has recorded it and when, or what is missing.\n" + exits,
		Example: "  patchmesh evidence show openssl-3.0.15 --json",
		Args:    exactly(1, "the id of one update"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.onSeed(func(s api.Service) error {
				v, err := s.Evidence(c.Context(), api.EvidenceQuery{Update: args[0]})
				if err != nil {
					return err
				}
				return a.print(v, func(w io.Writer) { writeEvidence(w, v) })
			})
		},
	}
}

func writeEvidence(w io.Writer, v *api.Evidence) {
	fmt.Fprintf(w, "%s revision %d\n", v.Update, v.Revision)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range v.Checks {
		fmt.Fprintf(t, "  %s\t%s\t%s\n", c.Check, yes(c.OK, "ok", "missing"), api.Clean(c.Text))
	}
	_ = t.Flush()
	for _, r := range v.Records {
		if r.Note != "" {
			fmt.Fprintf(w, "  %s: %s\n", r.Check, api.Clean(r.Note))
		}
	}
}
