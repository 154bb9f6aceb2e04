//go:build linux

package install_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"patchmesh/node/install"
	"patchmesh/policy"
)

// probedDeb is a job of a package whose health probe asks for /healthy.
func probedDeb(t *testing.T, d deb, root string) install.Job {
	t.Helper()
	j := d.job(t, root)
	j.Keep = filepath.Join(root, "kept")
	j.Spec.Probe = &policy.Condition{File: &policy.FileTest{Path: "/healthy"}}
	j.Spec.ProbeTime = 10 * time.Millisecond
	return j
}

// audited is a root whose package database has nothing to complain of.
func audited(t *testing.T, root string) {
	t.Helper()
	out, err := exec.Command("dpkg", "--admindir="+filepath.Join(root, "var/lib/dpkg"), "--audit").CombinedOutput()
	if err != nil || len(out) != 0 {
		t.Errorf("dpkg --audit: %v\n%s", err, out)
	}
}

func app(version string) deb {
	return deb{name: "app", version: version, files: map[string]string{"usr/share/app/v": version}}
}

func TestRH6AFailedProbeBringsTheOlderPackageBack(t *testing.T) {
	needDpkg(t)
	root := t.TempDir()
	one := app("1.0").job(t, root)
	one.Keep = filepath.Join(root, "kept")
	bring(t, one, "")
	two := probedDeb(t, app("2.0"), root)
	if e := bring(t, two, install.ReasonRolledBack); !strings.Contains(e.Error(), "version 1.0 is back") {
		t.Errorf("%v", e)
	}
	if got := status(t, root, "app"); got != "ii 1.0" {
		t.Errorf("the package is %q", got)
	}
	if got := read(t, filepath.Join(root, "usr/share/app/v")); got != "1.0" {
		t.Errorf("its file holds %q", got)
	}
	if d := look(t, two); d.Present {
		t.Errorf("%+v", d)
	}
	audited(t, root)
}

func TestRH6AFailedProbeRemovesWhatWasNotThereBefore(t *testing.T) {
	needDpkg(t)
	root := t.TempDir()
	bring(t, probedDeb(t, app("1.0"), root), install.ReasonRolledBack)
	if _, err := os.Stat(filepath.Join(root, "usr/share/app/v")); err == nil {
		t.Error("its file is still there")
	}
	audited(t, root)
}

func TestRH6APackageThatIsNotKeptCannotComeBack(t *testing.T) {
	needDpkg(t)
	root := t.TempDir()
	bring(t, app("1.0").job(t, root), "") // without a folder to keep it in
	e := bring(t, probedDeb(t, app("2.0"), root), install.ReasonProbe)
	if !strings.Contains(e.Error(), "1.0 is not kept") {
		t.Errorf("%v", e)
	}
	audited(t, root)
}

func TestRH6AKeptPackageThatWasChangedIsNotInstalled(t *testing.T) {
	needDpkg(t)
	root := t.TempDir()
	one := app("1.0").job(t, root)
	one.Keep = filepath.Join(root, "kept")
	bring(t, one, "")
	kept, err := filepath.Glob(filepath.Join(one.Keep, "payload-*"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("%v, %v", kept, err)
	}
	write(t, kept[0], string(deb{name: "app", version: "1.0", files: map[string]string{"usr/share/app/v": "evil"}}.build(t)), 0o600)
	bring(t, probedDeb(t, app("2.0"), root), install.ReasonProbe)
	if got := read(t, filepath.Join(root, "usr/share/app/v")); got != "2.0" {
		t.Errorf("its file holds %q", got)
	}
}

func TestRH6APackageWhoseScriptFailsIsRolledBackToo(t *testing.T) {
	needDpkg(t)
	if os.Geteuid() != 0 {
		t.Skip("maintainer scripts below a root need chroot, which is root's")
	}
	root := shellRoot(t)
	one := app("1.0").job(t, root)
	one.Keep = filepath.Join(root, "kept")
	bring(t, one, "")
	bad := app("2.0")
	bad.scripts = map[string]string{"postinst": "#!/bin/sh\necho the disk of fate is full\nexit 7\n"}
	if e := bring(t, probedDeb(t, bad, root), install.ReasonRolledBack); !strings.Contains(e.Log, "the disk of fate is full") {
		t.Errorf("what its script printed is lost: %q", e.Log)
	}
	if got := status(t, root, "app"); got != "ii 1.0" {
		t.Errorf("the package is %q", got)
	}
	audited(t, root)
}

// R-H5, R-H8: a package that others need stays, and dpkg is not left with the wish to remove it one day.
func TestRH5APackageThatOthersNeedStaysAsItWas(t *testing.T) {
	needDpkg(t)
	root := t.TempDir()
	lib := deb{name: "lib", version: "1.0", files: map[string]string{"usr/share/lib": "x"}}
	j := lib.job(t, root)
	bring(t, j, "")
	user := deb{name: "user", version: "1.0", extra: "Depends: lib\n", files: map[string]string{"usr/share/user": "x"}}
	bring(t, user.job(t, root), "")
	_, err := installer(t, "deb").Remove(t.Context(), j)
	if e := asError(t, err); e.Reason != install.ReasonDependency || !strings.Contains(e.Log, "user depends on lib") {
		t.Errorf("%v: %q", err, e.Log)
	}
	if got := status(t, root, "lib"); got != "ii 1.0" {
		t.Errorf("the package is %q", got)
	}
}

func TestRH7ARunOfDpkgThatWasCutOffIsFinishedFirst(t *testing.T) {
	needDpkg(t)
	root := t.TempDir()
	bring(t, app("1.0").job(t, root), "")
	other := deb{name: "other", version: "1.0", files: map[string]string{"usr/share/other": "x"}}
	file := filepath.Join(t.TempDir(), "other.deb")
	write(t, file, string(other.build(t)), 0o644)
	args := []string{"--root=" + root, "--force-not-root", "--unpack", file}
	if out, err := exec.Command("dpkg", args...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := status(t, root, "other"); got != "iU 1.0" {
		t.Fatalf("other is %q, want it unpacked only", got)
	}
	bring(t, app("2.0").job(t, root), "")
	if got := status(t, root, "other") + status(t, root, "app"); got != "ii 1.0ii 2.0" {
		t.Errorf("the packages are %q", got)
	}
	audited(t, root)
}

// TestRG2DebianOrderIsThatOfDpkg compares our order with that of the tool itself.
func TestRG2DebianOrderIsThatOfDpkg(t *testing.T) {
	needDpkg(t)
	parts := []string{"1", "1.0", "1.0~", "1.0~rc1", "1.0+b1", "1.0a", "1.00", "1.10", "2:0.1", "0:1.0", "1.0-1", "1.0-1~deb12u1", "1.0-0", "1.0-1.1", "1.0.1-0ubuntu0.22.04.3"}
	for _, a := range parts {
		for _, b := range parts {
			want := 0
			switch {
			case exec.Command("dpkg", "--compare-versions", a, "lt", b).Run() == nil:
				want = -1
			case exec.Command("dpkg", "--compare-versions", a, "gt", b).Run() == nil:
				want = 1
			}
			if got, err := policy.CompareVersions("deb", a, b); err != nil || got != want {
				t.Errorf("%s against %s: %d, %v; dpkg says %d", a, b, got, err, want)
			}
		}
	}
}
