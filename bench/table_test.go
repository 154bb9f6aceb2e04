package bench

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files of the tables and plots anew")

// The table and the plots of a few invented runs, byte for byte. After a change of their looks:
// go test ./bench -run Golden -rewrite, and read the difference.
func TestTablesAndPlotsGolden(t *testing.T) {
	dir := t.TempDir()
	raw, err := filepath.Glob(filepath.Join("testdata", "*.jsonl"))
	if err != nil || len(raw) == 0 {
		t.Fatal(raw, err)
	}
	for _, path := range raw {
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), []byte(read(t, path)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	written, err := WriteTables(dir)
	if err != nil || len(written) != 1+2*len(raw) {
		t.Fatal(written, err)
	}
	for _, path := range written {
		golden := filepath.Join("testdata", filepath.Base(path)+".golden")
		got := read(t, path)
		if *rewrite {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if want := read(t, golden); got != want {
			t.Errorf("%s differs from its golden file:\n%s", filepath.Base(path), firstDifference(got, want))
		}
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return "got  " + g[i] + "\nwant " + w[i]
		}
	}
	return "one is longer"
}

func TestTablesWithoutResultsAreRefused(t *testing.T) {
	if written, err := WriteTables(t.TempDir()); err == nil {
		t.Errorf("written: %v", written)
	}
}

// A goal is judged by what the table prints, and a missed one says by how much and what the limit was.
func TestGoalsSayWhatWasNotReached(t *testing.T) {
	s, err := ScenarioNamed("cold10")
	if err != nil {
		t.Fatal(err)
	}
	run := func(contender string, last float64) Result {
		return Result{Scenario: "cold10", Contender: contender, Machines: 10, PayloadBytes: s.TotalBytes(), BoundSeconds: 100, Seconds: []float64{last}, LastSeconds: []float64{last}, PeakRSS: 1e6,
			CPUSeconds: last, Hardware: Hardware{Cores: 2}, SeedOutBytes: s.TotalBytes() * 3 / 2, Told: map[string]float64{"duplicate_bytes": float64(s.TotalBytes())}}
	}
	for last, want := range map[float64]string{112.04: "1.120 | aria2 1.450 | reached", 112.2: "1.122 | aria2 1.450 | **not reached**, 0.2 % above: processor 50 % busy with it, the seed's link 29 % full with 1.50 payloads, 10.0 % of what came was there already", 118: "1.180 | aria2 1.450 | **not reached**, 5 % above: processor 50 % busy with it, the seed's link 27 % full with 1.50 payloads, 10.0 % of what came was there already"} {
		text := goalsTable([]sheet{newSheet(s, []Result{run("patchmesh", last), run("aria2", 145), run("udpcast", 150)})})
		if !strings.Contains(text, "| cold10 | last machine / bound | at most 1.120 | "+want+" |") {
			t.Errorf("last machine after %v:\n%s", last, text)
		}
	}
}

// A liar may cost each of its victims one chunk of that payload, not one of the largest there are.
func TestLiarsMayCostAChunkEach(t *testing.T) {
	var sheets []sheet
	judge := func(wasted float64) string {
		sheets = sheets[:0]
		for _, name := range []string{"liars20", "honest20"} {
			s, err := ScenarioNamed(name)
			if err != nil {
				t.Fatal(err)
			}
			sheets = append(sheets, newSheet(s, []Result{{Scenario: name, Contender: "patchmesh", LastSeconds: []float64{10}, Told: map[string]float64{"wasted_bytes": wasted}}}))
		}
		return liarsLines(sheets)
	}
	const chunks = 4 * 16 * 256 << 10
	if text := judge(chunks); !strings.Contains(text, "| at most 16777216 | 16777216 | - | reached |") {
		t.Errorf("a chunk each:\n%s", text)
	}
	if text := judge(chunks + 3*256<<10); !strings.Contains(text, "**not reached**, 5 % above") {
		t.Errorf("three chunks more:\n%s", text)
	}
}

// A failed run is no fast run: it is told, and takes no part in medians.
func TestFailedRunsAreToldAndNotCounted(t *testing.T) {
	s, err := ScenarioNamed("cold10")
	if err != nil {
		t.Fatal(err)
	}
	text := newSheet(s, []Result{
		{Contender: "aria2", Run: 1, Machines: 1, PayloadBytes: 1, BoundSeconds: 10, Seconds: []float64{20}, LastSeconds: []float64{20}},
		{Contender: "aria2", Run: 2, Error: "given up after 90 s\nlog"},
		{Contender: "udpcast", Run: 1, Error: "no answer"},
	}).table()
	for _, want := range []string{"| aria2 | 1 (+1 failed) | 20.00 | 2.000 |", "aria2, run 2 failed: given up after 90 s\n", "| udpcast | 0 (+1 failed) | - | - |"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
}
