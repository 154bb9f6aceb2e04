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

// R-A8: the licence is read as it is, and one that no descriptor can hold is refused before anything is imported.
func TestRA8TheLicenceOfAnImportIsReadWithinBounds(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		text string
		ok   bool
	}{"lines": {"one\r\ntwo\n", true}, "huge": {strings.Repeat("x", maxLicenceFile+1), false}} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		var r api.ImportRules
		err := (&ruleFiles{licence: path}).read(&r)
		if (err == nil) != c.ok || c.ok && r.Licence != "one\ntwo\n" {
			t.Errorf("%s: %q, %v", name, r.Licence, err)
		}
	}
	var r api.ImportRules
	if err := (&ruleFiles{licence: filepath.Join(dir, "none")}).read(&r); api.ClassOf(err) != api.ClassNotFound {
		t.Errorf("no file: %v", err)
	}
}
