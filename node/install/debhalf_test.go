//go:build linux

package install_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"patchmesh/node/install"
	"patchmesh/policy"
)

// R-H6, R-G8: a script that fails since the disk is full says nothing about its package: that is not rolled back for good,
// and goes in as soon as there is room.
func TestRH6AScriptThatFindsTheDiskFullIsTriedAgain(t *testing.T) {
	needDpkg(t)
	if os.Geteuid() != 0 {
		t.Skip("maintainer scripts below a root need chroot, which is root's")
	}
	root := shellRoot(t)
	full := app("2.0")
	full.scripts = map[string]string{"postinst": "#!/bin/sh\n[ ! -e /full ] && exit 0\necho 'cannot write /boot/initrd: No space left on device'\nexit 1\n"}
	j := full.job(t, root)
	j.Keep = filepath.Join(root, "kept")
	write(t, filepath.Join(root, "full"), "", 0o644)
	bring(t, j, install.ReasonDiskShort)
	if err := os.Remove(filepath.Join(root, "full")); err != nil {
		t.Fatal(err)
	}
	bring(t, j, "")
	if got := status(t, root, "app"); got != "ii 2.0" {
		t.Errorf("the package is %q", got)
	}
	audited(t, root)
}

// R-H6: packages that went in whole are no half of anything where a signed rule does not find the update: a slip in the rule
// must not bring back what the update mends.
func TestRH6ARuleThatDoesNotFindAWholePackageTakesNothingBack(t *testing.T) {
	needDpkg(t)
	root := t.TempDir()
	one := app("1.0").job(t, root)
	one.Keep = filepath.Join(root, "kept")
	bring(t, one, "")
	two := app("2.0").job(t, root)
	two.Keep = one.Keep
	two.Spec.Installed = &policy.Condition{File: &policy.FileTest{Path: "/usr/share/ap/v"}}
	bring(t, two, install.ReasonUndetected)
	if got := status(t, root, "app"); got != "ii 2.0" {
		t.Errorf("the package is %q", got)
	}
	set := twinSet(t, root, "1.0")
	set.Spec.Installed = &policy.Condition{File: &policy.FileTest{Path: "/usr/share/twn/v"}}
	if e := bring(t, set, install.ReasonUndetected); strings.Contains(e.Error(), "taken off") {
		t.Errorf("%v", e)
	}
	twinsAre(t, root, "ii 1.0,ii 1.0")
}

// R-H4: a package of another architecture is not of the set, whatever its name: nothing takes it out of service.
func TestRH4ASetLeavesThePackageOfAnotherArchitectureInService(t *testing.T) {
	needDpkg(t)
	root := t.TempDir()
	native, err := exec.Command("dpkg", "--print-architecture").Output()
	if err != nil {
		t.Fatal(err)
	}
	arch, foreign := strings.TrimSpace(string(native)), "armhf"
	if arch == foreign {
		foreign = "amd64"
	}
	lib := func(version, arch string) deb {
		return deb{name: "libdual", version: version, arch: arch, extra: "Multi-Arch: same\n", files: map[string]string{"usr/lib/" + arch + "/dual": version}}
	}
	set := func(version string, other deb) install.Job {
		payload := setOf(t, map[string][]byte{"a.deb": lib(version, arch).build(t), "b.deb": other.build(t)}, "a.deb", "b.deb")
		return setJob(t, root, "libdual:"+arch+"="+version+" tool:all="+version, payload)
	}
	bring(t, set("1", deb{name: "tool", version: "1"}), "")
	for _, args := range [][]string{{"--add-architecture", foreign}, {"--force-not-root", "--install", packageFile(t, lib("1", foreign).build(t))}} {
		if out, err := exec.Command("dpkg", append([]string{"--root=" + root}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	bring(t, set("2", deb{name: "tool", version: "2", extra: "Breaks: libdual (<< 2)\n"}), install.ReasonRolledBack)
	for name, want := range map[string]string{"libdual:" + arch: "ii 1", "libdual:" + foreign: "ii 1", "tool": "ii 1"} {
		if got := status(t, root, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func packageFile(t *testing.T, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "p.deb")
	write(t, path, string(b), 0o644)
	return path
}
