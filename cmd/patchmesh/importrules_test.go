package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"patchmesh/node/api"
)

func TestRG2RuleFilesOfAnImportAreReadWithinBounds(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var r api.ImportRules
	good := ruleFiles{applicable: file("a", `{"arch":["amd64"]}`), probe: file("p", `{"file":{"path":"/x"}}`)}
	if err := good.read(&r); err != nil || string(r.Applicable) != `{"arch":["amd64"]}` || r.Installed != nil || string(r.Probe) != `{"file":{"path":"/x"}}` {
		t.Errorf("%+v, %v", r, err)
	}
	for path, class := range map[string]api.Class{
		filepath.Join(dir, "none"):                             api.ClassNotFound,
		file("text", "arch = amd64"):                           api.ClassUsage,
		file("huge", `"`+strings.Repeat("x", maxRuleFile)+`"`): api.ClassUsage,
	} {
		var e *api.Error
		if err := (&ruleFiles{installed: path}).read(&r); !errors.As(err, &e) || e.Class != class {
			t.Errorf("%s: %v", filepath.Base(path), err)
		}
	}
}
