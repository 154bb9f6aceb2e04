package install_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"patchmesh/node/install"
	"patchmesh/node/install/installtest"
)

func installer(t *testing.T, kind string) install.Installer {
	t.Helper()
	i, err := install.For(kind)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// fileJob is a job that places body at dest below a fresh root.
func fileJob(root, dest string, body []byte) install.Job {
	return install.Job{Root: root, Spec: install.Spec{
		Update: "u", Revision: 1, Installer: "file", Args: map[string]string{"dest": dest},
		SHA256: sha256.Sum256(body), PlainBytes: int64(len(body)),
	}, Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }}
}

func TestFileInstallerPassesTheSuite(t *testing.T) {
	installtest.Run(t, installer(t, "file"), func(t *testing.T) installtest.Fixture {
		root := t.TempDir()
		write(t, filepath.Join(root, "opt", "keep"), "not ours", 0o644)
		spec := install.Spec{Update: "u", Revision: 1, Installer: "file", Args: map[string]string{"dest": "/opt/app/tool"}}
		return installtest.Fixture{Root: root, Work: filepath.Join(t.TempDir(), "work"), Old: spec, New: spec,
			OldPayload: bytes.Repeat([]byte("old "), 30000), NewPayload: bytes.Repeat([]byte("new"), 50000),
			// Folders for the file may stay behind a refusal.
			Ignore: []string{"opt/app"}}
	})
}

func TestFileKeepsThePreviousOneAndRemovalBringsItBack(t *testing.T) {
	root := t.TempDir()
	dest := filepath.Join(root, "etc", "app.conf")
	write(t, dest, "before", 0o640)
	i, j := installer(t, "file"), fileJob(root, "/etc/app.conf", []byte("after"))
	if _, err := i.Install(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	if got := read(t, dest); got != "after" {
		t.Errorf("dest holds %q", got)
	}
	if got := read(t, dest+".patchmesh-previous"); got != "before" {
		t.Errorf("the previous file holds %q", got)
	}
	if fi, _ := os.Stat(dest); runtime.GOOS != "windows" && fi.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, want that of the file it replaced", fi.Mode())
	}
	if _, err := i.Remove(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	if got := read(t, dest); got != "before" {
		t.Errorf("after removal dest holds %q", got)
	}
	if left := names(t, filepath.Dir(dest)); left != "app.conf" {
		t.Errorf("left behind: %s", left)
	}
}

func TestFileRemovalDoesNotRestoreAFileFromBeforeADeletion(t *testing.T) {
	root := t.TempDir()
	dest := filepath.Join(root, "app.conf")
	write(t, dest, "long ago", 0o644)
	i, j := installer(t, "file"), fileJob(root, "/app.conf", []byte("after"))
	if _, err := i.Install(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(dest); err != nil { // somebody deletes it by hand
		t.Fatal(err)
	}
	if _, err := i.Install(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	if _, err := i.Remove(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	if left := names(t, root); left != "" {
		t.Errorf("left behind: %s", left)
	}
}

func TestFileRemovalLeavesAFileThatIsNotTheUpdate(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "tool"), "newer", 0o644)
	res, err := installer(t, "file").Remove(t.Context(), fileJob(root, "/tool", []byte("older")))
	if err != nil || res.Changed || read(t, filepath.Join(root, "tool")) != "newer" {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestFileModeArgument(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // no permission bits there
	}
	root := t.TempDir()
	i, j := installer(t, "file"), fileJob(root, "/bin/tool", []byte("#!"))
	j.Spec.Args["mode"] = "0755"
	if _, err := i.Install(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	if fi, _ := os.Stat(filepath.Join(root, "bin", "tool")); fi.Mode().Perm() != 0o755 {
		t.Errorf("mode %v", fi.Mode())
	}
	for _, mode := range []string{"4755", "2755", "0", "", "rwx", "-1", "99999999999", "0x1ff", "888"} {
		j := fileJob(root, "/bin/other", []byte("#!"))
		j.Spec.Args["mode"] = mode
		_, err := i.Install(t.Context(), j)
		wantReason(t, "mode "+mode, err, install.ReasonDenied)
	}
}

// Every dest here would leave the root, or name something that a file must not replace.
func TestFileRefusesPathsOutOfTheRoot(t *testing.T) {
	outside := t.TempDir()
	write(t, filepath.Join(outside, "victim"), "safe", 0o644)
	root := t.TempDir()
	for link, to := range map[string]string{
		"abs": outside, "up": "../" + filepath.Base(outside), "root": "/", "etc": "/etc",
		"victim-link": filepath.Join(outside, "victim"), "loop": "loop", "dangling": "/nowhere/at/all",
	} {
		if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(root, "plain"), "a file", 0o644)
	if err := os.MkdirAll(filepath.Join(root, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	i := installer(t, "file")
	for _, dest := range []string{
		"", "/", "//", "relative", "./x", "..", "../x", "/../x", "/a/../../x", "/folder/../x", "/..", "/folder/", "/.",
		"/abs/victim", "/abs/new", "/up/victim", "/root/tmp/x", "/etc/x", "/victim-link", "/loop/x", "/loop", "/dangling", "/dangling/x",
		"/plain/x", "/folder", "/nul\x00byte", "/" + strings.Repeat("a", 2000), "/" + strings.Repeat("b", 201),
		"/x.patchmesh-previous", "/x.patchmesh-new",
	} {
		j := fileJob(root, dest, []byte("attack"))
		_, err := i.Install(t.Context(), j)
		wantReason(t, "install at "+dest, err, install.ReasonDenied)
		if d, err := i.Detect(t.Context(), j); d.Present {
			t.Errorf("Detect at %q: present, %v", dest, err)
		}
		if res, _ := i.Remove(t.Context(), j); res.Changed {
			t.Errorf("Remove at %q changed something", dest)
		}
	}
	if got := read(t, filepath.Join(outside, "victim")); got != "safe" {
		t.Errorf("the file outside holds %q", got)
	}
	if left := names(t, outside); left != "victim" {
		t.Errorf("outside now holds %s", left)
	}
}

func TestFileFollowsLinksThatStayBelowTheRoot(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "usr", "lib"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("usr/lib", filepath.Join(root, "lib")); err != nil {
		t.Fatal(err)
	}
	if _, err := installer(t, "file").Install(t.Context(), fileJob(root, "/lib/x", []byte("x"))); err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(root, "usr", "lib", "x")); got != "x" {
		t.Errorf("%q", got)
	}
}

// An attacker who may write the folder swaps the staged file after it was hashed.
func TestFileRefusesAStagedFileThatWasSwapped(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // the staged file is open without sharing there
	}
	root := t.TempDir()
	body := []byte("approved")
	j := fileJob(root, "/tool", body)
	staged := filepath.Join(root, ".tool.patchmesh-new")
	j.Open = func() (io.ReadCloser, error) { return swapAtEnd{bytes.NewReader(body), t, staged}, nil }
	_, err := installer(t, "file").Install(t.Context(), j)
	wantReason(t, "swapped", err, install.ReasonDenied)
	if left := names(t, root); strings.Contains(left, "tool ") || strings.HasSuffix(left, " tool") || left == "tool" {
		t.Errorf("placed after all: %s", left)
	}
}

// swapAtEnd replaces the staged file when its payload has been read.
type swapAtEnd struct {
	r    *bytes.Reader
	t    *testing.T
	path string
}

func (s swapAtEnd) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	if err == io.EOF {
		evil := s.path + "-evil"
		write(s.t, evil, "evil payload", 0o644)
		if err := os.Rename(evil, s.path); err != nil {
			s.t.Error(err)
		}
	}
	return n, err
}
func (swapAtEnd) Close() error { return nil }

func TestFileRecoversFromAStagedFileOfACrash(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, ".tool.patchmesh-new"), "half", 0o600)
	write(t, filepath.Join(root, ".tool.patchmesh-new-old"), "half", 0o600)
	write(t, filepath.Join(root, "tool"), "old", 0o644)
	if _, err := installer(t, "file").Install(t.Context(), fileJob(root, "/tool", []byte("new"))); err != nil {
		t.Fatal(err)
	}
	if left := names(t, root); left != "tool tool.patchmesh-previous" {
		t.Errorf("the root holds %s", left)
	}
}

func TestFileDetectStopsWhenTheContextEnds(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "tool"), "body", 0o644)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := installer(t, "file").Detect(ctx, fileJob(root, "/tool", []byte("body")))
	wantReason(t, "ended context", err, install.ReasonTimeout)
}

func TestUnknownKindIsMissing(t *testing.T) {
	_, err := install.For("msi-of-the-future")
	wantReason(t, "unknown kind", err, install.ReasonMissing)
	if kinds := install.Kinds(); len(kinds) == 0 || !slices.Contains(kinds, "file") || !slices.IsSorted(kinds) {
		t.Errorf("kinds %v", kinds)
	}
}

func wantReason(t *testing.T, what string, err error, want string) {
	t.Helper()
	var e *install.Error
	if !errors.As(err, &e) || e.Reason != want {
		t.Errorf("%s: %v, want reason %s", what, err, want)
	}
}

func write(t *testing.T, path, body string, mode os.FileMode) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(body), mode)); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return strings.Join(out, " ")
}
