package main

import (
	"strings"
	"testing"
)

// R-A9, R-B5, R-B13, R-B14: what contradicts itself or cannot be is wrong usage, and the answer says what is wrong with
// it: two revisions of one approval, a deadline that nobody could sign, a withdrawal with a time, a safeguard of nothing.
func TestRB5WordsThatContradictThemselvesAreTold(t *testing.T) {
	dir := t.TempDir()
	seed := dir + "/seed"
	if code, _, errOut := call("init", "--org", "acme", "--insecure-no-passphrase", "--data", seed); code != 0 {
		t.Fatal(errOut)
	}
	for want, args := range map[string][]string{
		"p1@1 and --revision 2 name two revisions":      {"approve", "p1@1", "--revision", "2", "--group", "all"},
		`"p1@x" names no revision`:                      {"approve", "p1@x", "--group", "all"},
		"--deadline 1001d is longer than the 1000 days": {"approve", "p1", "--rings", "p", "--deadline", "1001d"},
		"an approval is withdrawn as a whole":           {"approve", "p1", "--group", "all", "--withdraw", "--local"},
		"hint: --withdraw goes with --group":            {"approve", "p1", "--group", "all", "--withdraw", "--ignore-budget"},
		"hint: add a condition, like --if-arch arm64":   {"hold", "all", "--kind", "safeguard", "--reason", "hangs"},
		"what is to stop everywhere is --kind pause":    {"hold", "all", "--kind", "safeguard", "--reason", "hangs", "--group", "all"},
		"has a predicate of 1 names":                    {"hold", "all", "--kind", "pause", "--if-arch", "arm64", "--reason", "hangs"},
		"--revision is about one update":                {"approve", "p1", "p2", "--revision", "2", "--group", "all"},
		"hint: name the revision of each, like p1@2":    {"approve", "p1@2", "p2", "--revision", "2", "--group", "all"},
		"p1 is named twice":                             {"approve", "p1", "p2", "p1@2", "--group", "all"},
		"--withdraw and --what-if are about one update": {"approve", "p1", "p2", "--group", "all", "--withdraw"},
		"no update \"p1\" in the catalogue":             {"approve", "p1@2", "--revision", "2", "--group", "all"},
		"no update \"p2\" in the catalogue":             {"approve", "p2", "--rings", "p", "--deadline", "1000d"},
		"no approval of p3 for group all":               {"approve", "p3", "--group", "all", "--withdraw"},
	} {
		code, _, errOut := call(append(args, "--data", seed)...)
		usage := !strings.HasPrefix(want, "no ")
		if (code == 2) != usage || !strings.Contains(errOut, want) {
			t.Errorf("%v: exit code %d: %s", args, code, errOut)
		}
	}
}
