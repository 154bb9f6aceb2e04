package main

import (
	"encoding/json"
	"strings"
	"testing"

	"patchmesh/node/api"
)

// Whoever looks at a fleet sees which machines are caches of their sites: in words, as a table and as JSON.
func TestStatusNamesTheCachesOfASite(t *testing.T) {
	f := &api.Fleet{Org: "acme", Machines: []api.Machine{
		{Name: "depot", Site: "north", Cache: true, Updates: []api.Update{{Update: "app", State: "installed"}}}, {Name: "spare", Site: "north", Cache: true}, {Name: "desk", Site: "north"},
	}}
	var text, rows strings.Builder
	writeFleet(&text, f)
	for name, want := range map[string]bool{"depot": true, "spare": true, "desk": false} {
		if got := strings.Contains(text.String(), "\n"+name+" (cache) "); got != want {
			t.Errorf("%s is called a cache: %v\n%s", name, got, text.String())
		}
	}
	if err := fleetTable(&rows, f); err != nil {
		t.Fatal(err)
	}
	for i, end := range []string{",cache", ",true", ",true", ",false"} {
		if line := strings.Split(rows.String(), "\n")[i]; !strings.HasSuffix(line, end) {
			t.Errorf("line %d of the table is %q", i, line)
		}
	}
	b, err := json.Marshal(f)
	if err != nil || strings.Count(string(b), `"cache":true`) != 2 {
		t.Errorf("%s, %v", b, err)
	}
}
