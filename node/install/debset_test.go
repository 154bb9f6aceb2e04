//go:build linux

package install_test

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"patchmesh/node/install"
	"patchmesh/node/install/installtest"
	"patchmesh/policy"
)

// setOf packs files as a set.
func setOf(t *testing.T, files map[string][]byte, order ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range order {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(files[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// twins are two packages of one source that need each other in the same version.
func twins(version string) (lib, prog deb) {
	lib = deb{name: "libtwin", version: version, extra: "Depends: twin (= " + version + ")\n", files: map[string]string{"usr/lib/twin": version}}
	prog = deb{name: "twin", version: version, extra: "Depends: libtwin (= " + version + ")\nProvides: twin-api (= 2)\n", files: map[string]string{"usr/share/twin/v": version}}
	return lib, prog
}

// setJob is an update of packages that go in together.
func setJob(t testing.TB, root, names string, payload []byte) install.Job {
	t.Helper()
	opened := 0
	j := installtest.Job(installtest.Fixture{Root: root, Work: filepath.Join(root, "work")},
		install.Spec{Update: "twins", Revision: len(payload), Installer: "deb", FileName: "twins.tar", Args: map[string]string{"packages": names}}, payload, &opened)
	j.Keep = filepath.Join(root, "kept")
	return j
}

func twinSet(t *testing.T, root, version string) install.Job {
	t.Helper()
	lib, prog := twins(version)
	payload := setOf(t, map[string][]byte{"a/libtwin.deb": lib.build(t), "twin.deb": prog.build(t)}, "twin.deb", "a/libtwin.deb")
	return setJob(t, root, "libtwin:all="+version+" twin:all="+version, payload)
}

func twinsAre(t *testing.T, root, want string) {
	t.Helper()
	if got := status(t, root, "libtwin") + "," + status(t, root, "twin"); got != want {
		t.Errorf("the packages are %q, want %q", got, want)
	}
	audited(t, root)
}

// R-H4, R-H8: packages that need each other in the same version cannot go in one after the other; as a set they go in
// with one run of dpkg, are found as one update, and come off with one.
func TestRH4ASetOfPackagesGoesInWithOneRun(t *testing.T) {
	i, root := needDpkg(t), t.TempDir()
	lib, _ := twins("1.0")
	if e := bring(t, lib.job(t, root), install.ReasonDependency); !strings.Contains(e.Error(), "twin (= 1.0)") {
		t.Fatalf("alone: %v", e)
	}
	for _, version := range []string{"1.0", "2.0"} {
		j := twinSet(t, root, version)
		if d := look(t, j); d.Present {
			t.Errorf("%s: %+v", version, d)
		}
		bring(t, j, "")
		twinsAre(t, root, "ii "+version+",ii "+version)
		if d := look(t, j); !d.Present || d.Version != "libtwin:all="+version+" twin:all="+version {
			t.Errorf("%s: %+v", version, d)
		}
		if left := names(t, j.Work); left != "" {
			t.Errorf("left in the work folder: %s", left)
		}
	}
	if _, err := i.Remove(t.Context(), twinSet(t, root, "1.0")); err == nil {
		t.Error("a newer set was removed")
	}
	two := twinSet(t, root, "2.0")
	if res, err := i.Remove(t.Context(), two); err != nil || !res.Changed {
		t.Errorf("%+v, %v", res, err)
	}
	twinsAre(t, root, ",")
	if res, err := i.Remove(t.Context(), two); err != nil || res.Changed {
		t.Errorf("again: %+v, %v", res, err)
	}
}

// R-H4: what a set lacks is named before anything is touched; what a member provides, the others have.
func TestRH4ASetIsCheckedAsOne(t *testing.T) {
	needDpkg(t)
	root := t.TempDir()
	_, prog := twins("1.0")
	user := deb{name: "user", version: "1", extra: "Depends: twin-api (>= 2), twin, libtwin\n"}
	payload := setOf(t, map[string][]byte{"a.deb": prog.build(t), "b.deb": user.build(t)}, "a.deb", "b.deb")
	if e := bring(t, setJob(t, root, "twin:all=1.0 user:all=1", payload), install.ReasonDependency); !strings.Contains(e.Error(), "needs libtwin (= 1.0), libtwin") {
		t.Errorf("%v", e)
	}
	twinsAre(t, root, ",")
}

// R-H6: a set whose probe fails goes back as one: what was there before in its versions, the rest is taken off.
func TestRH6ASetGoesBackAsOne(t *testing.T) {
	needDpkg(t)
	root := t.TempDir()
	bring(t, twinSet(t, root, "1.0"), "")
	lib, prog := twins("2.0")
	extra := deb{name: "extra", version: "1", extra: "Depends: twin (= 2.0)\n"}
	payload := setOf(t, map[string][]byte{"a.deb": lib.build(t), "b.deb": prog.build(t), "c.deb": extra.build(t)}, "a.deb", "b.deb", "c.deb")
	j := setJob(t, root, "libtwin:all=2.0 twin:all=2.0 extra:all=1", payload)
	j.Spec.Probe = &policy.Condition{File: &policy.FileTest{Path: "/healthy"}}
	j.Spec.ProbeTime = 10 * time.Millisecond
	bring(t, j, install.ReasonRolledBack)
	twinsAre(t, root, "ii 1.0,ii 1.0")
	if got := status(t, root, "extra"); strings.HasPrefix(got, "ii") {
		t.Errorf("what was not there before is %q", got)
	}
	kept, _ := filepath.Glob(filepath.Join(j.Keep, "payload-*"))
	for _, k := range kept {
		_ = os.Remove(k)
	}
	j.Spec.Revision++ // a new trial
	e := bring(t, j, install.ReasonProbe)
	if !strings.Contains(e.Error(), "is not kept") && !strings.Contains(e.Error(), "not kept on this machine any more") {
		t.Errorf("without a way back: %v", e)
	}
	twinsAre(t, root, "ii 2.0,ii 2.0")
}

// R-H4: a set is what its signed descriptor names, no package more, less or other, and nothing but packages.
func TestRH4ASetIsWhatItsDescriptorNames(t *testing.T) {
	needDpkg(t)
	root := t.TempDir()
	lib, prog := twins("1.0")
	files := map[string][]byte{"a.deb": lib.build(t), "b.deb": prog.build(t), "notes.txt": []byte("x"), "junk.deb": []byte("junk")}
	both := "libtwin:all=1.0 twin:all=1.0"
	if err := os.Mkdir(filepath.Join(root, "work"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		names string
		order []string
	}{
		"one more than is named": {"libtwin:all=1.0", []string{"a.deb", "b.deb"}}, "one less": {both, []string{"a.deb"}}, "one twice": {both, []string{"a.deb", "a.deb", "b.deb"}},
		"another version": {"libtwin:all=1.0 twin:all=1.1", []string{"a.deb", "b.deb"}}, "another architecture": {"libtwin:amd64=1.0 twin:all=1.0", []string{"a.deb", "b.deb"}},
		"what is no package": {both, []string{"a.deb", "b.deb", "notes.txt"}}, "junk": {both, []string{"a.deb", "junk.deb"}},
		"nothing named": {"", []string{"a.deb", "b.deb"}}, "an option for a name": {"--admindir:all=1", []string{"a.deb"}}, "without an architecture": {"libtwin=1.0 twin:all=1.0", []string{"a.deb", "b.deb"}},
		"named twice": {both + " twin:all=1.0", []string{"a.deb", "b.deb"}}, "too many": {strings.Repeat(both+" ", 40), []string{"a.deb"}},
	} {
		j := setJob(t, root, c.names, setOf(t, files, c.order...))
		if e := bring(t, j, install.ReasonDenied); e == nil {
			t.Errorf("%s was installed", name)
		}
		if left := names(t, filepath.Join(root, "work")); left != "" {
			t.Errorf("%s: left in the work folder: %s", name, left)
		}
	}
	bring(t, setJob(t, root, both, []byte("no archive at all, and long enough to be read as one")), install.ReasonDenied)
	twinsAre(t, root, ",")
}

// R-H4: as every other kind.
func TestRH4ASetPassesTheSuite(t *testing.T) {
	one, two := twinSet(t, t.TempDir(), "1.0"), twinSet(t, t.TempDir(), "2.0")
	payload := func(j install.Job) []byte {
		r, err := j.Open()
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if _, err := b.ReadFrom(r); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	installtest.Run(t, needDpkg(t), func(t *testing.T) installtest.Fixture {
		return installtest.Fixture{Root: t.TempDir(), Work: filepath.Join(t.TempDir(), "work"), Old: one.Spec, New: two.Spec,
			OldPayload: payload(one), NewPayload: payload(two), Ignore: []string{"var"}}
	})
}
