package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"patchmesh/node"
	"patchmesh/node/api"
)

func (a *app) enrolCmd() *cobra.Command {
	c := &cobra.Command{
		Use:     "enrol",
		Short:   "decide on machines that want to join, answer those on a stick, change the key that lets them in",
		Long:    "enrol holds what the seed does about requests to join (list, accept, reject, answer) and about the keys that sign\nmembership certificates (keys, rotate, withdraw).\n" + exits,
		Example: "  patchmesh enrol list\n  patchmesh enrol accept 5f0c2a91b7d4e863",
		Args:    exactly(0, "one of "+enrolVerbs),
		RunE: func(c *cobra.Command, _ []string) error {
			return api.Errorf(api.ClassUsage, "'%s' needs one of %s", c.CommandPath(), enrolVerbs).WithHint("see '%s --help'", c.CommandPath())
		},
	}
	c.AddCommand(a.enrolListCmd(), a.enrolDecideCmd("accept", true), a.enrolDecideCmd("reject", false), a.enrolAnswerCmd())
	c.AddCommand(a.enrolKeysCmd(), a.enrolRotateCmd(), a.enrolWithdrawCmd())
	return c
}

const enrolVerbs = "list, accept, reject, answer, keys, rotate, withdraw"

func (a *app) enrolListCmd() *cobra.Command {
	var q api.EnrolQuery
	c := &cobra.Command{
		Use:     "list",
		Short:   "machines that wait for an admin's word",
		Long:    "list shows the machines that used a token of 'patchmesh invite --approve-each' and wait.\n" + exits,
		Example: "  patchmesh enrol list\n  patchmesh enrol list --all --json",
		Args:    exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.onSeed(func(s api.Service) error {
				l, err := s.EnrolRequests(c.Context(), q)
				if err != nil {
					return err
				}
				return a.print(l, func(w io.Writer) { writeRequests(w, l) })
			})
		},
	}
	c.Flags().BoolVar(&q.All, "all", false, "also those that were decided, and machines whose hardware joined anew")
	return c
}

func writeRequests(w io.Writer, l *api.EnrolList) {
	if len(l.Requests) == 0 {
		fmt.Fprintln(w, "no machine waits")
	} else {
		t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
		fmt.Fprintln(t, "REQUEST\tNAME\tSITE\tGROUPS\tSTATE\tSINCE\tMACHINE\tSAME HARDWARE AS")
		for _, r := range l.Requests {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, api.Clean(r.Name), r.Site, strings.Join(r.Groups, ","), r.State,
				r.At.Local().Format("2006-01-02 15:04"), shortID(r.Machine), api.Clean(strings.Join(r.SameHardware, ", ")))
		}
		_ = t.Flush()
	}
	for _, m := range l.Replaced {
		note := ""
		if m.StillThere {
			note = "; but it is still heard: two machines, or a copied key"
		}
		fmt.Fprintf(w, "%s (%s) was set up anew on %s as %s%s\n", api.Clean(m.Name), shortID(m.ID), m.At.Local().Format("2006-01-02"), shortID(m.By), note)
	}
}

func (a *app) enrolDecideCmd(verb string, accept bool) *cobra.Command {
	return &cobra.Command{
		Use:     verb + " REQUEST",
		Short:   verb + " one machine's request to join",
		Long:    verb + " keeps an admin's word on a request. The machine shows the same number: compare them. It hears the word when it asks again.\n" + exits,
		Example: "  patchmesh enrol " + verb + " 5f0c2a91b7d4e863",
		Args:    exactly(1, "the number of one request"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.onSeed(func(s api.Service) error {
				r, err := s.DecideEnrol(c.Context(), api.EnrolDecision{ID: args[0], Accept: accept})
				if err != nil {
					return err
				}
				return a.print(r, func(w io.Writer) {
					fmt.Fprintf(w, "%s  %s (%s), site %s: %s\n", r.ID, api.Clean(r.Name), shortID(r.Machine), r.Site, r.State)
				})
			})
		},
	}
}

func (a *app) enrolAnswerCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "answer DIR",
		Short:   "answer the requests to join on a stick",
		Long:    "answer reads the requests that 'patchmesh join --via' has written below DIR and writes the answers beside them.\nThe same rules hold as on the network: tokens, their uses and their end, an admin's word.\n" + exits,
		Example: "  patchmesh enrol answer /media/stick",
		Args:    exactly(1, "one folder"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.onSeed(func(s api.Service) error {
				r, err := node.AnswerStick(c.Context(), s, args[0])
				if err != nil {
					return err
				}
				return a.print(r, func(w io.Writer) {
					fmt.Fprintf(w, "members %d, waiting for an admin %d, refused %d, for other seeds %d, no requests %d\n", r.Members, r.Waiting, r.Refused, r.Foreign, r.Skipped)
					if r.Waiting > 0 {
						fmt.Fprintln(w, "next: 'patchmesh enrol list', accept them, and answer once more")
					}
				})
			})
		},
	}
}
