package node

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
)

// tree is every file of a folder with a digest of its bytes.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		out[path] = content.Sum(b).String()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestTrustIsShownBesideAStoppedMachine(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	m.file("u1", payload(1000))
	m.approve("u1")
	until(t, "the update to be installed", func() bool { return a.update(t, "u1").State == "installed" })
	running, err := a.TrustState(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	a.stop()
	dir := filepath.Join(m.dir, "a")
	before := tree(t, dir)
	got, err := ReadTrustState(dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if got.Org != running.Org || got.Epoch != running.Epoch || got.Fingerprint != running.Fingerprint || len(got.Roles) != len(running.Roles) || got.Stale {
		t.Errorf("%+v, running it said %+v", got, running)
	}
	for path, sum := range tree(t, dir) {
		if before[path] != sum {
			t.Errorf("%s was changed by looking", path)
		}
	}
	// The clock that was turned back hides nothing that this machine has seen to expire, nor does one far
	// ahead change what is on disk.
	if late, err := ReadTrustState(dir, func() time.Time { return time.Now().Add(8 * 24 * time.Hour) }); err != nil || !late.Stale {
		t.Errorf("a week later: %+v, %v", late, err)
	}
	for _, name := range []string{"floor", "floor.copy"} {
		if err := os.Remove(filepath.Join(dir, "trust", name)); err != nil {
			t.Fatal(err)
		}
	}
	if got, err = ReadTrustState(dir, time.Now); err != nil || !strings.Contains(strings.Join(got.Warnings, "\n"), "damaged") {
		t.Errorf("without floors: %+v, %v", got, err)
	}
	if _, err := ReadTrustState(t.TempDir(), time.Now); err == nil || api.ClassOf(err) == api.ClassRefused {
		t.Errorf("a folder of nobody: %v", err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "trust")); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "trust"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadTrustState(dir, time.Now); api.ClassOf(err) != api.ClassRefused {
		t.Errorf("an empty trust folder: %v", err)
	}
}
