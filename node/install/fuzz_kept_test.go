package install

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What another program or an earlier run has left is read with care: the note beside a kept package names a hash or
// is damaged, and rpm's answer is a list of versions, none at all, or no answer.
func FuzzLeftByOthers(f *testing.F) {
	f.Add("1.2-3\n", 0)
	f.Add("package x is not installed\n", 1)
	f.Add("error: cannot open Packages database\n", 1)
	f.Add(strings.Repeat("0f", 32), 0)
	f.Add(strings.Repeat("0f", 33), 0)
	f.Fuzz(func(t *testing.T, text string, code int) {
		if versions, err := readRPMVersions(text, code); err != nil && versions != nil || code != 0 && len(versions) > 0 {
			t.Errorf("rpm ends with %d and says %q: %q, %v", code, text, versions, err)
		}
		path := filepath.Join(t.TempDir(), "note")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if sum, err := readNote(path); err != nil && sum != [32]byte{} {
			t.Errorf("%q: %x, %v", text, sum, err)
		} else if err == nil && len(text) != 64 {
			t.Errorf("%q passes for a note", text)
		}
	})
}
