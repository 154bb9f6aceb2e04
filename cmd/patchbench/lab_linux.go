package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"patchmesh/bench"
)

// labVerbs need network namespaces or tell what can be done in them.
var labVerbs = []verb{listVerb, runVerb, packagesVerb, cleanVerb}

var listVerb = verb{name: "list", example: "patchbench list --json", setUp: func(f *flag.FlagSet) func(context.Context, io.Writer, io.Writer) error {
	asJSON := f.Bool("json", false, "print one JSON document")
	return func(_ context.Context, out, _ io.Writer) error {
		scenarios, contenders := bench.Scenarios(), bench.Contenders()
		if *asJSON {
			return json.NewEncoder(out).Encode(map[string]any{"scenarios": scenarios, "contenders": contenders})
		}
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "SCENARIO\tWORK\tUSUAL CONTENDERS")
		for _, s := range scenarios {
			fmt.Fprintf(w, "%s\t%s\t%s\n", s.Name, s.Title, strings.Join(s.Usual, ","))
		}
		fmt.Fprintln(w, "\nCONTENDER\tWHAT IT IS\tHERE")
		for _, c := range contenders {
			here := "ready"
			if c.Missing != "" {
				here = c.Missing
			}
			fmt.Fprintf(w, "%s\t%s\t%s\n", c.Name, c.About, here)
		}
		return w.Flush()
	}
}}

var runVerb = verb{
	name: "run",
	example: "patchbench run --scenario cold10 --runs 3\n" +
		"patchbench run --scenario wan10 --contenders patchmesh,aria2 --runs 1 --json",
	setUp: func(f *flag.FlagSet) func(context.Context, io.Writer, io.Writer) error {
		var p bench.Plan
		scenario := f.String("scenario", "", "`name` of the scenario (see patchbench list)")
		contenders := f.String("contenders", "", "`names`, with commas; default: the usual ones of the scenario")
		results := f.String("results", "bench/results", "`folder` that the raw numbers are added to; empty: nowhere")
		skip := f.Bool("skip-missing", false, "leave out contenders that are not installed, with a word")
		asJSON := f.Bool("json", false, "print one JSON document per run")
		f.IntVar(&p.Runs, "runs", 3, "runs of each contender; they take turns")
		f.StringVar(&p.Binary, "patchmesh", bench.Binary(), "the `program` to measure")
		f.StringVar(&p.Session, "session", "", "`name` of the measurement that the runs belong to; default: today and patchmesh's version")
		return func(ctx context.Context, out, errOut io.Writer) (err error) {
			if p.Scenario, err = bench.ScenarioNamed(*scenario); err != nil {
				return fmt.Errorf("%w: %w", errUsage, err)
			}
			if *contenders != "" {
				p.Contenders = strings.Split(*contenders, ",")
			}
			if *skip {
				p.Contenders = present(p, errOut)
			}
			if *results != "" {
				if p.Earlier, err = bench.ReadResults(*results, p.Scenario.Name); err != nil {
					return err
				}
			}
			return p.Run(ctx, func(r bench.Result) error {
				var told error
				if *asJSON {
					told = json.NewEncoder(out).Encode(r)
				} else {
					fmt.Fprintln(out, line(r))
				}
				if *results != "" {
					told = errors.Join(told, bench.AppendResult(*results, r))
				}
				return told
			})
		}
	},
}

// present are the contenders of a plan that are installed; the others get a word.
func present(p bench.Plan, errOut io.Writer) []string {
	names := p.Contenders
	if len(names) == 0 {
		names = p.Scenario.Usual
	}
	missing := map[string]string{}
	for _, c := range bench.Contenders() {
		missing[c.Name] = c.Missing
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		if why := missing[name]; why != "" {
			fmt.Fprintf(errOut, "left out: %s\n", why)
			return true
		}
		return false
	})
}

// line is one run for people.
func line(r bench.Result) string {
	if r.Error != "" {
		return fmt.Sprintf("%-9s %-14s run %d  FAILED: %s", r.Scenario, r.Contender, r.Run, r.Error)
	}
	ratio := "     -"
	if r.BoundSeconds > 0.05 {
		ratio = fmt.Sprintf("%6.3f", r.Last()/r.BoundSeconds)
	}
	return fmt.Sprintf("%-9s %-14s run %d  last %7.2f s = %s of the bound  WAN in %6.3f  seed out %6.3f  LAN in %6.3f  CPU %6.2f s/GB  RSS %5.1f MB (seed %5.1f)  load %.1f",
		r.Scenario, r.Contender, r.Run, r.Last(), ratio, payloads(r, r.WANInBytes), payloads(r, r.SeedOutBytes),
		payloads(r, r.LANInBytes)/float64(r.Machines), r.CPUSeconds/r.DeliveredGB(), float64(r.PeakRSS)/1e6, float64(r.SeedPeakRSS)/1e6, r.Hardware.Load1)
}

// payloads is bytes in units of what was released.
func payloads(r bench.Result, bytes int64) float64 {
	return float64(bytes) / float64(r.PayloadBytes) / float64(max(len(r.LastSeconds), 1))
}

var packagesVerb = verb{name: "packages", example: "patchbench packages --install", setUp: func(f *flag.FlagSet) func(context.Context, io.Writer, io.Writer) error {
	install := f.Bool("install", false, "install those that are missing, with apt-get")
	return func(ctx context.Context, out, errOut io.Writer) error {
		var all []string
		for _, c := range bench.Contenders() {
			all = append(all, c.Packages...)
		}
		slices.Sort(all)
		all = slices.Compact(all)
		if !*install {
			fmt.Fprintln(out, strings.Join(all, "\n"))
			return nil
		}
		return installPackages(ctx, all, out, errOut)
	}
}}

// installPackages brings what is missing, and no services: a server that starts at once would hold
// ports and processor of the machine that measures.
func installPackages(ctx context.Context, names []string, out, errOut io.Writer) error {
	missing := slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		state, err := exec.CommandContext(ctx, "dpkg-query", "-W", "-f", "${db:Status-Status}", name).Output()
		return err == nil && string(state) == "installed"
	})
	if len(missing) == 0 {
		fmt.Fprintln(out, "all packages are there")
		return nil
	}
	apt, err := exec.LookPath("apt-get")
	if err != nil || os.Geteuid() != 0 {
		return fmt.Errorf("not installed: %s; that takes root and apt-get", strings.Join(missing, " "))
	}
	const rule = "/usr/sbin/policy-rc.d" // asked by packages before they start a service; 101 forbids it
	if _, err := os.Stat(rule); os.IsNotExist(err) {
		if err := os.WriteFile(rule, []byte("#!/bin/sh\nexit 101\n"), 0o755); err != nil {
			return err
		}
		defer os.Remove(rule)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, apt, append([]string{"install", "-y", "--no-install-recommends"}, missing...)...)
	c.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	c.Stdout, c.Stderr = errOut, errOut
	if err := c.Run(); err != nil {
		return fmt.Errorf("install %s: %w", strings.Join(missing, " "), err)
	}
	fmt.Fprintf(out, "installed: %s\n", strings.Join(missing, " "))
	return nil
}

var cleanVerb = verb{name: "clean", example: "patchbench clean", setUp: func(*flag.FlagSet) func(context.Context, io.Writer, io.Writer) error {
	return func(_ context.Context, out, _ io.Writer) error {
		removed, err := bench.CleanUp()
		for _, r := range removed {
			fmt.Fprintln(out, "removed", r)
		}
		if err == nil && len(removed) == 0 {
			fmt.Fprintln(out, "nothing is left over")
		}
		return err
	}
}}
