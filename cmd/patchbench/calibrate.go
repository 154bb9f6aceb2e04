package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"patchmesh/bench"
	"patchmesh/sim"
)

// Calibration holds the simulator against what was measured: it replays the bench's branch scenarios in
// virtual time and compares when the last machine is done and what crossed the WAN. Nothing in it is fitted
// to the results: rates, machines, sizes and cores are those of the lab.

// calibrated are the scenarios that are compared.
var calibrated = []string{"cold10", "wan10", "churn10"}

// calibrateWithin is how far a prediction may be off.
const calibrateWithin = 0.10

// The files that calibrate writes beside the results.
const (
	calibrationTable = "CALIBRATION.md"
	calibrationFacts = "calibration.json"
)

// calibration is one scenario, measured and predicted. WAN bytes are payload bytes.
type calibration struct {
	Scenario string  `json:"scenario"`
	Session  string  `json:"session"` // whose runs are meant
	Runs     int     `json:"runs"`
	Load     float64 `json:"load_1min"`       // before the busiest of them
	Noisy    bool    `json:"noisy,omitempty"` // the computer was busy with other things: what was measured is its doing
	Seeds    int     `json:"seeds"`           // of the prediction

	MeasuredLast  float64 `json:"measured_last_s"` // medians
	PredictedLast float64 `json:"predicted_last_s"`
	MeasuredWAN   float64 `json:"measured_wan_bytes"`
	PredictedWAN  float64 `json:"predicted_wan_bytes"`
}

// off is how far a prediction is from what was measured, as a share of it.
func off(predicted, measured float64) float64 {
	if measured == 0 {
		return predicted // zero is met, or not at all
	}
	return predicted/measured - 1
}

// within says whether both figures are near enough.
func (c calibration) within() bool {
	return math.Abs(off(c.PredictedLast, c.MeasuredLast)) <= calibrateWithin && math.Abs(off(c.PredictedWAN, c.MeasuredWAN)) <= calibrateWithin
}

var calibrateVerb = verb{name: "calibrate", example: "patchbench calibrate --results bench/results", setUp: func(f *flag.FlagSet) func(context.Context, io.Writer, io.Writer) error {
	results := f.String("results", "bench/results", "`folder` of the raw numbers; the table is written there too")
	seeds := f.Int("seeds", 9, "runs of the simulator; the median counts")
	session := f.String("session", "", "`name` of the measurement that is compared; default: the newest of each scenario")
	return func(_ context.Context, out, _ io.Writer) error {
		if *seeds < 1 || *seeds > 1000 {
			return fmt.Errorf("%w: %d seeds: want 1 to 1000", errUsage, *seeds)
		}
		var all []calibration
		for _, name := range calibrated {
			c, err := measured(*results, name, *session)
			if err != nil {
				return err
			}
			if c.Runs == 0 {
				continue
			}
			if err := c.predict(*seeds); err != nil {
				return err
			}
			all = append(all, c)
		}
		if len(all) == 0 {
			return fmt.Errorf("no results of %s in %s", strings.Join(calibrated, ", "), *results)
		}
		return writeCalibration(*results, all, out)
	}
}}

// measured takes the medians of one session: the newest if none is named.
func measured(dir, scenario, session string) (calibration, error) {
	c := calibration{Scenario: scenario, Session: session}
	all, err := bench.ReadResults(dir, scenario)
	if err != nil {
		return c, err
	}
	all = slices.DeleteFunc(all, func(r bench.Result) bool { return r.Contender != "patchmesh" || r.Error != "" })
	if len(all) == 0 {
		return c, nil
	}
	quiet := slices.DeleteFunc(slices.Clone(all), noisy)
	if len(quiet) > 0 { // what was measured in peace counts before what is newer
		all = quiet
	}
	if session == "" {
		c.Session = slices.MaxFunc(all, func(a, b bench.Result) int { return a.At.Compare(b.At) }).Session
	}
	var last, wan []float64
	for _, r := range all {
		if r.Session == c.Session {
			last, wan = append(last, r.Last()), append(wan, r.Told["payload_wan_bytes"])
			c.Load, c.Noisy = max(c.Load, r.Hardware.Load1), c.Noisy || noisy(r)
		}
	}
	if c.Runs = len(last); c.Runs > 0 {
		c.MeasuredLast, c.MeasuredWAN = bench.Median(last), bench.Median(wan)
	}
	return c, nil
}

// busyLoad is how many tasks per core may have been waiting before a run. With more the run shares its
// computer, and how long it takes says little of patchmesh.
const busyLoad = 2.0

func noisy(r bench.Result) bool { return r.Hardware.Load1 > busyLoad*float64(max(r.Hardware.Cores, 1)) }

// approvedAt is when the simulated approval comes: machines have found each other long before.
const approvedAt = 10.0

// predict replays the scenario and takes the medians of so many runs.
func (c *calibration) predict(seeds int) error {
	s, err := bench.ScenarioNamed(c.Scenario)
	if err != nil {
		return err
	}
	c.Seeds = seeds
	var last, wan []float64
	for seed := range uint64(seeds) {
		r, err := replay(s, seed+1)
		if err != nil {
			return fmt.Errorf("replay %s: %w", s.Name, err)
		}
		last, wan = append(last, r.LastInstalled), append(wan, float64(r.WANBytes))
	}
	c.PredictedLast, c.PredictedWAN = bench.Median(last), bench.Median(wan)
	return nil
}

func replay(s bench.Scenario, seed uint64) (*sim.Report, error) {
	half := 0.0
	if s.Churn {
		steady := s
		steady.Churn = false
		text, at := scenarioText(steady, 0), 0.0
		if err := runText(text, seed, nil, func(ns, wan int64) {
			if at == 0 && wan >= s.TotalBytes()/2 {
				at = float64(ns) / 1e9
			}
		}); err != nil {
			return nil, err
		}
		half = at
	}
	var r *sim.Report
	err := runText(scenarioText(s, half), seed, &r, nil)
	return r, err
}

// runText runs a scenario, and tells of the WAN bytes so far where somebody listens.
func runText(text string, seed uint64, into **sim.Report, crossed func(ns, wan int64)) error {
	sc, err := sim.ParseScenario("bench", text)
	if err != nil {
		return err
	}
	o := sim.Options{Seed: seed}
	wan := int64(0)
	if crossed != nil {
		o.Trace = func(line []byte) {
			words := strings.Fields(string(line))
			if len(words) > 4 && words[1] == "wan" {
				ns, _ := strconv.ParseInt(words[0], 10, 64)
				bytes, _ := strconv.ParseInt(strings.TrimPrefix(words[4], "bytes="), 10, 64)
				wan += bytes
				crossed(ns, wan)
			}
		}
	}
	r, err := sim.Run(sc, o)
	if into != nil {
		*into = r
	}
	return err
}

// labCores is how many processors the lab's machines share where nobody has recorded it.
const labCores = 2

// scenarioText is the lab in the simulator's words: one computer, whose cores all machines share, links with
// a rate each way and next to no delay, installations that cost no more than hashing.
func scenarioText(s bench.Scenario, swapAt float64) string {
	var b strings.Builder
	machines := s.Machines
	swap := 0
	if s.Churn {
		swap = (s.Machines + 1) / 3
		machines += swap
	}
	if s.WAN {
		fmt.Fprintf(&b, "seed up=%gMbit/s\n", float64(s.WANBitPerSec)/1e6)
		fmt.Fprintf(&b, "site branch machines=%d egress=%d wan=%gMbit/s lan=%gMbit/s delay=1ms cores=%d\n",
			machines, machines, float64(s.WANBitPerSec)/1e6, float64(s.LANBitPerSec)/1e6, labCores)
	} else {
		rate := float64(s.LANBitPerSec) / 1e6
		fmt.Fprintf(&b, "seed up=%gMbit/s lan=%gMbit/s machines=%d cores=%d\n", rate, rate, machines, labCores)
	}
	fmt.Fprintf(&b, "update u1 size=%dB chunk=256KiB install=0s\n", s.SizeBytes)
	fmt.Fprintf(&b, "at %gs approve u1\n", approvedAt)
	if swap > 0 && swapAt > 0 {
		fmt.Fprintf(&b, "fault swap count=%d at=%.3fs\n", swap, swapAt)
	}
	return b.String()
}

func writeCalibration(dir string, all []calibration, out io.Writer) error {
	facts, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	for name, body := range map[string]string{calibrationTable: calibrationText(all), calibrationFacts: string(facts) + "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o644); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	_, err = fmt.Fprintln(out, filepath.Join(dir, calibrationTable))
	return err
}

func calibrationText(all []calibration) string {
	var b strings.Builder
	b.WriteString("# The simulator against reality\n\n" +
		"Made by `patchbench calibrate`: scenarios of the bench replayed in virtual time. Nothing is fitted to these results;\n" +
		"the model has the rates, sizes and cores of the lab, headers of 4.8 %, and what hashing costs. Medians on both sides.\n" +
		"A run is compared if the computer had at most two waiting tasks per core before it.\n\n" +
		"| scenario | session | runs | last machine, s | predicted, s | off | WAN payload bytes | predicted | off | within 10 % |\n" +
		"|---|---|---|---|---|---|---|---|---|---|\n")
	for _, c := range all {
		yes := "yes"
		if c.Noisy {
			yes = fmt.Sprintf("not compared: measured with a load of %.1f", c.Load)
		} else if !c.within() {
			yes = "**no**"
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %.2f | %.2f | %+.1f %% | %.0f | %.0f | %+.1f %% | %s |\n", c.Scenario, c.Session, c.Runs, c.MeasuredLast, c.PredictedLast,
			100*off(c.PredictedLast, c.MeasuredLast), c.MeasuredWAN, c.PredictedWAN, 100*off(c.PredictedWAN, c.MeasuredWAN), yes)
	}
	b.WriteString("\nNot modelled: what processors spend on sending and receiving (it shows where a run keeps them busy), and the start of the\n" +
		"command that approves.\n")
	return b.String()
}
