package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"patchmesh/bench"
)

const results = "../../bench/results"

// R-X13: what the simulator says of the bench's branch scenarios is what was measured, within 10 %. The
// sessions are those that the table was made from: newer ones count once the table is made anew.
func TestPredictionsAreWithinTenPercentOfWhatWasMeasured(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(results, calibrationFacts))
	if err != nil {
		t.Fatal(err)
	}
	var table []calibration
	if err := json.Unmarshal(b, &table); err != nil || len(table) != len(calibrated) {
		t.Fatalf("%d rows, want %d: %v", len(table), len(calibrated), err)
	}
	compared := 0
	for _, row := range table {
		c, err := measured(results, row.Scenario, row.Session)
		if err != nil {
			t.Fatal(err)
		}
		if c.Runs == 0 {
			t.Errorf("%s: session %q has no results", row.Scenario, row.Session)
			continue
		}
		if err := c.predict(1); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: measured %.2f s, predicted %.2f s (%+.1f %%); WAN %.0f bytes, predicted %.0f", c.Scenario, c.MeasuredLast, c.PredictedLast,
			100*off(c.PredictedLast, c.MeasuredLast), c.MeasuredWAN, c.PredictedWAN)
		if c.Noisy != row.Noisy {
			t.Errorf("%s: the table says noisy %v", c.Scenario, row.Noisy)
		}
		if c.Noisy {
			continue
		}
		compared++
		if !c.within() {
			t.Errorf("%s: measured %.2f s and %.0f bytes, predicted %.2f s and %.0f bytes", c.Scenario, c.MeasuredLast, c.MeasuredWAN, c.PredictedLast, c.PredictedWAN)
		}
		if off(c.PredictedLast, row.PredictedLast) > calibrateWithin || off(c.PredictedLast, row.PredictedLast) < -calibrateWithin {
			t.Errorf("%s: the table says %.2f s, the simulator now %.2f s: make it anew with 'patchbench calibrate'", c.Scenario, row.PredictedLast, c.PredictedLast)
		}
	}
	if compared < 2 {
		t.Errorf("%d scenarios were compared: that shows little", compared)
	}
}

func TestCalibrateSaysWhereItIsOff(t *testing.T) {
	dir := t.TempDir()
	for run, last := range []float64{12.5, 30, 31} { // the median is far from what the line can do
		if err := bench.AppendResult(dir, bench.Result{
			Session: "s", At: time.Unix(int64(run), 0), Scenario: "wan10", Contender: "patchmesh", Run: run, LastSeconds: []float64{last},
			Told: map[string]float64{"payload_wan_bytes": 64 << 20},
		}); err != nil {
			t.Fatal(err)
		}
	}
	code, out, errOut := call(t, "calibrate", "--results", dir, "--seeds", "1")
	if code != 0 || !strings.Contains(out, calibrationTable) {
		t.Fatalf("exit code %d: %s%s", code, out, errOut)
	}
	b, err := os.ReadFile(filepath.Join(dir, calibrationTable))
	if err != nil || !strings.Contains(string(b), "| wan10 | s | 3 | 30.00 |") || !strings.Contains(string(b), "**no**") {
		t.Errorf("%v:\n%s", err, b)
	}
	if err := bench.AppendResult(dir, bench.Result{
		Session: "busy", At: time.Unix(100, 0), Scenario: "wan10", Contender: "patchmesh", LastSeconds: []float64{12.5}, Hardware: bench.Hardware{Cores: 2, Load1: 9},
	}); err != nil {
		t.Fatal(err)
	}
	if c, err := measured(dir, "wan10", ""); err != nil || c.Session != "s" || c.Noisy {
		t.Errorf("a newer run on a busy computer counts: %+v, %v", c, err)
	}
	if code, _, errOut := call(t, "calibrate", "--results", t.TempDir()); code != exitFailed || !strings.Contains(errOut, "no results") {
		t.Errorf("nothing to compare: exit code %d, %s", code, errOut)
	}
	if code, _, _ := call(t, "calibrate", "--seeds", "0"); code != exitUsage {
		t.Errorf("no seeds: exit code %d", code)
	}
}
