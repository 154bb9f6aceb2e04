package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"patchmesh/node"
	"patchmesh/node/api"
)

func (a *app) doctorCmd() *cobra.Command {
	var fix bool
	scopes := map[string]*bool{}
	c := &cobra.Command{
		Use:   "doctor",
		Short: "what keeps this machine from being patched, and mending what can be mended",
		Long: "doctor looks at this machine: its processes, clock, disk, store, neighbours, way to the seed and updates. Every trouble\n" +
			"has a reason, an owner and a next step. It needs no network, and without a running node it looks at the data folder.\n" +
			"--fix mends what patchmesh can mend by itself and says what it changed: a running node calls neighbours again, looks\n" +
			"through the store, makes room and looks for updates again. On a stopped one it settles what a crash cut off, hashes the\n" +
			"store and puts aside what is damaged, takes away leftovers, closes the data folder to others and makes room. What cannot\n" +
			"be proven safe is left alone. With scopes it looks at those alone.\n\n" +
			"Exit codes: 0 nothing is wrong; 1 something is, or was and is being mended; otherwise:\n" + exits,
		Example: "  patchmesh doctor\n  patchmesh doctor --p2p --wan --json\n  patchmesh doctor --store --fix",
		Args:    exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			q := api.DoctorQuery{Fix: fix}
			for _, s := range api.Scopes {
				if *scopes[s] {
					q.Scopes = append(q.Scopes, s)
				}
			}
			d, err := a.diagnose(c, q)
			if err != nil {
				return err
			}
			if err := a.print(d, func(w io.Writer) { writeDiagnosis(w, d, fix) }); err != nil || d.Healthy {
				return err
			}
			return api.Errorf(api.ClassFailed, "%d of %d checks found something wrong", troubles(d), len(d.Findings)).WithHint("each finding names its next step")
		},
	}
	for _, s := range []struct{ scope, text string }{
		{api.ScopeP2P, "neighbours and whether they are trusted"}, {api.ScopeWAN, "the way to the seed"}, {api.ScopeDisk, "room on the disk, and memory"},
		{api.ScopeTime, "the clock and the age of the approvals"}, {api.ScopeStore, "the payloads; with --fix all are hashed again"},
		{api.ScopeService, "the processes of patchmesh"}, {api.ScopeUpdates, "what stands in the way of each update"},
	} {
		scopes[s.scope] = c.Flags().Bool(s.scope, false, "look at "+s.text)
	}
	c.Flags().BoolVar(&fix, "fix", false, "mend what can be mended")
	return c
}

// diagnose asks the running node, or looks at the folder of one that does not run.
func (a *app) diagnose(c *cobra.Command, q api.DoctorQuery) (d *api.Diagnosis, err error) {
	err = a.runningOr(func(s api.Service) (err error) {
		k, ok := s.(api.Doctor)
		if !ok {
			return api.Errorf(api.ClassFailed, "this node cannot look at itself")
		}
		d, err = k.Doctor(c.Context(), q)
		return err
	}, func(error) (err error) {
		d, err = node.DoctorStopped(c.Context(), a.data, q, time.Now)
		return err
	})
	return d, err
}

func troubles(d *api.Diagnosis) (n int) {
	for _, f := range d.Findings {
		if !f.OK {
			n++
		}
	}
	return n
}

func writeDiagnosis(w io.Writer, d *api.Diagnosis, fix bool) {
	for _, f := range d.Findings {
		mark := "ok  "
		if !f.OK {
			mark = "BAD "
		}
		fmt.Fprintf(w, "%s %-8s %s: %s", mark, f.Scope, api.Clean(f.Check), api.Clean(f.Detail))
		if f.Reason != "" {
			fmt.Fprintf(w, " (%s)", f.Reason)
		}
		fmt.Fprintln(w)
		if f.NextStep != "" && !f.OK {
			fmt.Fprintf(w, "       %s: %s\n", f.Owner, f.NextStep)
		}
		switch {
		case f.Did != "":
			fmt.Fprintf(w, "       done: %s\n", f.Did)
		case f.OK || fix:
		case f.CanFix && f.Heals:
			fmt.Fprintln(w, "       it mends itself in time, or at once with --fix")
		case f.CanFix:
			fmt.Fprintln(w, "       --fix mends it")
		case f.Heals:
			fmt.Fprintln(w, "       a running node mends it in time; --fix does nothing about it")
		}
	}
}
