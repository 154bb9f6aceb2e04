//go:build linux

package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"patchmesh/bench"
)

// deb is a package file and what it says of itself.
type deb struct {
	path, name, version string
	real                bool // from the distribution, not built here
}

// goodPackages are real ones of 30 MB and more with no dependencies and no scripts that need a
// whole system around them.
var goodPackages = []string{"gnome-backgrounds", "mate-backgrounds", "debian-keyring", "yaru-theme-icon"}

const packageMinBytes = 30e6

// realPackage downloads a package with the package manager; where there is none or it reaches
// nothing, it builds one of random data and the log says so.
func realPackage(t *testing.T, dir string) deb {
	t.Helper()
	into := filepath.Join(dir, "deb")
	if err := os.MkdirAll(into, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range goodPackages {
		path, err := download(into, name)
		if err != nil {
			t.Logf("apt-get download %s: %v", name, err)
			continue
		}
		d := readDeb(t, path)
		d.real = true
		t.Logf("real package %s %s", d.name, d.version)
		return d
	}
	t.Log("no package can be downloaded here: building one of random data instead")
	tree := filepath.Join(into, "tree")
	if err := os.MkdirAll(filepath.Join(tree, "usr/share/e2e-data"), 0o755); err != nil {
		t.Fatal(err)
	}
	randomFile(t, filepath.Join(tree, "usr/share/e2e-data"), "data.bin", 32<<20)
	writeControl(t, tree, "Package: e2e-data\nVersion: 2.0\nArchitecture: all\nMaintainer: Nobody <nobody@example.org>\nDescription: random data\n")
	return buildDeb(t, tree, filepath.Join(into, "e2e-data_2.0_all.deb"))
}

// download fetches the file of a package that is large enough to be measured with.
func download(into, name string) (string, error) {
	path, err := downloadAny(into, name)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	if err == nil && info.Size() < packageMinBytes {
		err = fmt.Errorf("only %d bytes", info.Size())
	}
	return path, err
}

// downloadAny fetches a package's file into a folder. The lists may be missing on a fresh machine, so
// that the second try comes after an update.
func downloadAny(into, name string) (string, error) {
	var err error
	for try := range 2 {
		if try == 1 {
			if out, err := exec.Command("apt-get", "update", "-qq").CombinedOutput(); err != nil {
				return "", fmt.Errorf("apt-get update: %w: %.200s", err, out)
			}
		}
		cmd := exec.Command("apt-get", "download", "-qq", name)
		cmd.Dir = into
		var out []byte
		if out, err = cmd.CombinedOutput(); err != nil {
			err = fmt.Errorf("%w: %.200s", err, out)
			continue
		}
		found, _ := filepath.Glob(filepath.Join(into, name+"_*.deb"))
		if len(found) != 1 {
			return "", fmt.Errorf("%d files", len(found))
		}
		return found[0], nil
	}
	return "", err
}

func readDeb(t *testing.T, path string) deb {
	t.Helper()
	field := func(name string) string { return strings.TrimSpace(tool(t, "dpkg-deb", "-f", path, name)) }
	return deb{path: path, name: field("Package"), version: field("Version")}
}

// older is a package with a version that sorts before it.
func (d deb) older(t *testing.T) deb {
	t.Helper()
	return d.repack(t, "~older", nil)
}

func writeControl(t *testing.T, tree, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(tree, "DEBIAN"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(tree, "DEBIAN", "control"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func buildDeb(t *testing.T, tree, path string) deb {
	t.Helper()
	tool(t, "dpkg-deb", "--root-owner-group", "-Znone", "-b", tree, path)
	if err := os.RemoveAll(tree); err != nil {
		t.Fatal(err)
	}
	return readDeb(t, path)
}

// debUpgrade: every machine has a root of its own with the older version of a real package in it;
// approving the newer one upgrades them all.
func debUpgrade(t *testing.T, bin string) {
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Skip("dpkg is not installed here")
	}
	work := t.TempDir()
	newer := realPackage(t, work)
	old := newer.older(t)
	base := baseRoot(t, filepath.Join(work, "base"))
	tool(t, "dpkg", "--root="+base, "-i", old.path)

	f := newFleet(t, bin, fleetConfig{lab: bench.LabConfig{Machines: branchSize, NoRoute: 4}, prepare: func(m *machine) { m.rootFrom(base) }})
	f.expectVersion(old)
	d := f.imported("upgrade", newer.path)
	d.approve()
	d.awaitState("installed", patience)
	t.Logf("all machines tell of %s %s %.2f s after the approval", newer.name, newer.version, time.Since(d.approvedAt).Seconds())
	d.log()
	f.expectVersion(newer)
	d.expectWAN(wanLimit)
	f.expectChain(d, f.machines[len(f.machines)-1])
}

// baseRoot makes a Debian root: a whole one where debootstrap reaches its mirror, else one with
// nothing but dpkg's own folders, which is enough for a package without scripts.
func baseRoot(t *testing.T, base string) string {
	t.Helper()
	if _, err := exec.LookPath("debootstrap"); err == nil {
		began := time.Now()
		out, err := exec.Command("debootstrap", "--variant=minbase", debianRelease(), base).CombinedOutput()
		if err == nil {
			t.Logf("roots: debootstrap minbase, %.0f s", time.Since(began).Seconds())
			return base
		}
		t.Logf("debootstrap: %v: %.300s", err, out)
		if err := os.RemoveAll(base); err != nil {
			t.Fatal(err)
		}
	}
	t.Log("roots: dpkg's own folders only")
	return plainRoot(t, base)
}

// debianRelease is the release this machine runs, so that its mirror has it.
func debianRelease() string {
	text, _ := os.ReadFile("/etc/os-release")
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "VERSION_CODENAME="); ok {
			return name
		}
	}
	return "stable"
}

// rootFrom gives the machine a root that looks like base: a layer above it, or a copy.
func (m *machine) rootFrom(base string) {
	t := m.f.t
	t.Helper()
	upper, work := m.root+"-upper", m.root+"-work"
	for _, d := range []string{upper, work} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	options := "lowerdir=" + base + ",upperdir=" + upper + ",workdir=" + work
	if err := syscall.Mount("overlay", m.root, "overlay", 0, options); err != nil {
		tool(t, "cp", "-a", base+"/.", m.root)
		return
	}
	m.f.unmountLater(m.root)
}

// expectVersion asks dpkg in every machine's root.
func (f *fleet) expectVersion(want deb) {
	f.t.Helper()
	for _, m := range f.machines {
		got := tool(f.t, "dpkg-query", "--admindir="+filepath.Join(m.root, "var/lib/dpkg"), "-W", "-f", "${Version} ${db:Status-Status}", want.name)
		if got != want.version+" installed" {
			f.t.Errorf("dpkg-query in the root of %s says %q, want %s installed", m.name, got, want.version)
		}
		if bad := tool(f.t, "dpkg", "--root="+m.root, "--verify", want.name); bad != "" {
			f.t.Errorf("dpkg --verify in the root of %s says %s", m.name, bad)
		}
	}
}

// expectChain wants explain to lead from the approval to the installation on one machine.
func (f *fleet) expectChain(d *delivery, m *machine) {
	f.t.Helper()
	f.t.Logf("explain:\n%s", f.mustRun("explain", d.update, m.name, "--data", f.seed.data))
	var told struct {
		State string `json:"state"`
		Chain []struct {
			Step string `json:"step"`
		} `json:"chain"`
	}
	f.onSeed(&told, "explain", d.update, m.name)
	var steps []string
	for _, s := range told.Chain {
		steps = append(steps, s.Step)
	}
	if told.State != "installed" || !slices.Contains(steps, "approval") || !slices.Contains(steps, "install") {
		f.t.Errorf("explain tells of state %q by the steps %v; want approval and install among them", told.State, steps)
	}
}

// unmountLater has a mount removed by cleanUp, after the nodes are gone and before the folders go.
func (f *fleet) unmountLater(path string) { f.mounts = append(f.mounts, path) }

// tool runs a program of the system and returns its standard output.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out)
}
