package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"patchmesh/node"
	"patchmesh/node/api"
)

func (a *app) logSyncCmd() *cobra.Command {
	var q api.SyncQuery
	var newest newestFlags
	c := &cobra.Command{
		Use:   "sync",
		Short: "when the approvals came to this machine, and from where",
		Long: "sync prints every time that this machine's approvals were brought up to date, or could not be, oldest first: from which\n" +
			"peer, medium or mirror, from which epoch to which, and how many decisions were new, changed or gone. It ends with the\n" +
			"time by which the next run must have come. It can be read when the node is not running.\n" + exits,
		Example: "  patchmesh log sync --since 7d\n  patchmesh log sync --last 1 --json",
		Args:    exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if q.Since, q.Limit, err = newest.read(c); err != nil {
				return err
			}
			return a.syncs(c, q)
		},
	}
	newest.flags(c.Flags(), 50)
	return c
}

// syncs asks the running node, or reads the data folder of one that is not running.
func (a *app) syncs(c *cobra.Command, q api.SyncQuery) error {
	return runningOrRead(a, func(s api.Service) (*api.SyncLog, error) {
		l, ok := s.(api.SyncLogger)
		if !ok {
			return nil, api.Errorf(api.ClassFailed, "this node keeps no sync log").WithHint("it is older than this command: update it")
		}
		return l.Syncs(c.Context(), q)
	}, func() (*api.SyncLog, error) { return node.ReadSyncs(a.data, q, time.Now) }, writeSyncs)
}

// runningOrRead shows what the running node answers, or what is read from the data folder of one that is not
// running. A node that holds the folder and does not answer is told of as unreachable.
func runningOrRead[T any](a *app, ask func(api.Service) (*T, error), read func() (*T, error), write func(io.Writer, *T)) error {
	show := func(l *T, err error) error {
		if err != nil {
			return err
		}
		return a.print(l, func(w io.Writer) { write(w, l) })
	}
	var dial error
	err := a.runningOr(
		func(s api.Service) error { return show(ask(s)) },
		func(unreachable error) error { dial = unreachable; return show(read()) })
	if errors.Is(err, node.ErrLocked) {
		return dial
	}
	return err
}

func writeSyncs(w io.Writer, l *api.SyncLog) {
	if l.More {
		fmt.Fprintln(w, "(older ones are not shown: see --last and --since)")
	}
	for _, r := range l.Runs {
		fmt.Fprintf(w, "%s  %-10s %s\n", clockText(r.At), api.Clean(r.How), syncText(r))
	}
	if len(l.Runs) == 0 {
		fmt.Fprintf(w, "the approvals of %s were not brought up to date in this time\n", api.Clean(l.Machine))
	}
	fmt.Fprintf(w, "\nepoch %d, head %d; newer ones are heard of at once, and must have come by %s\n", l.Epoch, l.Head, clockText(l.ExpiresAt))
}

func syncText(r api.SyncRun) string {
	var words []string
	if r.From != "" {
		words = append(words, "from "+api.Clean(r.From))
	}
	switch {
	case r.Result != "done":
		words = append(words, fmt.Sprintf("failed: %s (%s)", api.Clean(r.Reason), api.Clean(r.Detail)))
		if r.Times > 1 {
			words = append(words, fmt.Sprintf("%d times", r.Times))
		}
	case r.Epoch == r.EpochWas:
		words = append(words, fmt.Sprintf("epoch %d confirmed by head %d", r.Epoch, r.Head))
	default:
		words = append(words, fmt.Sprintf("epoch %d -> %d: %d new, %d changed, %d gone", r.EpochWas, r.Epoch, r.Added, r.Changed, r.Removed))
	}
	return strings.Join(append(words, (time.Duration(r.TookMS)*time.Millisecond).String()), ", ")
}
