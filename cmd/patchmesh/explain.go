package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"patchmesh/node"
	"patchmesh/node/api"
)

func (a *app) explainCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "explain UPDATE MACHINE",
		Short: "why an update is in the state it is in on a machine",
		Long: "explain prints the chain of facts from approval to today's state, who owns the problem, and the next step.\n" +
			"On a seed it explains any machine, elsewhere this one: without network, and without a running node from what it saved.\n" + exits,
		Example: "  patchmesh explain openssl-3.0.15 till-3",
		Args:    exactly(2, "an update and a machine"),
		RunE: func(c *cobra.Command, args []string) error {
			e, err := a.explain(c, args[0], args[1])
			if err != nil {
				return err
			}
			return a.print(e, func(w io.Writer) { writeExplanation(w, e) })
		},
	}
}

// explain asks the running node, or reads the folder of one that does not run.
func (a *app) explain(c *cobra.Command, update, machine string) (e *api.Explanation, err error) {
	err = a.orStopped(func(s api.Service) (err error) {
		e, err = s.Explain(c.Context(), update, machine)
		return err
	}, func() (err error) {
		e, err = node.ExplainStopped(c.Context(), a.data, update, machine, time.Now)
		return err
	})
	return e, err
}

// orStopped asks the running node, or has the folder of one that does not run read. What is still locked after a while is
// a node that does not answer.
func (a *app) orStopped(live func(api.Service) error, stopped func() error) error {
	var dial error
	err := a.runningOr(live, func(unreachable error) error {
		dial = unreachable
		return stopped()
	})
	if errors.Is(err, node.ErrLocked) {
		return dial
	}
	return err
}

func writeExplanation(w io.Writer, e *api.Explanation) {
	fmt.Fprintf(w, "%s on %s: %s", e.Update, api.Clean(e.Machine), e.State)
	if e.Reason != "" {
		fmt.Fprintf(w, " (%s)", e.Reason)
	}
	fmt.Fprintln(w)
	for _, f := range e.Chain {
		at := "                   "
		if !f.At.IsZero() {
			at = f.At.Local().Format("2006-01-02 15:04:05")
		}
		fmt.Fprintf(w, "  %s  %-9s %s\n", at, f.Step, f.Text)
	}
	for _, l := range e.Losing {
		fmt.Fprintf(w, "  overruled: %s\n", l)
	}
	fmt.Fprintf(w, "owner: %s\nnext step: %s\n", e.Owner, e.NextStep)
}
