package main

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"patchmesh/policy"
)

// R-G1, R-A8: the rule language is told where a rule is asked for: import --help names every kind of condition, and its
// examples are rules.
func TestRG1ImportHelpTellsTheRuleLanguage(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run([]string{"import", "--help"}, &out, &errs); code != 0 {
		t.Fatal(errs.String())
	}
	kind := reflect.TypeFor[policy.Condition]()
	for i := range kind.NumField() {
		name, _, _ := strings.Cut(kind.Field(i).Tag.Get("json"), ",")
		if name != "machine" && !strings.Contains(out.String(), `"`+name+`"`) { // machine is for groups alone
			t.Errorf("%s is not told", name)
		}
	}
	examples := 0
	for line := range strings.Lines(out.String()) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "{") {
			continue
		}
		examples++
		if _, err := policy.ParseCondition([]byte(line)); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	if examples < 5 {
		t.Errorf("%d examples", examples)
	}
}
