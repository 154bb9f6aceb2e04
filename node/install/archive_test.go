package install_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"patchmesh/node/install"
	"patchmesh/node/install/installtest"
)

// entry is one entry of an archive to build.
type entry struct {
	name, body, link string
	kind             byte
}

func tarOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Typeflag: e.kind, Linkname: e.link, Mode: 0o4777, Size: int64(len(e.body))}
		if e.kind == 0 {
			h.Typeflag = tar.TypeReg
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipOf(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func zipOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range entries {
		f, err := w.Create(e.name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, e.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func archiveJob(root, work, name string, body []byte) install.Job {
	opened := 0
	return installtest.Job(installtest.Fixture{Root: root, Work: work}, install.Spec{
		Update: "site", Revision: 1, Installer: "archive", FileName: name, Args: map[string]string{"dest": "/srv/site"},
	}, body, &opened)
}

func TestRH4ArchiveInstallerPassesTheSuite(t *testing.T) {
	oldTree, newTree := []entry{{name: "bin/", kind: tar.TypeDir}, {name: "bin/tool", body: strings.Repeat("old", 3000)}}, []entry{{name: "bin/tool", body: "new"}, {name: "more/deep/x", body: "x"}}
	for name, build := range map[string]func(...entry) []byte{
		"a.tar":    func(e ...entry) []byte { return tarOf(t, e...) },
		"a.tar.gz": func(e ...entry) []byte { return gzipOf(t, tarOf(t, e...)) },
		"a.zip":    func(e ...entry) []byte { return zipOf(t, e[len(e)-1:]...) },
	} {
		t.Run(name, func(t *testing.T) {
			installtest.Run(t, installer(t, "archive"), func(t *testing.T) installtest.Fixture {
				root := t.TempDir()
				write(t, filepath.Join(root, "srv", "keep"), "not ours", 0o644)
				spec := install.Spec{Update: "u", Revision: 1, Installer: "archive", FileName: name, Args: map[string]string{"dest": "/srv/site"}}
				return installtest.Fixture{Root: root, Work: filepath.Join(t.TempDir(), "work"), Old: spec, New: spec,
					OldPayload: build(oldTree...), NewPayload: build(newTree...)}
			})
		})
	}
}

func TestRH4ArchivesThatLeadOutOfTheirFolderTouchNothing(t *testing.T) {
	good := entry{name: "a/b", body: "good"}
	for name, bad := range map[string][]entry{
		"a path with ..":            {good, {name: "../../etc/passwd", body: "root"}},
		"a path with .. in it":      {good, {name: "a/../../x", body: "root"}},
		"an absolute path":          {good, {name: "/etc/passwd", body: "root"}},
		"a drive":                   {good, {name: "C:/x", body: "root"}},
		"a backslash":               {good, {name: `a\..\..\x`, body: "root"}},
		"a control character":       {good, {name: "a/\x1b[2J", body: "x"}},
		"an absolute link":          {good, {name: "l", link: "/etc", kind: tar.TypeSymlink}},
		"a link up":                 {good, {name: "l", link: "../..", kind: tar.TypeSymlink}},
		"a link up behind a link":   {{name: "d/l", link: "..", kind: tar.TypeSymlink}, {name: "m", link: "d/l/../..", kind: tar.TypeSymlink}},
		"a file through a link":     {{name: "d/x", body: "x"}, {name: "l", link: "d", kind: tar.TypeSymlink}, {name: "l/y", body: "y"}},
		"a file over a link":        {{name: "l", link: "a", kind: tar.TypeSymlink}, {name: "l", body: "y"}},
		"the same file twice":       {good, good},
		"a hard link":               {good, {name: "h", link: "/etc/shadow", kind: tar.TypeLink}},
		"a device":                  {good, {name: "d", kind: tar.TypeBlock}},
		"a pipe":                    {good, {name: "p", kind: tar.TypeFifo}},
		"our own list":              {good, {name: ".patchmesh-tree", body: "{}"}},
		"deeper than anybody nests": {{name: strings.Repeat("d/", 200) + "x", body: "x"}},
	} {
		root, work := t.TempDir(), filepath.Join(t.TempDir(), "work")
		write(t, filepath.Join(root, "etc", "passwd"), "mine", 0o644)
		_, err := installer(t, "archive").Install(t.Context(), archiveJob(root, work, "a.tar", tarOf(t, bad...)))
		var e *install.Error
		if !errors.As(err, &e) || e.Reason != install.ReasonDenied {
			t.Errorf("%s: %v, want it denied", name, err)
		}
		if got := names(t, filepath.Join(root, "srv")); got != "" {
			t.Errorf("%s: left behind %s", name, got)
		}
		if got := read(t, filepath.Join(root, "etc", "passwd")); got != "mine" {
			t.Errorf("%s: /etc/passwd holds %q", name, got)
		}
	}
}

func TestRH4AnArchiveThatGrowsWithoutEndIsStopped(t *testing.T) {
	bomb := gzipOf(t, tarOf(t, entry{name: "zeros", body: strings.Repeat("\x00", 80<<20)}))
	root := t.TempDir()
	_, err := installer(t, "archive").Install(t.Context(), archiveJob(root, filepath.Join(t.TempDir(), "work"), "a.tgz", bomb))
	var e *install.Error
	if !errors.As(err, &e) || e.Reason != install.ReasonDenied || !strings.Contains(err.Error(), "times its size") {
		t.Errorf("%d bytes that become 80 MiB: %v", len(bomb), err)
	}
	if got := names(t, filepath.Join(root, "srv")); got != "" {
		t.Errorf("left behind %s", got)
	}
}

func TestRH4AnArchiveNeverTakesAFolderThatNoUpdateMade(t *testing.T) {
	root, work := t.TempDir(), filepath.Join(t.TempDir(), "work")
	write(t, filepath.Join(root, "srv", "site", "data"), "years of work", 0o644)
	i, j := installer(t, "archive"), archiveJob(root, work, "a.tar", tarOf(t, entry{name: "x", body: "x"}))
	if _, err := i.Install(t.Context(), j); err == nil || !strings.Contains(err.Error(), "adopt=true") {
		t.Fatalf("%v, want a refusal that names the way", err)
	}
	if got := read(t, filepath.Join(root, "srv", "site", "data")); got != "years of work" {
		t.Fatalf("the data holds %q", got)
	}
	for _, dest := range []string{"/etc", "/", "/srv/../etc/ssh", "srv/site", ""} {
		bad := j
		bad.Spec.Args = map[string]string{"dest": dest, "adopt": "true"}
		if _, err := i.Install(t.Context(), bad); err == nil {
			t.Errorf("dest %q was taken", dest)
		}
	}
	j.Spec.Args = map[string]string{"dest": "/srv/site", "adopt": "true"}
	if _, err := i.Install(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	if _, err := i.Remove(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(root, "srv", "site", "data")); got != "years of work" {
		t.Errorf("after removal the data holds %q", got)
	}
}

func TestRH4UnpackedFilesGainNoRights(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no permission bits")
	}
	root := t.TempDir()
	j := archiveJob(root, filepath.Join(t.TempDir(), "work"), "a.tar", tarOf(t, entry{name: "tool", body: "x"}, entry{name: "d/l", link: "../tool", kind: tar.TypeSymlink}))
	if _, err := installer(t, "archive").Install(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	fi, err := os.Stat(filepath.Join(root, "srv", "site", "tool"))
	if err != nil || fi.Mode() != 0o755 {
		t.Errorf("mode %v, %v of a file that wanted to be set-uid and writable for all", fi.Mode(), err)
	}
	if got := read(t, filepath.Join(root, "srv", "site", "d", "l")); got != "x" {
		t.Errorf("the link leads to %q", got)
	}
}

func TestRG2ADamagedTreeIsNotPresentAndIsMended(t *testing.T) {
	root, work := t.TempDir(), filepath.Join(t.TempDir(), "work")
	i := installer(t, "archive")
	one, two := archiveJob(root, work, "a.tar", tarOf(t, entry{name: "x", body: "one"})), archiveJob(root, work, "a.tar", tarOf(t, entry{name: "x", body: "two"}, entry{name: "y", body: "y"}))
	for _, j := range []install.Job{one, two} {
		if _, err := i.Install(t.Context(), j); err != nil {
			t.Fatal(err)
		}
	}
	for name, damage := range map[string]func() error{
		"changed": func() error { return os.WriteFile(filepath.Join(root, "srv/site/x"), []byte("bad"), 0o644) },
		"gone":    func() error { return os.Remove(filepath.Join(root, "srv/site/y")) },
		"no list": func() error { return os.Remove(filepath.Join(root, "srv/site/.patchmesh-tree")) },
	} {
		if name == "no list" {
			two.Spec.Args = map[string]string{"dest": "/srv/site", "adopt": "true"}
		}
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		if d, err := i.Detect(t.Context(), two); err != nil || d.Present {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
		if _, err := i.Install(t.Context(), two); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if name == "no list" {
			break
		}
		if got := read(t, filepath.Join(root, "srv/site.patchmesh-previous/x")); got != "one" {
			t.Errorf("%s: after mending, the tree of before holds %q", name, got)
		}
	}
	if d, err := i.Detect(t.Context(), two); err != nil || !d.Present {
		t.Errorf("mended: %+v, %v", d, err)
	}
}

func TestRH7ArchiveCutOffBetweenItsRenamesComesBack(t *testing.T) {
	root, work := t.TempDir(), filepath.Join(t.TempDir(), "work")
	i := installer(t, "archive")
	one, two := archiveJob(root, work, "a.tar", tarOf(t, entry{name: "x", body: "one"})), archiveJob(root, work, "a.tar", tarOf(t, entry{name: "x", body: "two"}))
	if _, err := i.Install(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	site := filepath.Join(root, "srv", "site")
	// Killed after the old tree was moved away and before the new one took its place.
	if err := os.Rename(site, site+".patchmesh-previous"); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "srv", ".site.patchmesh-new", "half"), "x", 0o644)
	if _, err := i.Install(t.Context(), two); err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(site, "x")) + read(t, filepath.Join(site+".patchmesh-previous", "x")); got != "twoone" {
		t.Errorf("folder and previous hold %q", got)
	}
	// Killed in a removal, after the tree was moved away.
	if err := os.Rename(site, filepath.Join(root, "srv", ".site.patchmesh-new-old")); err != nil {
		t.Fatal(err)
	}
	if _, err := i.Remove(t.Context(), two); err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(site, "x")); got != "one" || names(t, filepath.Join(root, "srv")) != "site" {
		t.Errorf("after the removal: %q, %s", got, names(t, filepath.Join(root, "srv")))
	}
}

func FuzzRH4Unpack(f *testing.F) {
	f.Add(tarOf(f, entry{name: "a/b", body: "x"}, entry{name: "l", link: "a", kind: tar.TypeSymlink}), byte(0))
	f.Add(gzipOf(f, tarOf(f, entry{name: "../x", body: "x"})), byte(1))
	f.Add(zipOf(f, entry{name: "a/b", body: "x"}), byte(2))
	f.Fuzz(func(t *testing.T, b []byte, kind byte) {
		if len(b) == 0 {
			return
		}
		root, work := t.TempDir(), filepath.Join(t.TempDir(), "work")
		name := []string{"a.tar", "a.tgz", "a.zip"}[kind%3]
		i, _ := install.For("archive")
		j := archiveJob(root, work, name, b)
		_, err := i.Install(t.Context(), j)
		d, derr := i.Detect(t.Context(), j)
		if derr != nil || d.Present != (err == nil) {
			t.Fatalf("installed: %v, detected: %+v, %v", err, d, derr)
		}
		if got := names(t, root); got != "" && got != "srv" {
			t.Fatalf("the root holds %s", got)
		}
		if got := names(t, filepath.Join(root, "srv")); err != nil && got != "" || err == nil && got != "site" {
			t.Fatalf("%v, but there is %s", err, got)
		}
	})
}
