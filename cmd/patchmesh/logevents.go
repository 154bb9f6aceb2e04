package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"patchmesh/node"
	"patchmesh/node/api"
)

func (a *app) logEventsCmd() *cobra.Command {
	var q api.EventQuery
	var newest newestFlags
	c := &cobra.Command{
		Use:   "events",
		Short: "what happened on this machine",
		Long: "events prints this machine's own event log, oldest first: updates that changed their state, approvals that were taken up,\n" +
			"what was refused and why, ways to the WAN that came and went, and what installers printed (--kind installer). It is kept in the data folder, and can be read when the\n" +
			"node is not running. The newest some thousands of each kind are kept.\n" + exits,
		Example: "  patchmesh log events --since 24h --kind refused\n  patchmesh log events --update openssl-3.0.15 --json",
		Args:    exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if q.Since, q.Limit, err = newest.read(c); err != nil {
				return err
			}
			return a.events(c, q)
		},
	}
	f := c.Flags()
	newest.flags(f, 200)
	f.StringVar(&q.Update, "update", "", "of this update alone")
	f.StringVar(&q.Kind, "kind", "", "of this kind alone: task, news, refused, link, lease, gate, store, carried, wish, halt, draft, installer, started or stopped")
	return c
}

// events asks the running node, or reads the data folder of one that is not running.
func (a *app) events(c *cobra.Command, q api.EventQuery) error {
	return runningOrRead(a, func(s api.Service) (*api.EventLog, error) {
		e, ok := s.(api.EventLogger)
		if !ok {
			return nil, api.Errorf(api.ClassFailed, "this node keeps no event log").WithHint("it is older than this command: update it")
		}
		return e.Events(c.Context(), q)
	}, func() (*api.EventLog, error) { return node.ReadEvents(a.data, q, time.Now) }, writeEvents)
}

func writeEvents(w io.Writer, l *api.EventLog) {
	if l.More {
		fmt.Fprintln(w, "(older ones are not shown: see --last and --since)")
	}
	for _, e := range l.Events {
		var words []string
		for _, s := range []string{e.Update, e.State, e.Reason} {
			if s != "" {
				words = append(words, api.Clean(s))
			}
		}
		if e.Peer != "" {
			words = append(words, "from "+shortID(api.Clean(e.Peer)))
		}
		if e.Detail != "" && e.Kind != api.EventInstaller {
			words = append(words, "("+api.Clean(e.Detail)+")")
		}
		fmt.Fprintf(w, "%s  %-8s %s\n", clockText(e.At), api.Clean(e.Kind), strings.Join(words, " "))
		if e.Kind == api.EventInstaller {
			fmt.Fprintf(w, "    %s\n", strings.ReplaceAll(strings.TrimSpace(api.CleanLines(e.Detail)), "\n", "\n    "))
		}
	}
	if len(l.Events) == 0 {
		fmt.Fprintf(w, "nothing of this kind is in the event log of %s\n", api.Clean(l.Machine))
	}
}
