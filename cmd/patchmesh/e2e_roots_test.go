//go:build linux

package main_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"patchmesh/bench"
)

// sixRoots: six Debian roots, each with its own package database, get a real package in an older and a
// newer version along two rings. Machines in trouble end in exactly the state and reason for it, and are
// patched once it is over; versions that do harm are rolled back, and stop where they are first tried.
func sixRoots(t *testing.T, bin string) {
	work := t.TempDir()
	p := rootPackages(t, work)
	base := scriptRoot(t, work)
	tool(t, "dpkg", "--root="+base.whole, "-i", p.needed[0].path, p.needed[1].path)
	f := newFleet(t, bin, fleetConfig{
		lab: bench.LabConfig{Machines: 6, NoRoute: 2},
		groups: func(name string) []string {
			if name < "m02" {
				return []string{group, "pilot"}
			}
			return []string{group, "broad"}
		},
		prepare: func(m *machine) {
			switch m.name {
			case "m02":
				m.rootOnSmallDisk(base.whole, 96<<20)
			case "m03":
				m.rootFrom(base.bare)
			case "m05":
				writeFile(t, m.localPolicy(), `{"hold":["new*"]}`)
				m.rootFrom(base.whole)
			default:
				m.rootFrom(base.whole)
			}
		},
	})
	r := &rootsRun{fleet: f, name: p.newer.name}
	old := f.imported("old", p.older.path)
	old.approve()
	r.await(old, wanted{"m00": "installed", "m01": "installed", "m02": "installed", "m03": "waiting-prerequisite dep-missing", "m04": "installed", "m05": "installed"})
	f.mustRun("rings", "set", "standard", "--ring", "pilot:groups=pilot,count=2,fail=1", "--ring", "broad:groups=broad,fail=3", "--data", f.seed.data)

	r.trouble(p)
	r.badPackage(p)
	r.badProbe(p)
	r.audit()
}

type rootsRun struct {
	*fleet
	name string // of the package
}

// wanted is state and reason by machine.
type wanted map[string]string

// await waits until every machine that is named says just what is wanted of it.
func (r *rootsRun) await(d *delivery, want wanted) {
	r.t.Helper()
	r.eventually(patience, fmt.Sprintf("%s is %v", d.update, want), func() (bool, string) {
		rows := r.rows(d.update)
		for name, w := range want {
			if strings.TrimSpace(rows[name].State+" "+rows[name].Reason) != w {
				return false, r.told(d.update)
			}
		}
		return true, ""
	})
}

// trouble is the newer version with four machines of the broad ring in trouble.
func (r *rootsRun) trouble(p packages) {
	t := r.t
	t.Helper()
	small, missing, off := r.machine("m02"), r.machine("m03"), r.machine("m04")
	filler := filepath.Join(small.root+"-upper", "filler")
	fill(t, small.root+"-upper", filler, 8<<20)
	off.stop(syscall.SIGTERM)
	offAt := time.Now()

	d := r.imported("new", p.newer.path, "--supersedes", "old")
	d.alongRings()
	r.await(d, wanted{"m00": "installed", "m01": "installed"})
	r.expectRoots(p.newer, "m00", "m01")
	t.Logf("pilot done %.1f s after the approval", time.Since(d.approvedAt).Seconds())
	r.await(d, wanted{
		"m00": "installed", "m01": "installed", "m02": "failed-install disk-short",
		"m03": "waiting-prerequisite dep-missing", "m05": "held policy-local-hold",
	})
	t.Logf("broad ring: every machine that is on has told its state %.1f s after the approval", time.Since(d.approvedAt).Seconds())
	facts := r.rows(d.update)["m02"].Facts
	if facts["needed_bytes"] <= facts["free_bytes"] || facts["free_bytes"] == 0 {
		t.Errorf("m02 tells of %v", facts)
	}
	if text := r.rows(d.update)["m03"].Detail; !strings.Contains(text, p.needed[0].name) {
		t.Errorf("m03 does not name %s: %s", p.needed[0].name, text)
	}
	r.expectRoots(p.older, "m02", "m04", "m05")
	r.expectOff(d, off, offAt)
	for _, name := range []string{"m02", "m03", "m04", "m05"} {
		r.expectNextStep(d, name)
	}

	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(r.machine("m05").localPolicy()); err != nil {
		t.Fatal(err)
	}
	off.start()
	for i, need := range p.needed { // what is missing is approved too
		r.imported(fmt.Sprintf("need-%d", i), need.path).approve()
	}
	mended := time.Now()
	d.awaitState("installed", patience)
	t.Logf("all six patched %.1f s after the trouble was over", time.Since(mended).Seconds())
	r.expectRoots(p.newer, "m00", "m01", "m02", "m03", "m04", "m05")
	r.expectWhole(missing)
}

// badPackage is a version whose own script fails: the pilot ring is where it ends.
func (r *rootsRun) badPackage(p packages) {
	t := r.t
	t.Helper()
	d := r.imported("bad", p.bad.path)
	d.alongRings()
	r.await(d, wanted{
		"m00": "rolled-back rolled-back-auto", "m01": "rolled-back rolled-back-auto",
		"m02": "held policy-hold", "m03": "held policy-hold", "m04": "held policy-hold", "m05": "held policy-hold",
	})
	t.Logf("bad package: rolled back in the pilot ring and held everywhere %.1f s after the approval", time.Since(d.approvedAt).Seconds())
	r.expectRoots(p.newer, "m00", "m01", "m02", "m03", "m04", "m05")
	var all struct {
		Rollouts []struct {
			Update string `json:"update"`
			Held   bool   `json:"held"`
			Rings  []struct {
				OpenedAt time.Time `json:"opened_at"`
				Failed   int       `json:"failed"`
			} `json:"rings"`
		} `json:"rollouts"`
	}
	r.onSeed(&all, "rings", "list")
	for _, o := range all.Rollouts {
		if o.Update != d.update {
			continue
		}
		if !o.Held || len(o.Rings) != 2 || !o.Rings[1].OpenedAt.IsZero() || o.Rings[0].Failed == 0 {
			t.Errorf("the rollout of the bad package is told as %+v", o)
		}
		return
	}
	t.Errorf("no rollout of the bad package is told: %+v", all.Rollouts)
}

// badProbe is a version that installs well and does not work: each machine takes it back by itself.
func (r *rootsRun) badProbe(p packages) {
	t := r.t
	t.Helper()
	probe, err := json.Marshal(map[string]any{"command": map[string]any{"args": []string{p.program, "--version"}, "timeout_seconds": 20, "exit": []int{0}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(r.dir, "healthy.json")
	writeFile(t, file, string(probe))
	d := r.imported("sick", p.sick.path, "--probe", file, "--probe-seconds", "3")
	d.approve()
	want := wanted{}
	for _, m := range r.machines {
		want[m.name] = "rolled-back rolled-back-auto"
	}
	r.await(d, want)
	t.Logf("failed probe: rolled back on %d machines %.1f s after the approval", len(want), time.Since(d.approvedAt).Seconds())
	r.expectRoots(p.newer, slices.Sorted(maps.Keys(want))...)
}

// alongRings approves an update along the ring plan.
func (d *delivery) alongRings() {
	f := d.f
	f.t.Helper()
	f.mustRun("approve", d.update, "--group", group, "--rings", "standard", "--data", f.seed.data)
	d.approvedAt = time.Now()
}

// expectRoots asks the package database of some machines' roots.
func (r *rootsRun) expectRoots(want deb, names ...string) {
	r.t.Helper()
	for _, name := range names {
		m := r.machine(name)
		got := tool(r.t, "dpkg-query", "--admindir="+filepath.Join(m.root, "var/lib/dpkg"), "-W", "-f", "${Version} ${db:Status-Status}", want.name)
		if got != want.version+" installed" {
			r.t.Errorf("the root of %s has %s %q, want %s installed", name, want.name, got, want.version)
		}
	}
}

// expectWhole wants a root in which nothing is half done.
func (r *rootsRun) expectWhole(m *machine) {
	r.t.Helper()
	if bad := tool(r.t, "dpkg", "--root="+m.root, "--audit"); bad != "" {
		r.t.Errorf("dpkg --audit in the root of %s says %s", m.name, bad)
	}
}

func (r *rootsRun) audit() {
	r.t.Helper()
	for _, m := range r.machines {
		r.expectWhole(m)
	}
}

// expectOff wants the seed to tell that a machine is off, once nothing was heard from it for long enough.
func (r *rootsRun) expectOff(d *delivery, m *machine, since time.Time) {
	r.t.Helper()
	r.eventually(patience, m.name+" is told as off", func() (bool, string) {
		var e explained
		r.onSeed(&e, "explain", d.update, m.name)
		return strings.HasPrefix(e.Reason, "host-") && e.Owner == "machine", fmt.Sprintf("%+v", e)
	})
	r.t.Logf("%s is told as off %.0f s after it went", m.name, time.Since(since).Seconds())
}

type explained struct {
	State    string `json:"state"`
	Reason   string `json:"reason"`
	Owner    string `json:"owner"`
	NextStep string `json:"next_step"`
}

// expectNextStep wants explain to end in somebody who owns the trouble and what that one can do.
func (r *rootsRun) expectNextStep(d *delivery, name string) {
	r.t.Helper()
	var e explained
	r.eventually(time.Minute, "explain names an owner and a next step for "+name, func() (bool, string) { // it may be trying again just now
		r.onSeed(&e, "explain", d.update, name)
		return e.Reason != "" && e.Owner != "" && e.Owner != "nobody" && e.NextStep != "" && e.NextStep != "nothing", fmt.Sprintf("%+v", e)
	})
	r.t.Logf("%s: %s %s, owner %s: %s", name, e.State, e.Reason, e.Owner, e.NextStep)
}

// packages is one real package in all the versions that a rollout may meet, and what it needs.
type packages struct {
	older, newer, bad, sick deb
	needed                  []deb
	program                 string // path of its program
}

// rootPackages takes a real package with real dependencies, and makes the other versions by repacking.
func rootPackages(t *testing.T, work string) packages {
	t.Helper()
	var all []deb
	for _, name := range []string{"jq", "libjq1", "libonig5"} {
		d, err := realDeb(t, work, name)
		if err != nil {
			t.Skipf("no package can be downloaded here: %v", err)
		}
		all = append(all, d)
	}
	p := packages{newer: all[0], needed: all[1:], program: "/usr/bin/jq"}
	t.Logf("real package %s %s, which needs %s %s and %s %s", p.newer.name, p.newer.version, p.needed[0].name, p.needed[0].version, p.needed[1].name, p.needed[1].version)
	p.older = p.newer.repack(t, "~older", nil)
	p.bad = p.newer.repack(t, "+bad", map[string]string{"DEBIAN/postinst": "#!/bin/sh\necho something is wrong with this version\nexit 9\n"})
	p.sick = p.newer.repack(t, "+sick", map[string]string{"usr/bin/jq": "#!/bin/sh\nexit 3\n"})
	return p
}

func realDeb(t *testing.T, work, name string) (deb, error) {
	t.Helper()
	into := filepath.Join(work, name)
	if err := os.MkdirAll(into, 0o755); err != nil {
		t.Fatal(err)
	}
	path, err := downloadAny(into, name)
	if err != nil {
		return deb{}, err
	}
	d := readDeb(t, path)
	d.real = true
	return d, nil
}

// repack makes another version of a package, with some files replaced.
func (d deb) repack(t *testing.T, suffix string, files map[string]string) deb {
	t.Helper()
	tree := d.path + suffix + "-tree"
	tool(t, "dpkg-deb", "-R", d.path, tree)
	control, err := os.ReadFile(filepath.Join(tree, "DEBIAN", "control"))
	if err != nil {
		t.Fatal(err)
	}
	writeControl(t, tree, regexp.MustCompile(`(?m)^Version: .*$`).ReplaceAllString(string(control), "Version: "+d.version+suffix))
	for path, text := range files {
		if err := os.WriteFile(filepath.Join(tree, path), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return buildDeb(t, tree, d.path+suffix+".deb")
}

// roots are folders that the roots of machines are layers above: one with what the package needs, one without.
type roots struct{ bare, whole string }

// scriptRoot is a Debian system in which the scripts of packages run. PATCHMESH_E2E_ROOT names a folder
// with one that was made before; it is not changed.
func scriptRoot(t *testing.T, work string) roots {
	t.Helper()
	r := roots{bare: os.Getenv("PATCHMESH_E2E_ROOT"), whole: filepath.Join(work, "whole")}
	if r.bare == "" {
		r.bare = baseRoot(t, filepath.Join(work, "bare"))
	}
	if _, err := os.Stat(filepath.Join(r.bare, "bin/sh")); err != nil {
		t.Skip("no Debian root can be made here (debootstrap with its mirror), so that scripts of packages cannot run")
	}
	if out, err := exec.Command("cp", "-a", r.bare, r.whole).CombinedOutput(); err != nil {
		t.Fatalf("copy the root: %v\n%s", err, out)
	}
	return r
}

// rootOnSmallDisk is rootFrom with a disk of that size below the machine's own changes.
func (m *machine) rootOnSmallDisk(base string, sizeBytes int) {
	t := m.f.t
	t.Helper()
	disk := m.root + "-upper"
	if err := os.MkdirAll(disk, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, fmt.Sprintf("size=%d", sizeBytes)); err != nil {
		t.Skipf("no tmpfs can be mounted here: %v", err)
	}
	m.f.unmountLater(disk)
	for _, d := range []string{"up", "work"} {
		if err := os.MkdirAll(filepath.Join(disk, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	options := "lowerdir=" + base + ",upperdir=" + filepath.Join(disk, "up") + ",workdir=" + filepath.Join(disk, "work")
	if err := syscall.Mount("overlay", m.root, "overlay", 0, options); err != nil {
		t.Skipf("no overlay can be mounted here: %v", err)
	}
	m.f.mounts = append([]string{m.root}, m.f.mounts...)
}

func (m *machine) localPolicy() string { return filepath.Join(m.data, "policy.json") }

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
