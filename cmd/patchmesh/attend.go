package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"patchmesh/node/api"
)

// attending calls f with the running node of a machine, which looks after those who use it.
func (a *app) attending(f func(api.Attendant) error) error {
	return a.running(func(s api.Service) error {
		v, ok := s.(api.Attendant)
		if !ok {
			return api.Errorf(api.ClassUnreachable, "the running patchmesh is older than this command").WithHint("restart it")
		}
		return f(v)
	})
}

func (a *app) noticesCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "notices",
		Short: "what policy has the people at this machine told now",
		Long: "notices lists what those who use this machine should know: restarts, and updates that come or wait for their word.\n" +
			"The setting notify says how much of it (none, restart-only, all); in quiet hours there is nothing to tell. Whoever\n" +
			"asks is told at any time which updates wait for a word, see 'patchmesh accept'. A desktop may ask for it now and\n" +
			"then and show it. What was told of restarts is listed with its time: that one waits, every restart-remind; that it\n" +
			"was ordered; and once more restart-last-warning before it comes. Those at a terminal are told that one waits by wall\n" +
			"(Linux) or msg (Windows), at most once an hour, where updates are installed as root. With the setting wake it tells when the machine should be awake for a\n" +
			"maintenance window: rtcwake(8) and its like can be given that time.\n" + exits,
		Example: "  patchmesh notices\n  patchmesh notices --json",
		Args:    exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.attending(func(s api.Attendant) error {
				v, err := s.Notices(c.Context(), api.NoticesQuery{})
				if err != nil {
					return err
				}
				return a.print(v, func(w io.Writer) {
					for _, n := range v.List {
						fmt.Fprintf(w, "%s: %s\n", n.Kind, api.Clean(n.Text))
					}
					for _, t := range v.Told {
						fmt.Fprintf(w, "told at %s: %s\n", clockText(t.At), api.Clean(t.Text))
					}
					if !v.TellAt.IsZero() {
						fmt.Fprintf(w, "told again at %s\n", clockText(v.TellAt))
					}
					for _, n := range v.Offers {
						if !slices.Contains(v.List, n) {
							fmt.Fprintf(w, "%s: %s\n", n.Kind, api.Clean(n.Text))
						}
					}
					if !v.WakeAt.IsZero() {
						fmt.Fprintf(w, "this machine should be awake at %s\n", clockText(v.WakeAt))
					}
				})
			})
		},
	}
}

// serviceAtShutdownCmd is what the service manager calls when the machine goes down.
func (a *app) serviceAtShutdownCmd() *cobra.Command {
	var r api.ShutdownRequest
	c := &cobra.Command{
		Use:   "at-shutdown",
		Short: "install what policy lets be installed while the machine is shut down",
		Long: "at-shutdown is for the service manager, which calls it when the machine is shut down. Of the updates that wait for a\n" +
			"maintenance window it installs those that are done in the time that the setting install-at-shutdown gives; without\n" +
			"that setting none. On a machine that is not being shut down every install is refused.\n" + exits,
		Example: "  patchmesh service at-shutdown --within 5m",
		Args:    exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.attending(func(s api.Attendant) error {
				v, err := s.AtShutdown(c.Context(), r)
				if err != nil {
					return err
				}
				return a.print(v, func(w io.Writer) {
					for _, u := range v.Installed {
						fmt.Fprintf(w, "%s: installed\n", u)
					}
					for _, u := range slices.Sorted(maps.Keys(v.Failed)) {
						fmt.Fprintf(w, "%s: not installed: %s\n", u, v.Failed[u])
					}
				})
			})
		},
	}
	spanVar(c.Flags(), &r.Within, "within", 5*time.Minute, "how long the machine may still be used; 30m at most")
	return c
}
