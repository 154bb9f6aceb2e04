package main

import (
	"bytes"
	"testing"

	"patchmesh/node/api"
)

// What is stated of a site is read from top to bottom, and overlaps in the order of its prefixes.
func TestSiteIsShownInOrder(t *testing.T) {
	var out bytes.Buffer
	writeSite(&out, &api.Site{Site: "berlin", Prefixes: []string{"10.1.0.0/16", "10.2.0.0/16"}, WANBudget: []string{"month=20GB"}, Neighbours: []string{"potsdam"},
		StaleDays: 30, Overlaps: []string{"10.1.0.0/16 overlaps", "10.2.0.0/16 overlaps\x1b[2J"}})
	const want = "berlin: 10.1.0.0/16 10.2.0.0/16\nWAN budget: month=20GB\ntakes from: potsdam\nstaleness budget: 30 days\n10.1.0.0/16 overlaps\n10.2.0.0/16 overlaps[2J\n"
	if out.String() != want {
		t.Errorf("%q", out.String())
	}
}
