package bench

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func at(minute int) time.Time { return time.Date(2026, 4, 1, 12, minute, 0, 0, time.UTC) }

func TestResultsComeBackAsTheyWereWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "results")
	want := []Result{
		{Session: "a", At: at(0), Scenario: "cold10", Contender: "patchmesh", Run: 1, Machines: 2, PayloadBytes: 10, Seconds: []float64{1, 2}, LastSeconds: []float64{2}, Told: map[string]float64{"duplicate_bytes": 3}},
		{Session: "a", At: at(1), Scenario: "cold10", Contender: "aria2", Run: 1, Error: "given up\nlog: \"x\""},
	}
	for _, r := range want {
		if err := AppendResult(dir, r); err != nil {
			t.Fatal(err)
		}
	}
	got, err := ReadResults(dir, "cold10")
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\n got %+v\nwant %+v", err, got, want)
	}
	if none, err := ReadResults(dir, "wan10"); err != nil || len(none) > 0 {
		t.Errorf("a scenario without results has %v, %v", none, err)
	}
}

func TestDamagedResultsAreNamedByLine(t *testing.T) {
	_, err := parseResults(strings.NewReader("{\"run\":1}\n\n{\"run\":\n"))
	if err == nil || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("got %v", err)
	}
	if _, err := parseResults(strings.NewReader(strings.Repeat("x", maxResultLine+1))); err == nil {
		t.Error("a line without end was read")
	}
}

// A contender counts with the session that it was measured in last, whole: medians never mix two builds.
func TestOnlyTheNewestSessionCounts(t *testing.T) {
	kept := newest([]Result{
		{Session: "new", At: at(9), Contender: "patchmesh", Run: 2},
		{Session: "old", At: at(0), Contender: "patchmesh", Run: 1},
		{Session: "old", At: at(1), Contender: "aria2", Run: 1},
		{Session: "new", At: at(8), Contender: "patchmesh", Run: 1},
	})
	if got := kept["patchmesh"]; len(got) != 2 || got[0].Session != "new" || got[0].Run != 1 || got[1].Run != 2 {
		t.Errorf("patchmesh counts with %+v", got)
	}
	if got := kept["aria2"]; len(got) != 1 || got[0].Session != "old" {
		t.Errorf("aria2 counts with %+v", got)
	}
}

func FuzzResults(f *testing.F) {
	f.Add(`{"session":"a","scenario":"cold10","contender":"patchmesh","machines":2,"payload_bytes":10,"seconds":[1],"last_s":[1]}`)
	f.Add("{}\n{\"last_s\":[]}\n")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := parseResults(strings.NewReader(text))
		if err != nil || len(all) == 0 {
			return
		}
		s, err := ScenarioNamed("cold10")
		if err != nil {
			t.Fatal(err)
		}
		sheets := []sheet{newSheet(s, all)}
		tables(sheets)
		lastPlot(sheets[0])
		donePlot(sheets[0])
	})
}

// read is a file of a test as text.
func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
