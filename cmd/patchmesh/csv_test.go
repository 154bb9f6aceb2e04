package main

import (
	"encoding/csv"
	"strings"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/sim"
)

// A table has a row for each machine and update, and no cell of it is a formula: names come from other machines, and
// a spreadsheet would run them.
func TestRI5TablesHaveARowEachAndNoFormulas(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	f := &api.Fleet{Machines: []api.Machine{
		{Name: "=cmd|' /C calc'!A0", Site: "berlin", Groups: []string{"a", "b"}, LastContact: at, Updates: []api.Update{
			{Update: "u1", Revision: 2, State: "installed", Bytes: api.Bytes{Seed: 7, Origin: 3, Subnet: 5}}, {Update: "u2", State: "held", Reason: "policy-hold"},
		}},
		{Name: "two\nlines, and \"quotes\"", Reason: "host-revoked"},
	}}
	var out strings.Builder
	if err := fleetTable(&out, f); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(out.String())).ReadAll()
	if err != nil || len(rows) != 4 {
		t.Fatalf("%d rows, %v:\n%s", len(rows), err, out.String())
	}
	col := map[string]int{}
	for i, name := range rows[0] {
		col[name] = i
	}
	for i, want := range map[int]map[string]string{
		1: {"machine": "'=cmd|' /C calc'!A0", "groups": "a b", "last_contact": "2026-03-01T12:00:00Z", "update": "u1", "wan_bytes": "10", "subnet_bytes": "5", "last_scan": ""},
		2: {"update": "u2", "state": "held", "reason": "policy-hold"},
		3: {"machine": `two lines, and "quotes"`, "update": "", "reason": "host-revoked"},
	} {
		for name, text := range want {
			if got := rows[i][col[name]]; got != text {
				t.Errorf("row %d, %s is %q, want %q", i, name, got, text)
			}
		}
	}
}

func TestRI5OneFormAtATime(t *testing.T) {
	for _, args := range [][]string{{"status", "--csv", "--json"}, {"report", "bytes", "--csv", "--json"}, {"status", "--csv", "--watch"}} {
		if code, out, errOut := call(append(args, "--data", t.TempDir())...); code != 2 || out != "" {
			t.Errorf("%v: exit code %d, %q, %q", args, code, out, errOut)
		}
	}
}

// Where nothing is to be done a forecast does not say that it will not be done.
func TestWhatIfOfNothingSaysSo(t *testing.T) {
	text := func(affected, off int) string {
		var out strings.Builder
		writeForecast(&out, &sim.Forecast{Update: "u1", Action: "remove", PayloadBytes: 5 << 20, Machines: 3, Affected: affected, Off: off})
		if strings.Contains(out.String(), "to fetch") {
			t.Errorf("a removal fetches: %s", out.String())
		}
		return out.String()
	}
	if out := text(0, 0); strings.Contains(out, "not by") || !strings.Contains(out, "nothing is to be done") {
		t.Error(out)
	}
	if out := text(3, 3); !strings.Contains(out, "are off") || strings.Contains(out, "not by") {
		t.Error(out)
	}
	if out := text(3, 1); !strings.Contains(out, "not by") {
		t.Error(out)
	}
}
