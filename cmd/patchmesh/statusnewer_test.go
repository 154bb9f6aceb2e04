package main

import (
	"bytes"
	"strings"
	"testing"

	"patchmesh/node/api"
)

// C-72: an admin sees a state that this version does not know, in the table and in the spreadsheet, and which machine says more than
// is shown.
func TestC72StatusShowsWhatItDoesNotKnow(t *testing.T) {
	f := &api.Fleet{Machines: []api.Machine{
		{Name: "till-3", ReportVersion: api.ReportVersion + 1, Updates: []api.Update{{Update: "u1", State: "quarantined", Reason: "host-quantum", Compliance: "half-there"}}},
		{Name: "till-4", ReportVersion: api.ReportVersion},
	}}
	var table, sheet bytes.Buffer
	writeFleet(&table, f)
	if err := fleetTable(&sheet, f); err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"quarantined", "host-quantum", "half-there"} {
		if !strings.Contains(table.String(), word) || !strings.Contains(sheet.String(), word) {
			t.Errorf("%s is missing in %q or %q", word, table.String(), sheet.String())
		}
	}
	if text := table.String(); !strings.Contains(text, "till-3 reports in version") || strings.Contains(text, "till-4 reports in version") {
		t.Errorf("who says more is not told: %q", text)
	}
}
