//go:build linux

package install_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"patchmesh/node/install"
	"patchmesh/node/install/installtest"
	"patchmesh/policy"
)

func needRPM(t *testing.T) {
	t.Helper()
	for _, tool := range []string{"rpm", "rpmbuild"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed here", tool)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("rpm works on another root by chroot, which is root's")
	}
}

// rpmJob builds a small real package with rpmbuild.
func rpmJob(t *testing.T, root, version, extra string) install.Job {
	t.Helper()
	top := t.TempDir()
	write(t, filepath.Join(top, "app.spec"), fmt.Sprintf(`Name: pmapp
Version: %s
Release: 1
Summary: test
License: none
BuildArch: noarch
%s
%%description
test
%%install
mkdir -p %%{buildroot}/usr/share/pmapp
echo %s > %%{buildroot}/usr/share/pmapp/v
%%files
/usr/share/pmapp/v
`, version, extra, version), 0o644)
	if out, err := exec.Command("rpmbuild", "--quiet", "-bb", "--define", "_topdir "+top, filepath.Join(top, "app.spec")).CombinedOutput(); err != nil {
		t.Fatalf("rpmbuild: %v\n%s", err, out)
	}
	found, _ := filepath.Glob(filepath.Join(top, "RPMS/noarch/*.rpm"))
	if len(found) != 1 {
		t.Fatalf("rpmbuild made %v", found)
	}
	opened := 0
	j := installtest.Job(installtest.Fixture{Root: root, Work: filepath.Join(root, "work")},
		install.Spec{Update: "pmapp-" + version, Revision: 1, Installer: "rpm", FileName: "a.rpm", Package: "pmapp", Version: version + "-1"},
		[]byte(read(t, found[0])), &opened)
	j.Keep = filepath.Join(root, "kept")
	return j
}

func TestRH4RPMsComeAndGo(t *testing.T) {
	needRPM(t)
	root, i := t.TempDir(), installer(t, "rpm")
	one, two := rpmJob(t, root, "1.9", ""), rpmJob(t, root, "1.10", "")
	if d, err := i.Detect(t.Context(), one); err != nil || d.Present {
		t.Fatalf("%+v, %v", d, err)
	}
	bring(t, one, "")
	if got := read(t, filepath.Join(root, "usr/share/pmapp/v")); got != "1.9\n" {
		t.Errorf("the file holds %q", got)
	}
	bring(t, two, "")
	if d, err := i.Detect(t.Context(), one); err != nil || !d.Present || d.Version != "0:1.10-1" {
		t.Errorf("a newer version does not count: %+v, %v", d, err)
	}
	if _, err := i.Remove(t.Context(), one); asError(t, err).Reason != install.ReasonDenied {
		t.Errorf("removing 1.9 while 1.10 is there: %v", err)
	}
	for range 2 {
		if _, err := i.Remove(t.Context(), two); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(root, "usr/share/pmapp/v")); !os.IsNotExist(err) {
		t.Errorf("the file is still there: %v", err)
	}
	bring(t, rpmJob(t, root, "2.0", "Requires: something-that-is-not-there"), install.ReasonDependency)
	other := rpmJob(t, root, "3.0", "")
	other.Spec.Version = "4.0-1"
	bring(t, other, install.ReasonExit)
}

func TestRH6AFailedProbeBringsTheOlderRPMBack(t *testing.T) {
	needRPM(t)
	for _, before := range []string{"", "1.9"} {
		root := t.TempDir()
		if before != "" {
			bring(t, rpmJob(t, root, before, ""), "")
		}
		j := rpmJob(t, root, "2.0", "")
		j.Spec.Probe = &policy.Condition{File: &policy.FileTest{Path: "/healthy"}}
		bring(t, j, install.ReasonRolledBack)
		got, _ := os.ReadFile(filepath.Join(root, "usr/share/pmapp/v"))
		if strings.TrimSpace(string(got)) != before {
			t.Errorf("with %q before, the file holds %q", before, got)
		}
	}
}

func TestRH4DescriptorsOfRPMsAreChecked(t *testing.T) {
	for _, d := range []policy.Descriptor{
		{Package: "-e", Version: "1-1"}, {Package: "a", Version: "1"}, {Package: "a", Version: "--1-1"}, {Package: "a b", Version: "1-1"},
		{Package: "a", Version: "1-1", InstallerArgs: map[string]string{"nodeps": "true"}},
	} {
		d.Update, d.Installer = "u", "rpm"
		if err := install.CheckDescriptor(&d); err == nil {
			t.Errorf("%q %q %v is taken", d.Package, d.Version, d.InstallerArgs)
		}
	}
}
