package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"patchmesh/node/api"
)

// expediteHelp says what expediting overrides, and what it leaves alone.
const expediteHelp = "--expedite sets the deadline to now and skips rings, users, deferral and quiet hours. It opens no maintenance window and\n" +
	"passes no WAN budget: that takes --ignore-windows and --ignore-budget, each signed with the approval and shown to every\n" +
	"approver. A hold stops what is expedited too, and a site whose budget is strict lets nothing pass it.\n\n"

func (a *app) approveCmd() *cobra.Command {
	var r api.ApproveRequest
	var notBefore, deadline, file string
	var ask whatIf
	c := &cobra.Command{
		Use:   "approve UPDATE[@REVISION]... --group GROUP",
		Short: "approve updates for the machines of a group",
		Long:  "approve changes the draft and, where the threshold of signatures is met with the keys at hand, signs and publishes\nit. Else it says whose signatures are missing. Several updates are signed and published together, or none of them is.\n\n" + expediteHelp + approveHelp + whatIfHelp + exits,
		Example: `  patchmesh approve openssl-3.0.15 --group office
  patchmesh approve openssl-3.0.15 curl-8.9.1 zlib-1.3.1 --group office
  patchmesh approve openssl-3.0.15 --rings standard
  patchmesh approve openssl-3.0.15 --group all --not-before 2026-04-01T20:00:00Z --deadline 2026-04-08T20:00:00Z
  patchmesh approve openssl-3.0.15 --group all --deadline 2026-04-08T18:00 --local
  patchmesh approve openssl-3.0.15 --group all --expedite --ignore-windows --ignore-budget --reason "exploited in the wild"
  patchmesh approve openssl-3.0.15@2 --group office
  patchmesh approve openssl-3.0.15 --group office --withdraw --reason "approved for the wrong group"
  patchmesh approve openssl-3.0.15 --group all --deadline 48h --what-if --line branch=2Mbit`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) (err error) {
			if err := readUpdates(&r, args, c.Flags().Changed("action"), ask.on); err != nil {
				return err
			}
			if r.Group == "" && r.Rings == "" {
				return api.Errorf(api.ClassUsage, "for which group?").WithHint("add --group NAME, or --group all for every machine, or --rings PLAN")
			}
			if r.NotBefore, err = readTimeAt("--not-before", notBefore, r.LocalTime); err != nil {
				return err
			}
			if err := readDeadline(&r, deadline); err != nil {
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
	f.StringVar(&deadline, "deadline", "", "install no later than (RFC 3339, or a duration like 7d from now; with --rings from when each ring is opened)")
	f.BoolVar(&r.LocalTime, "local", false, "--not-before and --deadline, like 2026-04-01T20:00, are by each machine's own clock")
	f.StringVar(&r.Role, "role", "", "decide as this delegated role (default: as the main approvers)")
	f.StringVar(&r.Reason, "reason", "", "why, for the approval log")
	f.BoolVar(&r.Expedite, "expedite", false, "out of band: its deadline is now, and it skips rings, users and quiet hours")
	f.BoolVar(&r.IgnoreWindows, "ignore-windows", false, "install it even while every maintenance window is closed")
	f.BoolVar(&r.IgnoreBudget, "ignore-budget", false, "fetch it even where the WAN budget of a site is used up")
	f.StringVar(&r.Rings, "rings", "", "reach machines ring by ring along this plan, see 'patchmesh rings'")
	f.StringVar(&file, "passphrase-file", "", "file whose first line is the passphrase of the approver key")
	ask.flags(f)
	return c
}

// readDeadline reads --deadline: along rings a length of time counts from when each is opened.
func readDeadline(r *api.ApproveRequest, text string) (err error) {
	d, spanErr := api.ParseSpan(text)
	if spanErr != nil || r.Rings == "" || r.LocalTime || r.Expedite || d < time.Minute {
		r.Deadline, err = readTimeAt("--deadline", text, r.LocalTime)
		return err
	}
	if d > api.MaxDeadline {
		return api.Errorf(api.ClassUsage, "--deadline %s is longer than the %d days that a deadline may count from each ring's opening", text, api.MaxDeadline/(24*time.Hour)).
			WithHint("--deadline 30d, or an instant like 2030-01-31T20:00:00Z, or none")
	}
	r.DeadlineMinutes = int(d / time.Minute)
	return nil
}

// readTime reads RFC 3339 or a duration from now.
func readTime(flag, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	if _, err := readClock(s); err == nil { // a zone that was forgotten must not mean one
		return time.Time{}, api.Errorf(api.ClassUsage, "%s %q names no zone", flag, s).WithHint("%sZ for UTC, or add --local for each machine's own clock", s)
	}
	d, err := api.ParseSpan(s)
	if err != nil {
		return time.Time{}, api.Errorf(api.ClassUsage, "%s %q is no time", flag, s).WithHint("like 2026-04-01T20:00:00Z, or 72h or 7d for a time from now")
	}
	return time.Now().Add(d), nil
}

// readTimeAt is readTime, or with local what a clock shows.
func readTimeAt(flag, s string, local bool) (time.Time, error) {
	if !local || s == "" {
		return readTime(flag, s)
	}
	t, err := readClock(s)
	if err != nil {
		return t, api.Errorf(api.ClassUsage, "%s %q is not what a clock shows", flag, s).WithHint("with --local a time has no zone and is none from now: like 2026-04-01T20:00")
	}
	return t, nil
}

// readClock reads a time without a zone.
func readClock(s string) (time.Time, error) {
	t, err := time.Parse("2006-01-02T15:04:05", s)
	if err != nil {
		t, err = time.Parse("2006-01-02T15:04", s)
	}
	return t, err
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
		if p.DeadlineBy != "" {
			fmt.Fprintf(w, "deadline: by its severity, %s; another one with --deadline\n", p.DeadlineBy)
		}
		if len(p.Listed) > 0 {
			fmt.Fprintf(w, "with it, as detect-only for all: machines for which nobody has decided about it look for %s, and change nothing\n", listOf(p.Listed, 10))
		}
		for _, t := range p.Warnings {
			fmt.Fprintf(w, "warning: %s\n", api.Clean(t))
		}
		if p.Hold != "" {
			fmt.Fprintf(w, "hold: %s\n", p.Hold)
		}
		if p.Exception != "" {
			fmt.Fprintf(w, "exception: %s\n", p.Exception)
		}
	})
}

// listOf names the first of some, and how many more there are.
func listOf(all []string, most int) string {
	if len(all) <= most {
		return strings.Join(all, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(all[:most], ", "), len(all)-most)
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
	return a.signing(file, func(p api.Secret) error { // the file first: the folder may make this process another user's
		return a.onSeed(func(s api.Service) error {
			*passphrase = p
			return a.published(ask(s))
		})
	})
}
