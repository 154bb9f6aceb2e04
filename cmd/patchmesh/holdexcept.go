package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"patchmesh/node"
	"patchmesh/node/api"
)

// keeper asks a node about holds.
func keeper(s api.Service, f func(api.HoldKeeper) error) error {
	k, ok := s.(api.HoldKeeper)
	if !ok {
		return api.Errorf(api.ClassFailed, "this node keeps no list of holds")
	}
	return f(k)
}

func (a *app) holdListCmd() *cobra.Command {
	var q api.HoldQuery
	c := &cobra.Command{
		Use:   "list",
		Short: "the holds in force, and the exceptions from them",
		Long: "list shows every hold with whose word it is: of approvers, of a role, or of the seed alone (a brake), which ends by\n" +
			"itself; and the exceptions from each, with their ids and ends. It answers on every machine, from its last\n" +
			"approvals where patchmesh is not running.\n" + exits,
		Example: "  patchmesh hold list\n  patchmesh hold list --update driver-7.1 --json",
		Args:    exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			var v *api.Holds
			err := a.orStopped(func(s api.Service) error {
				return keeper(s, func(k api.HoldKeeper) (err error) {
					v, err = k.Holds(c.Context(), q)
					return err
				})
			}, func() (err error) {
				v, err = node.HoldsStopped(c.Context(), a.data, q, time.Now)
				return err
			})
			if err != nil {
				return err
			}
			return a.print(v, func(w io.Writer) { writeHolds(w, v) })
		},
	}
	c.Flags().StringVar(&q.Update, "update", "", "what holds one update")
	return c
}

func writeHolds(w io.Writer, v *api.Holds) {
	defer writeDrafts(w, v.Drafts) // what somebody believes to be held may lack signatures
	if len(v.Holds) == 0 {
		fmt.Fprintln(w, "nothing is held")
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "HOLD\tUPDATE\tKIND\tBY\tFOR\tUNTIL\tREASON")
	for _, h := range v.Holds {
		update, scope, until := h.Update, "every machine", "released"
		if h.Revision > 0 {
			update += fmt.Sprintf(" revision %d", h.Revision)
		}
		if h.Group != "" {
			scope = "group " + h.Group
		}
		if h.Match != "" {
			scope += " of " + h.Match
		}
		if !h.ExpiresAt.IsZero() {
			until = h.ExpiresAt.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", h.ID, api.Clean(update), h.Kind, h.By, api.Clean(scope), until, api.Clean(h.Reason))
		for _, e := range h.Exceptions {
			who, end := "group "+e.Group, "not for "
			if e.Machine != "" {
				who = "machine " + first(e.MachineName, e.Machine)
			}
			if e.Over {
				end = "ENDED: was not for "
			}
			fmt.Fprintf(t, "  %s\t\texception\t%s\t%s%s\t%s\t%s\n", e.ID, e.By, end, api.Clean(who), e.Until.UTC().Format(time.RFC3339), api.Clean(e.Reason))
		}
	}
	_ = t.Flush()
}

func (a *app) holdExceptCmd() *cobra.Command {
	var r api.ExceptionRequest
	var until, file string
	c := &cobra.Command{
		Use:   "except HOLD --machine M|--group G --until T --reason TEXT",
		Short: "opt a machine or a group out of a safeguard or a halt, signed, until a time",
		Long: "except lets an update go on where a safeguard, a seed's own brake or the halt of a ring plan would stop it: on one\n" +
			"machine, or on those of a group, until a time that is at most 90 days away. A brake and the halt that takes its place\n" +
			"are one stop: an exception from either is from both. What else holds the update there is told. Then the hold counts again, by each machine's own clock. It is signed\n" +
			"like an approval and shown with the hold in 'hold list', 'explain' and 'status'. A role opens its own holds alone. What\n" +
			"was paused or frozen is not gone around: 'patchmesh release' ends that. Who is in a group that machines are enrolled\n" +
			"into is the seed's word, so --machine is the narrower promise.\n" + exits,
		Example: `  patchmesh hold except h-0f3a5c2b9d11 --machine lab-3 --until 72h --reason "tried there, works with firmware 1.9"
  patchmesh hold except h-0f3a5c2b9d11 --group lab --until 2027-01-04T06:00:00Z --reason "pilot of the vendor's fix"`,
		Args: exactly(1, "the id of one hold"),
		RunE: func(c *cobra.Command, args []string) (err error) {
			r.Hold = args[0]
			if r.Until, err = readTime("--until", until); err != nil {
				return err
			}
			return a.except(c, r, file)
		},
	}
	f := c.Flags()
	f.StringVar(&r.Machine, "machine", "", "for this machine, by name or id; its id is what is signed")
	f.StringVar(&r.Group, "group", "", "for the machines of this group")
	f.StringVar(&until, "until", "", "when the hold counts again (RFC 3339, or a duration from now)")
	f.StringVar(&r.Role, "role", "", "decide as this delegated role, about one of its own holds (default: as the main approvers)")
	f.StringVar(&r.Reason, "reason", "", "why; everybody who meets the exception reads it")
	f.StringVar(&file, "passphrase-file", "", "file whose first line is the passphrase of the approver key")
	return c
}

func (a *app) holdUnexceptCmd() *cobra.Command {
	var r api.ExceptionRequest
	var file string
	c := &cobra.Command{
		Use:     "unexcept EXCEPTION",
		Short:   "take an exception back before its end",
		Long:    "unexcept takes an exception back by the id that 'hold except' printed; 'hold list' shows it too. The hold counts again\nas soon as machines hear of it.\n" + exits,
		Example: "  patchmesh hold unexcept x-52c07a1be90d",
		Args:    exactly(1, "the id of one exception"),
		RunE: func(c *cobra.Command, args []string) error {
			r.Drop = args[0]
			return a.except(c, r, file)
		},
	}
	c.Flags().StringVar(&r.Reason, "reason", "", "why, for the approval log")
	c.Flags().StringVar(&file, "passphrase-file", "", "file whose first line is the passphrase of the approver key")
	return c
}

func (a *app) except(c *cobra.Command, r api.ExceptionRequest, file string) error {
	return a.decide(file, &r.Passphrase, func(s api.Service) (p *api.Published, err error) {
		err = keeper(s, func(k api.HoldKeeper) error {
			p, err = k.ExceptHold(c.Context(), r)
			return err
		})
		return p, err
	})
}

// writeAttention tells what waits for a person, before everything else.
func writeAttention(w io.Writer, f *api.Fleet) {
	for _, t := range f.Attention {
		what := fmt.Sprintf("%s revision %d", t.Update, t.Revision)
		if t.Hold != "" {
			what += fmt.Sprintf(" (%s, ends %s)", t.Hold, t.Until.UTC().Format(time.RFC3339))
		}
		fmt.Fprintf(w, "ATTENTION: %s: %s\n  next (%s): %s\n", api.Clean(what), api.Clean(t.Text), t.Owner, t.NextStep)
	}
}

// writeExcepted tells which updates go on although a hold would stop them.
func writeExcepted(w io.Writer, f *api.Fleet) {
	for _, m := range f.Machines {
		for _, u := range m.Updates {
			var by []string
			for _, e := range u.Excepted {
				by = append(by, fmt.Sprintf("hold %s by exception %s until %s", api.Clean(e.Hold), api.Clean(e.Exception), e.Until.UTC().Format(time.RFC3339)))
			}
			if len(by) > 0 {
				fmt.Fprintf(w, "%s goes on with %s past %s\n", api.Clean(m.Name), api.Clean(u.Update), strings.Join(by, ", "))
			}
		}
	}
}
