package daemon

import (
	"os"
	"os/user"
	"path/filepath"
	"syscall"
	"testing"
)

func TestTrustedProgramBelongsToRootAllTheWay(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make files of root")
	}
	if err := (Linux{}).Trusted("/usr/bin/env"); err != nil {
		t.Errorf("a program of the system: %v", err)
	}
	dir := t.TempDir() // below a folder that everybody may write
	bin := filepath.Join(dir, "patchmesh")
	if err := os.WriteFile(bin, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := (Linux{}).Trusted(bin); err == nil {
		t.Errorf("a program below %s was trusted", os.TempDir())
	}
}

func TestOnlyWhatRootOwnsIsGivenAway(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Skip("no user nobody here")
	}
	uid, _, err := numbers(nobody.Username)
	if err != nil {
		t.Fatal(err)
	}
	make := func() string {
		dir := filepath.Join(t.TempDir(), "data")
		if err := os.MkdirAll(filepath.Join(dir, "keys"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "keys", "node.key"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	dir := make()
	if (Linux{}).Owned(dir, "nobody") {
		t.Error("root's folder counts as given")
	}
	if err := (Linux{}).Own(dir, "nobody"); err != nil || !(Linux{}).Owned(dir, "nobody") {
		t.Fatalf("%v", err)
	}
	fi, err := os.Lstat(filepath.Join(dir, "keys", "node.key"))
	if err != nil || int(fi.Sys().(*syscall.Stat_t).Uid) != uid {
		t.Errorf("the key was not given: %v", err)
	}
	// Its owner moves a file of root's there and waits for the next installation; what all could read is no secret.
	secret, open := filepath.Join(dir, "secret"), filepath.Join(dir, "open")
	for path, mode := range map[string]os.FileMode{secret: 0o600, open: 0o644} {
		if err := os.WriteFile(path, []byte("root's"), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := (Linux{}).Own(dir, "nobody"); err == nil {
		t.Error("a file that only root could read was given away in silence")
	}
	if fi, _ := os.Lstat(secret); fi.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Error("a file that only root could read was given away")
	}
	if err := os.Remove(secret); err != nil {
		t.Fatal(err)
	}
	if err := (Linux{}).Own(dir, "nobody"); err != nil || !(Linux{}).Owned(dir, "nobody") {
		t.Errorf("what everybody could read: %v", err)
	}
	for name, plant := range map[string]func(dir, victim string) error{
		"a link":        func(dir, victim string) error { return os.Symlink(victim, filepath.Join(dir, "x")) },
		"a second name": func(dir, victim string) error { return os.Link(victim, filepath.Join(dir, "x")) },
	} {
		dir := make()
		victim := filepath.Join(filepath.Dir(dir), "shadow")
		if err := os.WriteFile(victim, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := plant(dir, victim); err != nil {
			t.Fatal(err)
		}
		if err := (Linux{}).Own(dir, "nobody"); err == nil {
			t.Errorf("%s was given away", name)
		}
		if fi, _ := os.Lstat(victim); fi.Sys().(*syscall.Stat_t).Uid != 0 {
			t.Errorf("%s: what it leads to was given away", name)
		}
	}
}
