//go:build linux

package install_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"patchmesh/node/install"
)

func TestRH6WithoutAProbeAPackageWhoseScriptFailsGoesBackAsWell(t *testing.T) {
	needDpkg(t)
	if os.Geteuid() != 0 {
		t.Skip("maintainer scripts below a root need chroot, which is root's")
	}
	for _, before := range []string{"", "1.0"} {
		root := shellRoot(t)
		if before != "" {
			one := app(before).job(t, root)
			one.Keep = filepath.Join(root, "kept")
			bring(t, one, "")
		}
		bad := app("2.0")
		bad.scripts = map[string]string{"postinst": "#!/bin/sh\nexit 7\n"}
		j := bad.job(t, root)
		j.Keep = filepath.Join(root, "kept")
		bring(t, j, install.ReasonRolledBack)
		if got := strings.TrimPrefix(status(t, root, "app"), "ii "); got != before {
			t.Errorf("with %q before, the package is %q", before, got)
		}
		audited(t, root)
	}
}

func TestRG8APackageThatWillNotFitIsRefusedBeforeDpkgBegins(t *testing.T) {
	needDpkg(t)
	root := t.TempDir()
	bring(t, app("1.0").job(t, root), "")
	large := app("2.0")
	large.extra = "Installed-Size: 4096\n"
	j := large.job(t, root)
	j.Free = func(path string) (int64, error) {
		if path == root {
			return 17 << 20, nil // more than the reserve, and more than the package file has
		}
		return 1 << 40, nil
	}
	_, err := install.Bring(t.Context(), installer(t, "deb"), j)
	e := asError(t, err)
	if e.Reason != install.ReasonDiskShort || e.Facts["needed_bytes"] <= e.Facts["free_bytes"] {
		t.Errorf("%v %v", err, e.Facts)
	}
	if got := status(t, root, "app"); got != "ii 1.0" {
		t.Errorf("the package is %q", got)
	}
}
