package trustdir

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"patchmesh/policy"
)

func set(tag string) policy.Files {
	return policy.Files{
		Root: []byte("root " + tag), Timestamp: []byte("ts " + tag), Snapshot: []byte("sn " + tag),
		Targets: []byte("ta " + tag), RosterRole: []byte("rr " + tag), Roster: []byte("ro " + tag), Manifest: []byte("ma " + tag),
	}
}

func open(t *testing.T) (*Dir, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "trust")
	d, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return d, path
}

func TestLoadGivesWhatWasSavedLast(t *testing.T) {
	d, path := open(t)
	if _, err := d.Load(); !errors.Is(err, ErrEmpty) {
		t.Fatalf("new folder: %v, want ErrEmpty", err)
	}
	for _, tag := range []string{"a", "b", "c", "d"} {
		if err := d.Save(set(tag)); err != nil {
			t.Fatal(err)
		}
		again, _ := Open(path)
		f, err := again.Load()
		if err != nil || !bytes.Equal(f.Manifest, set(tag).Manifest) {
			t.Fatalf("after saving %s: %q, %v", tag, f.Manifest, err)
		}
	}
	entries, _ := os.ReadDir(path)
	if len(entries) != 4 { // two sets, two pointers
		t.Fatalf("%d entries are left, want 4: old sets pile up", len(entries))
	}
}

// A crash at any step of Save leaves the old or the new set, whole.
func TestCrashAtEveryStepLeavesAWholeSet(t *testing.T) {
	write := func(t *testing.T, path string, b []byte) {
		t.Helper()
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, breakIt := range map[string]func(t *testing.T, path string, oldPointer []byte){
		"before current was replaced": func(t *testing.T, path string, old []byte) {
			write(t, filepath.Join(path, "current"), old)
			write(t, filepath.Join(path, "current.copy"), old)
		},
		"between the two pointers": func(t *testing.T, path string, old []byte) { write(t, filepath.Join(path, "current.copy"), old) },
		"half written set, never named": func(t *testing.T, path string, _ []byte) {
			if err := os.Mkdir(filepath.Join(path, "v00000003"), 0o700); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(path, "v00000003", "root.json"), []byte("ro"))
		},
		"pointer torn": func(t *testing.T, path string, _ []byte) {
			write(t, filepath.Join(path, "current"), []byte(`{"set":"v0`))
		},
	} {
		t.Run(name, func(t *testing.T) {
			d, path := open(t)
			if err := d.Save(set("old")); err != nil {
				t.Fatal(err)
			}
			oldPointer, err := os.ReadFile(filepath.Join(path, "current"))
			if err != nil {
				t.Fatal(err)
			}
			if err := d.Save(set("new")); err != nil {
				t.Fatal(err)
			}
			breakIt(t, path, oldPointer)
			f, err := d.Load()
			if m := string(f.Manifest); err != nil || (m != "ma old" && m != "ma new") {
				t.Fatalf("manifest %q, %v", m, err)
			}
			if err := d.Save(set("next")); err != nil {
				t.Fatal(err)
			}
			if f, err := d.Load(); err != nil || string(f.Manifest) != "ma next" {
				t.Fatalf("after saving again: %q, %v", f.Manifest, err)
			}
		})
	}
}

func TestDamagedSetIsRefusedNotReset(t *testing.T) {
	d, path := open(t)
	if err := d.Save(set("a")); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(path, "v00000001", "manifest.json")
	if err := os.WriteFile(file, []byte("ma A"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Load(); !errors.Is(err, ErrDamaged) {
		t.Fatalf("one byte changed: %v, want ErrDamaged", err)
	}
	_ = os.Remove(file)
	if _, err := d.Load(); !errors.Is(err, ErrDamaged) {
		t.Fatalf("file removed: %v, want ErrDamaged", err)
	}
}

func TestPointerCannotNameAnotherPath(t *testing.T) {
	d, path := open(t)
	evil := []byte(`{"set":"../../etc","number":1,"digest":"x"}`)
	_ = os.WriteFile(filepath.Join(path, "current"), evil, 0o600)
	_ = os.WriteFile(filepath.Join(path, "current.copy"), evil, 0o600)
	if _, err := d.Load(); !errors.Is(err, ErrDamaged) {
		t.Fatalf("%v, want ErrDamaged", err)
	}
}
