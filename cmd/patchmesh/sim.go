package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"patchmesh/node/api"
	"patchmesh/sim"
)

// simFlags are those of the verb sim.
type simFlags struct {
	seed         uint64
	runs         int
	trace, plots string
	noCheck      bool
}

// simSummary is the one object with which more than one run ends: that of the last run, and over all.
type simSummary struct {
	*sim.Report
	Runs       int      `json:"runs"`
	FailedRuns int      `json:"failed_runs"`
	Replay     []string `json:"replay"` // a command for each run that failed, ten at most
	ended      int

	WallSeconds float64 `json:"wall_s"`                 // of all runs together
	MemoryBytes uint64  `json:"memory_bytes"`           // most that the program has taken from the system
	ChunkMicros float64 `json:"us_per_chunk,omitempty"` // wall time per delivered chunk, of a single run
}

func (a *app) simCmd() *cobra.Command {
	var f simFlags
	c := &cobra.Command{
		Use:   "sim SCENARIO",
		Short: "run a scenario in virtual time",
		Long: "sim drives the very decisions that machines run, in virtual time: sites, lines, crashes, liars. SCENARIO is the\n" +
			"name of a scenario that the program carries, or a file. The trace is judged while it is written: a run that\n" +
			"breaks a promise fails, and the command that repeats it is printed.\n\nscenarios: " + strings.Join(sim.Scenarios(), ", ") + "\n" + exits,
		Example: `  patchmesh sim branch-40
  patchmesh sim mixed --runs 100 --seed 7 --json
  patchmesh sim shop-5 --trace shop.trace --plots pictures`,
		Args: exactly(1, "the name of a scenario, or a file"),
		RunE: func(c *cobra.Command, args []string) error { return a.sim(c.Context(), args[0], f) },
	}
	c.Flags().Uint64Var(&f.seed, "seed", 1, "seed of the first run; everything follows from it")
	c.Flags().IntVar(&f.runs, "runs", 1, "so many runs, with growing seeds")
	c.Flags().StringVar(&f.trace, "trace", "", "write the trace of the (only) run to this file")
	c.Flags().StringVar(&f.plots, "plots", "", "write pictures (SVG), the completion curve and the bytes by site (CSV) of the last run into this folder")
	c.Flags().BoolVar(&f.noCheck, "no-check", false, "do not judge the trace: for very large scenarios")
	return c
}

func openScenario(name string) (*sim.Scenario, error) {
	sc, err := sim.OpenScenario(name)
	if err == nil {
		return sc, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, api.Errorf(api.ClassUsage, "%v", err)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, api.Errorf(api.ClassNotFound, "no scenario %q, and no file of that name", api.Clean(name)).
			WithHint("the program carries: %s", strings.Join(sim.Scenarios(), ", "))
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, sim.MaxScenarioBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read scenario %s: %w", name, err)
	}
	if sc, err = sim.ParseScenario(strings.TrimSuffix(filepath.Base(name), ".txt"), string(b)); err != nil {
		return nil, api.Errorf(api.ClassUsage, "%v", err)
	}
	return sc, nil
}

func (a *app) sim(ctx context.Context, name string, f simFlags) error {
	if f.runs < 1 || (f.trace != "" && f.runs != 1) {
		return api.Errorf(api.ClassUsage, "--runs must be 1 or more, and 1 with --trace")
	}
	sc, err := openScenario(name)
	if err != nil {
		return err
	}
	sum := simSummary{Runs: f.runs, Replay: []string{}}
	began := time.Now()
	if f.runs == 1 {
		sum.Report, err = a.simOnce(ctx, sc, f)
	} else {
		sum.Report, err = a.simMany(ctx, sc, name, f, &sum)
	}
	switch {
	case errors.Is(err, sim.ErrStopped):
		return api.Errorf(api.ClassFailed, "interrupted after %d of %d runs, %d broke a promise", sum.ended, f.runs, sum.FailedRuns)
	case errors.Is(err, sim.ErrScenario):
		return api.Errorf(api.ClassUsage, "%v", err)
	case err != nil:
		return err
	}
	sum.cost(time.Since(began))
	if f.runs == 1 && len(sum.Violations) > 0 {
		sum.FailedRuns, sum.Replay = 1, []string{replay(name, f.seed)}
	}
	if f.plots != "" {
		if err := writePlots(sum.Report, f.plots); err != nil {
			return err
		}
	}
	if err := a.print(sum, func(w io.Writer) { writeSim(w, sum) }); err != nil {
		return err
	}
	if sum.FailedRuns > 0 {
		return api.Errorf(api.ClassFailed, "%d of %d runs broke a promise", sum.FailedRuns, f.runs).WithHint("repeat one with: %s", sum.Replay[0])
	}
	return nil
}

// cost says what the runs took of this computer.
func (s *simSummary) cost(wall time.Duration) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	s.WallSeconds, s.MemoryBytes = wall.Seconds(), m.Sys
	if s.Runs == 1 && s.Chunks > 0 {
		s.ChunkMicros = wall.Seconds() * 1e6 / float64(s.Chunks)
	}
}

// replay is the command that repeats a run. The name may be that of a file, as a shell wants it.
func replay(name string, seed uint64) string {
	switch plain := func(r rune) bool { return strings.ContainsRune(plainInShells, r) }; {
	case runtime.GOOS == "windows":
		name = `"` + name + `"` // no file there has a quote in its name
	case strings.ContainsFunc(name, func(r rune) bool { return !plain(r) }):
		name = "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
	}
	return fmt.Sprintf("patchmesh sim %s --seed %d", name, seed)
}

const plainInShells = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./+,:@%"

// simMemoryBytes is from where on garbage is collected more often: a hundred thousand machines need two thirds of
// it, and would else take twice what they need. Closer to what they need, collecting costs more than the run.
const simMemoryBytes = 5400 << 20

// From manyMachines on a run does better with large pages. A machine takes about bytesOfMachine, with its share of the
// garbage.
const (
	manyMachines   = 5000
	bytesOfMachine = 54 << 10
)

// simOnce runs once, with the sites shared out to all cores.
func (a *app) simOnce(ctx context.Context, sc *sim.Scenario, f simFlags) (*sim.Report, error) {
	if n := sc.MostMachines(); n >= manyMachines {
		useHugePages(min(n*bytesOfMachine, simMemoryBytes))
	}
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(simMemoryBytes))
	o := sim.Options{Seed: f.seed, Workers: runtime.GOMAXPROCS(0), Check: !f.noCheck, Stop: func() bool { return ctx.Err() != nil }}
	if a.showsProgress() {
		o.Beat = func(now, left int) {
			fmt.Fprintf(a.errOut, "\r%s: %d s of virtual time, %d machines left ", sc.Name, now, left)
		}
		defer fmt.Fprintln(a.errOut)
	}
	if f.trace == "" {
		return sim.Run(sc, o)
	}
	file, err := os.Create(f.trace)
	if err != nil {
		return nil, fmt.Errorf("write trace: %w", err)
	}
	defer file.Close()
	out := bufio.NewWriterSize(file, 1<<20)
	o.Trace = func(b []byte) {
		_, _ = out.Write(b) // a bufio.Writer keeps its first error for Flush
		_ = out.WriteByte('\n')
	}
	r, err := sim.Run(sc, o)
	if err == nil {
		err = errors.Join(out.Flush(), file.Close())
	}
	return r, err
}

// simMany runs with growing seeds, one run a core. The report is that of the last seed.
func (a *app) simMany(ctx context.Context, sc *sim.Scenario, name string, f simFlags, sum *simSummary) (*sim.Report, error) {
	var mu sync.Mutex
	var all sync.WaitGroup
	var last *sim.Report
	var failed error
	next := 0
	for range runtime.GOMAXPROCS(0) {
		all.Add(1)
		go func() {
			defer all.Done()
			for {
				mu.Lock()
				i := next
				next++
				stop := i >= f.runs || failed != nil || ctx.Err() != nil
				mu.Unlock()
				if stop {
					return
				}
				seed := f.seed + uint64(i)
				r, err := sim.Run(sc, sim.Options{Seed: seed, Check: !f.noCheck, Stop: func() bool { return ctx.Err() != nil }})
				mu.Lock()
				if err != nil {
					failed = err
				} else {
					a.simRan(r, replay(name, seed), sum)
					if i == f.runs-1 {
						last = r
					}
				}
				mu.Unlock()
			}
		}()
	}
	all.Wait()
	if a.showsProgress() {
		fmt.Fprintln(a.errOut)
	}
	if failed == nil && ctx.Err() != nil && sum.ended < f.runs {
		failed = sim.ErrStopped
	}
	return last, failed
}

// showsProgress: somebody looks on.
func (a *app) showsProgress() bool { return term.IsTerminal(int(os.Stderr.Fd())) && !a.json }

// simRan counts one run of many and says at once what it broke.
func (a *app) simRan(r *sim.Report, again string, sum *simSummary) {
	sum.ended++
	if a.showsProgress() {
		fmt.Fprintf(a.errOut, "\r%s: %d of %d runs, %d broke a promise ", r.Scenario, sum.ended, sum.Runs, sum.FailedRuns)
	}
	if len(r.Violations) == 0 {
		return
	}
	if sum.FailedRuns++; a.showsProgress() {
		fmt.Fprintln(a.errOut)
	}
	if len(sum.Replay) < 10 {
		sum.Replay = append(sum.Replay, again)
	}
	fmt.Fprintf(a.errOut, "seed %d: %s\n  repeat it with: %s\n", r.Seed, api.Clean(r.Violations[0].String()), again)
}

func writePlots(r *sim.Report, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write pictures: %w", err)
	}
	for _, p := range r.Plots() {
		if err := os.WriteFile(filepath.Join(dir, p.Name+".svg"), []byte(p.SVG), 0o644); err != nil {
			return fmt.Errorf("write pictures: %w", err)
		}
	}
	for name, write := range map[string]func(io.Writer) error{"completion.csv": r.WriteCSV, "sites.csv": r.WriteSitesCSV} {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
		if err := errors.Join(write(f), f.Close()); err != nil {
			return err
		}
	}
	return nil
}

func writeSim(w io.Writer, s simSummary) {
	r := s.Report
	fmt.Fprintf(w, `scenario             %s, seed %d: %s after %.1f s of virtual time
machines             %d in %d sites: %d have all that is approved, %d lack something, %d lie, %d locked out
payload              %s
over the WAN         %s: %.2f times the payload per site, %.2f at the worst
within sites         %s, %.1f %% of all; %.2f %% came twice, %s wasted
installed            first after %.2f s, last after %.2f s; the slowest line alone needs %.2f s
`, r.Scenario, r.Seed, r.Ended, r.Virtual, r.Machines, r.Sites, r.Installed, r.Failed, r.Lying, r.LockedOut, api.Size(r.PayloadBytes),
		api.Size(r.WANBytes), r.Amplification, r.WANMost, api.Size(r.LANBytes), 100*r.LANShare, 100*r.DuplicateRatio, api.Size(r.WastedBytes),
		r.FirstInstalled, r.LastInstalled, r.LowerBound)
	if h := r.Hold; h != nil {
		fmt.Fprintf(w, "hold                 %d machines learned of it: half after %.2f s, 99 %% after %.2f s, the last after %.2f s\n", h.Machines, h.P50, h.P99, h.Last)
	}
	if r.TraceHash != "" {
		fmt.Fprintf(w, "trace                %d lines, hash %s\n", r.TraceLines, r.TraceHash)
	}
	if s.Runs > 1 {
		fmt.Fprintf(w, "runs                 %d, %d broke a promise\n", s.Runs, s.FailedRuns)
	}
	fmt.Fprintf(w, "cost                 %.1f s on this computer, %s of memory", s.WallSeconds, api.Size(int64(s.MemoryBytes)))
	if s.ChunkMicros > 0 {
		fmt.Fprintf(w, ", %.1f us per delivered chunk (%d)", s.ChunkMicros, r.Chunks)
	}
	fmt.Fprintln(w)
	for _, v := range r.Violations {
		fmt.Fprintf(w, "BROKEN               %s\n", api.Clean(v.String()))
	}
	for _, c := range s.Replay {
		fmt.Fprintf(w, "repeat with          %s\n", c)
	}
}
