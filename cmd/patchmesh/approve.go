package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"patchmesh/node/api"
)

func (a *app) approveCmd() *cobra.Command {
	var r api.ApproveRequest
	var notBefore, deadline, file string
	var ask whatIf
	c := &cobra.Command{
		Use:   "approve UPDATE[@REVISION] --group GROUP",
		Short: "approve an update for the machines of a group",
		Long:  "approve changes the draft and, where the threshold of signatures is met with the keys at hand, signs and publishes\nit. Else it says whose signatures are missing.\n\n" + approveHelp + whatIfHelp + exits,
		Example: `  patchmesh approve openssl-3.0.15 --group office
  patchmesh approve openssl-3.0.15 --rings standard
  patchmesh approve openssl-3.0.15 --group all --not-before 2026-04-01T20:00:00Z --deadline 2026-04-08T20:00:00Z
  patchmesh approve openssl-3.0.15@2 --group office
  patchmesh approve openssl-3.0.15 --group office --withdraw --reason "approved for the wrong group"
  patchmesh approve openssl-3.0.15 --group all --deadline 48h --what-if --line branch=2Mbit`,
		Args: exactly(1, "the id of one update"),
		RunE: func(c *cobra.Command, args []string) (err error) {
			if err := readApproved(&r, args[0], c.Flags().Changed("action")); err != nil {
				return err
			}
			if r.Group == "" && r.Rings == "" {
				return api.Errorf(api.ClassUsage, "for which group?").WithHint("add --group NAME, or --group all for every machine, or --rings PLAN")
			}
			if r.NotBefore, err = readTime("--not-before", notBefore); err != nil {
				return err
			}
			if r.Deadline, err = readTime("--deadline", deadline); err != nil {
				return err
			}
			if ask.on {
				return a.whatIf(c.Context(), r, ask)
			}
			if ask.given() {
				return api.Errorf(api.ClassUsage, "--line, --seed-line and --count-off belong to --what-if")
			}
			return a.decide(file, &r.Passphrase, func(s api.Service) (*api.Published, error) { return s.Approve(c.Context(), r) })
		},
	}
	f := c.Flags()
	f.StringVar(&r.Group, "group", "", "group of machines; all is every machine, unassigned those without a group")
	f.StringVar(&r.Action, "action", "install", "install, remove, detect-only, decline, optional or stage-only")
	f.IntVar(&r.Revision, "revision", 0, "revision of the update, also as UPDATE@N (default: the newest)")
	f.BoolVar(&r.Withdraw, "withdraw", false, "take the approval of the group back; what is said for the groups around it counts again")
	f.StringVar(&notBefore, "not-before", "", "available from this time (RFC 3339, or a duration from now)")
	f.StringVar(&deadline, "deadline", "", "install no later than (RFC 3339, or a duration from now)")
	f.StringVar(&r.Role, "role", "", "decide as this delegated role (default: as the main approvers)")
	f.StringVar(&r.Reason, "reason", "", "why, for the approval log")
	f.BoolVar(&r.Expedite, "expedite", false, "out of band: skip what would delay it")
	f.BoolVar(&r.IgnoreWindows, "ignore-windows", false, "install it even while every maintenance window is closed")
	f.StringVar(&r.Rings, "rings", "", "reach machines ring by ring along this plan, see 'patchmesh rings'")
	f.StringVar(&file, "passphrase-file", "", "file whose first line is the passphrase of the approver key")
	ask.flags(f)
	return c
}

// readTime reads RFC 3339 or a duration from now.
func readTime(flag, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return time.Time{}, api.Errorf(api.ClassUsage, "%s %q is no time", flag, s).WithHint("like 2026-04-01T20:00:00Z, or 72h for a time from now")
	}
	return time.Now().Add(d), nil
}

// published prints what became of a change to the draft.
func (a *app) published(p *api.Published, err error) error {
	if err != nil {
		return err
	}
	return a.print(p, func(w io.Writer) {
		if p.Published {
			fmt.Fprintf(w, "published: %s (%s, %d machine(s) addressed)\n", p.Summary, whoseEpoch(p), p.Machines)
		} else {
			fmt.Fprintf(w, "not published yet: %s\nsignatures %d of %d; missing one of:\n  %s\nnext: 'patchmesh sign' where one of those keys lies here, 'patchmesh draft export' where it is elsewhere\n",
				p.Summary, p.Signatures, p.Threshold, strings.Join(p.Missing, "\n  "))
		}
		for _, t := range p.Warnings {
			fmt.Fprintf(w, "warning: %s\n", api.Clean(t))
		}
		if p.Hold != "" {
			fmt.Fprintf(w, "hold: %s\n", p.Hold)
		}
	})
}

// whoseEpoch names the count that a publication has moved.
func whoseEpoch(p *api.Published) string {
	if p.Role != "" {
		return fmt.Sprintf("role %s, serial %d", p.Role, p.Epoch)
	}
	return fmt.Sprintf("epoch %d", p.Epoch)
}

// decide asks a seed for something that approvers sign, with the passphrase of their keys on it.
func (a *app) decide(file string, passphrase *api.Secret, ask func(api.Service) (*api.Published, error)) error {
	return a.onSeed(func(s api.Service) error {
		return a.signing(file, func(p api.Secret) error {
			*passphrase = p
			return a.published(ask(s))
		})
	})
}
