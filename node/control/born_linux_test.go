package control

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// The unit of the net role forbids it to change the owner of files: its socket must have the right group
// without that, or nobody reaches the node.
func TestSocketOfTheOwnGroupIsNotGivenAway(t *testing.T) {
	dir := t.TempDir()
	if !bornTo(dir, os.Getegid()) || bornTo(dir, os.Getegid()+1) || bornTo(filepath.Join(dir, "nothing"), os.Getegid()) {
		t.Error("only the own group owns what this process makes")
	}
	f := filepath.Join(dir, "x")
	if err := os.WriteFile(f, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	fi, err := os.Stat(f)
	if err != nil || int(fi.Sys().(*syscall.Stat_t).Gid) != os.Getegid() {
		t.Fatalf("%v, %v", fi, err)
	}
	if err := os.Chmod(dir, 0o700|os.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	if bornTo(dir, os.Getegid()) {
		t.Error("a folder that hands its own group on decides by itself")
	}
}
