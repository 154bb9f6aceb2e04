package node

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// plainShare is what export and import must reach of the speed of 'cp' and 'sha256sum' of the same bytes.
const plainShare = 0.6

// TestStickIsNotMuchSlowerThanPlainCopies: export and import beside cp plus sha256sum of the same bytes, in
// turns in one run, in memory and on the disk. It measures, so it runs with the full counts only.
func TestStickIsNotMuchSlowerThanPlainCopies(t *testing.T) {
	if os.Getenv("PATCHMESH_SOAK") != "1" {
		t.Skip("it measures the machine: PATCHMESH_SOAK=1 runs it, on one that does nothing else")
	}
	for _, tool := range []string{"cp", "sha256sum", "sync"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	for name, dir := range map[string]string{"in memory": "/dev/shm", "on the disk": os.Getenv("PATCHMESH_DISK")} {
		t.Run(name, func(t *testing.T) { besidePlainCopies(t, dir) })
	}
}

func besidePlainCopies(t *testing.T, dir string) {
	if dir == "" {
		dir = "/var/tmp"
	}
	if fi, err := os.Stat(dir); err != nil || !fi.IsDir() {
		t.Skipf("there is no %s here", dir)
	}
	t.Setenv("TMPDIR", dir)
	const size = 256 << 20
	s := newSite(t)
	body := static(size)
	s.update("u1", body)
	source := filepath.Join(t.TempDir(), "source")
	if err := os.WriteFile(source, body, 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v, %s", args, err, out)
		}
	}
	took := func(f func()) time.Duration { at := time.Now(); f(); return time.Since(at) }
	var plain, synced, exports, imports []time.Duration
	for range 5 {
		to := t.TempDir()
		copied := filepath.Join(to, "copied")
		run("sync", "-f", dir)
		plain = append(plain, took(func() { run("cp", source, copied); run("sha256sum", copied) }))
		if err := os.Remove(copied); err != nil {
			t.Fatal(err)
		}
		run("sync", "-f", dir)
		synced = append(synced, took(func() { run("cp", source, copied); run("sync", copied); run("sha256sum", copied) }))
		run("sync", "-f", dir)
		exports = append(exports, took(func() {
			if x, err := ExportBundle(context.Background(), s.seed, ExportRequest{Dir: to, Site: "north", Now: time.Now()}); err != nil || x.ChunkBytes != size {
				t.Fatalf("%+v, %v", x, err)
			}
		}))
		run("sync", "-f", dir)
		imports = append(imports, took(func() {
			if i, err := s.take(to); err != nil || i.ChunkBytes != size {
				t.Fatalf("%+v, %v", i, err)
			}
		}))
		if err := s.store.Drop(s.payload("u1")); err != nil {
			t.Fatal(err)
		}
	}
	middle := func(d []time.Duration) time.Duration { slices.Sort(d); return d[len(d)/2] }
	p, y := middle(plain), middle(synced)
	t.Logf("%d MiB, medians of 5: cp and sha256sum %s, with sync %s", size>>20, p.Round(time.Millisecond), y.Round(time.Millisecond))
	for what, d := range map[string]time.Duration{"export": middle(exports), "import": middle(imports)} {
		// What export and import acknowledge is on the medium: that is what cp with sync does.
		share := y.Seconds() / d.Seconds()
		t.Logf("%s %s: %.0f %% of the speed of the synced copy, %.0f %% of that of the copy that is not", what, d.Round(time.Millisecond), 100*share, 100*p.Seconds()/d.Seconds())
		if share < plainShare {
			t.Errorf("%s reaches %.0f %%, want %.0f %%", what, 100*share, 100*plainShare)
		}
	}
}
