package main

import (
	"strings"
	"testing"

	"patchmesh/node/api"
)

// R-B1: the fleet's picture counts what nobody has decided about, what most machines need first; what is approved is not
// counted, and where it is approved for some machines, the others are.
func TestRB1StatusCountsWhatIsNotApproved(t *testing.T) {
	row := func(update, compliance, reason string) api.Update {
		return api.Update{Update: update, Compliance: compliance, Reason: reason, State: "offered"}
	}
	const not = "policy-not-approved"
	f := &api.Fleet{Machines: []api.Machine{
		{Name: "a", Updates: []api.Update{row("rare", "required", not), row("x", "required", not), row("done", "installed", ""), row("some", "required", not)}},
		{Name: "b", Updates: []api.Update{row("rare", "not-applicable", "compat-os"), row("x", "installed", not), row("late", "required", "policy-hold"), row("some", "installed", "")}},
		{Name: "c", Updates: []api.Update{row("x", "required", not), row("rare", "unknown", not), row("some", "required", "window-closed")}},
	}}
	var w strings.Builder
	writeNotApproved(&w, f)
	want := "not approved: x: needed by 2 machine(s), on 1, not for 0, not looked for yet on 0\n" +
		"not approved: rare: needed by 1 machine(s), on 0, not for 1, not looked for yet on 1\n" +
		"not approved for all: some: needed by 1 machine(s), on 0, not for 0, not looked for yet on 0; decided for 2 other(s)\n"
	if w.String() != want {
		t.Errorf("told:\n%swant:\n%s", &w, want)
	}
	w.Reset()
	writeNotApproved(&w, &api.Fleet{Machines: f.Machines[:0]})
	if w.String() != "" {
		t.Errorf("of no machine: %s", &w)
	}
}

// R-B5: a time without a zone means each machine's own clock only where that is said; with it nothing else is taken.
func TestRB5TimesWithoutAZone(t *testing.T) {
	for _, c := range []struct {
		text  string
		local bool
		want  string // empty: refused
	}{
		{"2026-12-01T18:00", true, "2026-12-01 18:00:00 +0000 UTC"}, {"2026-12-01T18:00:30", true, "2026-12-01 18:00:30 +0000 UTC"},
		{"2026-12-01T18:00Z", true, ""}, {"2026-12-01T18:00:00Z", true, ""}, {"2026-12-01T18:00:00+01:00", true, ""}, {"72h", true, ""},
		{"2026-12-01T18:00", false, ""}, {"2026-12-01T18:00:00", false, ""}, {"2026-12-01T18:00:00Z", false, "2026-12-01 18:00:00 +0000 UTC"},
	} {
		got, err := readTimeAt("--deadline", c.text, c.local)
		if (err != nil) != (c.want == "") || err == nil && got.UTC().String() != c.want {
			t.Errorf("%q, local %v: %s, %v; want %q", c.text, c.local, got, err, c.want)
		}
	}
}
