package keys

import (
	"crypto/rand"
	"errors"
	"path/filepath"
	"testing"
)

// CVE-2020-11652, Salt: a name that reaches the key folder from a command leads out of it.
func TestPastCVE202011652(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	for _, name := range []string{"../../etc/shadow", "..", "/etc/passwd", "a/../../b", `..\..\b`} {
		if _, err := CreateRole(dir, name, "", rand.Reader); !errors.Is(err, ErrName) {
			t.Errorf("write %q: %v, want ErrName", name, err)
		}
		if _, err := OpenRole(dir, name, ""); !errors.Is(err, ErrName) {
			t.Errorf("read %q: %v, want ErrName", name, err)
		}
	}
}
