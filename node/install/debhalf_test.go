//go:build linux

package install_test

import (
	"os"
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
