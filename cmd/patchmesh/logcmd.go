package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"patchmesh/node/api"
)

func (a *app) logCmd() *cobra.Command {
	c := &cobra.Command{
		Use:     "log",
		Short:   "what happened",
		Long:    "log reads the records that patchmesh keeps.\n" + exits,
		Example: "  patchmesh log approval --verify\n  patchmesh log events --since 24h\n  patchmesh log sync --last 10",
	}
	c.AddCommand(a.logApprovalCmd(), a.logEventsCmd(), a.logSyncCmd())
	return c
}

// newestFlags choose the end of a log.
type newestFlags struct {
	since string
	last  int
}

func (n *newestFlags) flags(f *pflag.FlagSet, last int) {
	f.StringVar(&n.since, "since", "", "how long ago, as 24h or 7d, or a day, as 2026-11-01 (default: from the beginning)")
	f.IntVar(&n.last, "last", last, "at most so many, the newest")
}

// read gives the time to begin at, zero for the beginning, and the number of rows.
func (n *newestFlags) read(c *cobra.Command) (since time.Time, last int, err error) {
	if c.Flags().Changed("last") && n.last < 1 || n.last > api.MaxEvents {
		return since, 0, api.Errorf(api.ClassUsage, "--last %d: it is a number from 1 to %d", n.last, api.MaxEvents)
	}
	if n.since != "" {
		since, err = readDay(n.since, time.Now())
	}
	return since, n.last, err
}

func (a *app) logApprovalCmd() *cobra.Command {
	var verify bool
	var at string
	c := &cobra.Command{
		Use:   "approval",
		Short: "who approved what, when and why",
		Long: "approval prints the approval log: one entry per publication, hash-chained, with the approvers' signatures. --verify\n" +
			"fails (exit code 3) unless every entry holds and the log ends as the roster says and leads through every checkpoint\n" +
			"that this machine has seen. --at prints what was approved at a time, made again from the log alone.\n" + exits,
		Example: "  patchmesh log approval --verify\n  patchmesh log approval --at 2026-04-01T20:00:00Z --json",
		Args:    exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			var q api.LogQuery
			if at != "" {
				t, err := time.Parse(time.RFC3339, at)
				if err != nil {
					return api.Errorf(api.ClassUsage, "--at %q is no time", at).WithHint("like 2026-04-01T20:00:00Z")
				}
				q.At = t
			}
			return a.onSeed(func(s api.Service) error {
				l, err := s.ApprovalLog(c.Context(), q)
				if err != nil {
					return err
				}
				if err := a.print(l, func(w io.Writer) { showLog(w, l) }); err != nil {
					return err
				}
				if (verify || at != "") && !l.Verified {
					return api.Errorf(api.ClassRefused, "the approval log does not hold: %s", l.Trouble).
						WithHint("compare with a backup of the data folder; every machine keeps the checkpoints that it has seen")
				}
				return nil
			})
		},
	}
	c.Flags().BoolVar(&verify, "verify", false, "fail unless the whole log holds")
	c.Flags().StringVar(&at, "at", "", "what was approved at this time (RFC 3339)")
	return c
}

func showLog(w io.Writer, l *api.ApprovalLog) {
	if !l.At.IsZero() {
		fmt.Fprintf(w, "approved at %s:\n", l.At.UTC().Format(time.RFC3339))
		for _, s := range l.InForce {
			fmt.Fprintf(w, "  %s\n", api.Clean(s))
		}
		return
	}
	for _, e := range l.Entries {
		whose := fmt.Sprintf("epoch %d to %d", e.Before, e.After)
		if e.Role != "" {
			whose = fmt.Sprintf("role %s, serial %d to %d", e.Role, e.Before, e.After)
		}
		fmt.Fprintf(w, "%4d  %s  %s\n      signed by %s (%d needed)\n      reason: %s\n", e.Index, e.At.UTC().Format(time.RFC3339), whose,
			strings.Join(e.Signers, ", "), e.Threshold, api.Clean(e.Reason))
		for _, c := range e.Changes {
			for line := range strings.Lines(c) {
				fmt.Fprintf(w, "      %s\n", api.Clean(strings.TrimRight(line, "\n")))
			}
		}
	}
	if l.Verified {
		fmt.Fprintf(w, "verified: %d entries, %d checkpoints seen by this machine\n", len(l.Entries), l.Witnessed)
	} else {
		fmt.Fprintf(w, "NOT VERIFIED: %s\n", api.Clean(l.Trouble))
	}
}
