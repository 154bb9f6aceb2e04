package bench

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// WriteTables reads the raw numbers in dir and writes what people read: dir/TABLE.md and plots beside
// it. It returns the names of what it wrote. Same numbers, same files.
func WriteTables(dir string) (written []string, err error) {
	sheets, err := readSheets(dir)
	if err != nil {
		return nil, err
	}
	if len(sheets) == 0 {
		return nil, fmt.Errorf("no results in %s", dir)
	}
	files := map[string]string{"TABLE.md": tables(sheets)}
	for _, s := range sheets {
		files[s.scenario.Name+"-last.svg"] = lastPlot(s)
		files[s.scenario.Name+"-done.svg"] = donePlot(s)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(files[name]), 0o644); err != nil {
			return written, err
		}
		written = append(written, path)
	}
	return written, nil
}

// sheet is the results of one scenario that count.
type sheet struct {
	scenario Scenario
	rows     []row // patchmesh first, then by the time of the last machine
}

// row is the runs of one contender in its newest session.
type row struct {
	contender string
	runs      []Result // that came to an end
	failed    []Result
}

// readSheets leaves out scenarios without results.
func readSheets(dir string) (sheets []sheet, err error) {
	for _, s := range Scenarios() {
		all, err := ReadResults(dir, s.Name)
		if err != nil {
			return nil, err
		}
		if len(all) > 0 {
			sheets = append(sheets, newSheet(s, all))
		}
	}
	return sheets, nil
}

func newSheet(s Scenario, all []Result) sheet {
	out := sheet{scenario: s}
	for name, runs := range newest(all) {
		r := row{contender: name}
		for _, one := range runs {
			if one.Error == "" {
				r.runs = append(r.runs, one)
			} else {
				r.failed = append(r.failed, one)
			}
		}
		out.rows = append(out.rows, r)
	}
	slices.SortFunc(out.rows, func(a, b row) int {
		if c := cmp.Compare(a.rank(), b.rank()); c != 0 {
			return c
		}
		return strings.Compare(a.contender, b.contender)
	})
	return out
}

// rank is the row's place: our own first, those that never came to an end last.
func (r row) rank() float64 {
	switch {
	case r.contender == "patchmesh":
		return -1
	case len(r.runs) == 0:
		return math.MaxFloat64
	}
	return r.median(lastSeconds)
}

func (r row) median(of measure) float64 {
	var values []float64
	for _, one := range r.runs {
		values = append(values, of(one))
	}
	return Median(values)
}

// measure is one figure of a run. What the run cannot tell is NaN.
type measure func(Result) float64

func lastSeconds(r Result) float64 { return r.Last() }

// leastBound is when a bound says something: below it the time is no matter of bytes.
const leastBound = 0.05

func timeRatio(r Result) float64 {
	if r.BoundSeconds < leastBound {
		return math.NaN()
	}
	return r.Last() / r.BoundSeconds
}

func wanWire(r Result) float64 { return r.payloads(float64(r.WANInBytes)) }
func seedOut(r Result) float64 { return r.payloads(float64(r.SeedOutBytes)) }
func cpuPerGB(r Result) float64 {
	return r.CPUSeconds / r.DeliveredGB()
}

// busy is the share of all processor cores that a contender used while the clock ran.
func busy(r Result) float64 {
	return r.CPUSeconds / sum(r.LastSeconds) / float64(r.Hardware.Cores)
}

func peakMB(r Result) float64     { return float64(r.PeakRSS) / 1e6 }
func seedPeakMB(r Result) float64 { return float64(r.SeedPeakRSS) / 1e6 }

func wanPayload(r Result) float64 { return r.payloads(r.told("payload_wan_bytes")) }

// duplicates is the share of what the machines got that they got twice.
func duplicates(r Result) float64 {
	return r.payloads(r.told("duplicate_bytes")) / float64(r.Machines)
}

// payloads is bytes in units of what was released.
func (r Result) payloads(bytes float64) float64 {
	return bytes / float64(r.PayloadBytes) / float64(max(len(r.LastSeconds), 1))
}

func (r Result) told(name string) float64 {
	if n, ok := r.Told[name]; ok {
		return n
	}
	return math.NaN()
}

// p99Seconds is over the releases of one run.
func p99Seconds(r Result) float64 { return Quantile(r.LastSeconds, 0.99) }

// number prints a figure; what is not known is a dash.
func number(v float64, decimals int) string {
	if math.IsNaN(v) {
		return "-"
	}
	return fmt.Sprintf("%.*f", decimals, v)
}

// tables is TABLE.md.
func tables(sheets []sheet) string {
	var b strings.Builder
	b.WriteString("# What was measured\n\nMade by `patchbench table` from the raw numbers beside it; how to read them stands in [../README.md](../README.md).\n" +
		"Figures are medians over the runs of a contender. `bound` is payload / rate of the narrowest link; headers of Ethernet, IP and TCP alone make 1.046 of it.\n\n")
	b.WriteString(goalsTable(sheets))
	for _, s := range sheets {
		b.WriteString(s.table())
	}
	return b.String()
}

func (s sheet) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n## %s\n\n%s.", s.scenario.Name, s.scenario.Title)
	if bound := s.scenario.Bound().Seconds(); bound >= leastBound {
		fmt.Fprintf(&b, " Bound %.2f s.", bound)
	}
	b.WriteString("\n\n| contender | runs | last machine, s | of the bound | spread | WAN wire in / payload | seed sent / payload | CPU s per GB | cores busy | peak MB, machine | peak MB, seed |\n|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, r := range s.rows {
		runs := fmt.Sprint(len(r.runs))
		if len(r.failed) > 0 {
			runs += fmt.Sprintf(" (+%d failed)", len(r.failed))
		}
		wan := math.NaN()
		if s.scenario.WAN {
			wan = r.median(wanWire)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", r.contender, runs, number(r.median(lastSeconds), 2), number(r.median(timeRatio), 3),
			r.spread(), number(wan, 3), number(r.median(seedOut), 3), number(r.median(cpuPerGB), 2), r.busyText(), number(r.median(peakMB), 1), number(r.median(seedPeakMB), 1))
	}
	for _, r := range s.rows {
		if s.scenario.repeats() > 1 && len(r.runs) > 0 {
			fmt.Fprintf(&b, "\n%s, over %d releases a run: median %s s, 99th percentile %s s.\n", r.contender, len(r.runs[0].LastSeconds), number(r.median(lastSeconds), 2), number(r.median(p99Seconds), 2))
		}
		for _, f := range r.failed {
			first, _, _ := strings.Cut(f.Error, "\n")
			fmt.Fprintf(&b, "\n%s, run %d failed: %s\n", r.contender, f.Run, first)
		}
	}
	fmt.Fprintf(&b, "\n![last machine](%[1]s-last.svg)\n![machines done](%[1]s-done.svg)\n\n", s.scenario.Name)
	b.WriteString(s.conditions())
	return b.String()
}

func (r row) busyText() string {
	share := r.median(busy)
	if math.IsNaN(share) || math.IsInf(share, 0) {
		return "-"
	}
	return fmt.Sprintf("%.0f %%", 100*share)
}

// spread is the fastest and the slowest run.
func (r row) spread() string {
	if len(r.runs) == 0 {
		return "-"
	}
	low, high := math.Inf(1), 0.0
	for _, one := range r.runs {
		low, high = min(low, one.Last()), max(high, one.Last())
	}
	return fmt.Sprintf("%.2f to %.2f", low, high)
}

// conditions says what the numbers were made on, each thing once.
func (s sheet) conditions() string {
	var versions, hardware, sessions []string
	load := 0.0
	for _, r := range s.rows {
		for _, one := range append(slices.Clone(r.runs), r.failed...) {
			versions = append(versions, one.Contender+": "+one.Version)
			sessions = append(sessions, one.Session)
			h := one.Hardware
			hardware = append(hardware, fmt.Sprintf("%s, %d cores, %.0f GB, %s, Linux %s", h.CPU, h.Cores, float64(h.MemoryBytes)/1e9, h.System, h.Kernel))
			load = max(load, h.Load1)
		}
	}
	unique := func(all []string) string { slices.Sort(all); return strings.Join(slices.Compact(all), "; ") }
	return fmt.Sprintf("On: %s; load before a run at most %.1f.\nSession: %s.\nVersions: %s.\n", unique(hardware), load, unique(sessions), unique(versions))
}
