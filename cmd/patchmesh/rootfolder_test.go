package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// R-G8: a folder to install below that is missing is refused at start with what to do, before anything is opened.
func TestRG8AMissingRootIsRefusedAtStart(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, root := range []string{filepath.Join(dir, "none"), file} {
		for _, verb := range []string{"run", "apply"} {
			var out, text bytes.Buffer
			if code := run([]string{verb, "--data", filepath.Join(dir, "data"), "--root", root}, &out, &text); code != 1 ||
				!strings.Contains(text.String(), filepath.Base(root)) || strings.Count(text.String(), "--root") == 0 {
				t.Errorf("%s --root %s: %d, %s", verb, filepath.Base(root), code, text.String())
			}
			if _, err := os.Stat(filepath.Join(dir, "data")); err == nil {
				t.Errorf("%s: the data folder was made", verb)
			}
		}
	}
	if checkRoot("") != nil || checkRoot(dir) != nil {
		t.Error("a folder that is there is refused")
	}
}
