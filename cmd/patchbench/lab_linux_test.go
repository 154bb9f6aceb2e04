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

func TestListIsReadByMachines(t *testing.T) {
	code, out, errOut := call(t, "list", "--json")
	var all struct {
		Scenarios  []struct{ Name string }
		Contenders []struct{ Name, About string }
	}
	if err := json.Unmarshal([]byte(out), &all); code != 0 || err != nil || len(all.Scenarios) < 10 || len(all.Contenders) < 9 {
		t.Errorf("exit code %d, %v, %s: %s", code, err, errOut, out)
	}
	if code, out, _ := call(t, "list"); code != 0 || !strings.Contains(out, "cold10") || !strings.Contains(out, "udpcast") {
		t.Errorf("exit code %d: %s", code, out)
	}
}

func TestRunRefusesBeforeItBuilds(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{exitUsage, "no scenario", []string{"--scenario", "cold11"}},
		{exitFailed, "no contender", []string{"--scenario", "cold10", "--contenders", "bittorrent"}},
		{exitFailed, "does not cross a router", []string{"--scenario", "wan10", "--contenders", "udpcast"}},
		{exitFailed, "no patchmesh to measure", []string{"--scenario", "cold10", "--contenders", "patchmesh", "--patchmesh", filepath.Join(dir, "none")}},
		{exitFailed, "runs", []string{"--scenario", "cold10", "--runs", "-1"}},
	} {
		code, out, errOut := call(t, append([]string{"run", "--results", dir}, c.args...)...)
		if code != c.code || out != "" || !strings.Contains(errOut, c.want) {
			t.Errorf("%q: exit code %d, %q, %q", c.args, code, out, errOut)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("results of nothing: %v %v", left, err)
	}
}

func TestRunNeedsRoot(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("this is root")
	}
	code, _, errOut := call(t, "run", "--scenario", "smoke", "--contenders", "patchmesh", "--patchmesh", os.Args[0], "--results", "")
	if code != exitFailed || !strings.Contains(errOut, "need root") {
		t.Errorf("exit code %d: %s", code, errOut)
	}
}

func TestALineTellsTheFigures(t *testing.T) {
	r := bench.Result{Scenario: "wan10", Contender: "aria2", Run: 2, At: time.Unix(0, 0), Machines: 10, PayloadBytes: 1e8, BoundSeconds: 10,
		LastSeconds: []float64{14.5}, WANInBytes: 128e6, SeedOutBytes: 130e6, LANInBytes: 1.1e9, CPUSeconds: 4, PeakRSS: 27e6, SeedPeakRSS: 25e6}
	for _, want := range []string{"last   14.50 s =  1.450 of the bound", "WAN in  1.280", "seed out  1.300", "LAN in  1.100", "4.00 s/GB", "27.0 MB (seed  25.0)"} {
		if got := line(r); !strings.Contains(got, want) {
			t.Errorf("%q is missing in %q", want, got)
		}
	}
	r.Error = "given up"
	if got := line(r); !strings.Contains(got, "FAILED: given up") {
		t.Errorf("a failed run reads %q", got)
	}
}
