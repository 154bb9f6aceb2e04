package install_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"patchmesh/node/install"
	"patchmesh/node/install/installtest"
	"patchmesh/policy"
)

// soak takes the full count in a long run and a slice of it otherwise.
func soak(slice, full int) int {
	if os.Getenv("PATCHMESH_SOAK") == "1" {
		return full
	}
	return slice
}

// doomed is an install in a process of its own that kills itself at its At-th step.
type doomed struct {
	Root, Keep, Payload, Package, Version string
	Set                                   string // what a set of packages names; empty: it is one package
	Probe                                 bool
	At                                    int
}

const doomedEnv = "PATCHMESH_TEST_DOOMED"

func (d doomed) job(t testing.TB) install.Job {
	t.Helper()
	body, err := os.ReadFile(d.Payload)
	if err != nil {
		t.Fatal(err)
	}
	opened := 0
	j := installtest.Job(installtest.Fixture{Root: d.Root, Work: filepath.Join(d.Root, "work")},
		deb{name: d.Package, version: d.Version}.spec(), body, &opened)
	if d.Set != "" {
		j = setJob(t, d.Root, d.Set, body)
	}
	j.Keep = d.Keep
	if d.Probe {
		j.Spec.Probe = &policy.Condition{File: &policy.FileTest{Path: "/healthy"}}
		j.Spec.ProbeTime = time.Millisecond
	}
	return j
}

// TestDoomedProcess is the process that is killed; alone it does nothing.
func TestDoomedProcess(t *testing.T) {
	var d doomed
	if err := json.Unmarshal([]byte(os.Getenv(doomedEnv)), &d); err != nil {
		t.Skip("runs as a child of the tests that kill only")
	}
	// A script of a package may be what kills this process.
	write(t, filepath.Join(d.Root, "agent"), strconv.Itoa(os.Getpid())+"\n", 0o644)
	j, steps := d.job(t), 0
	j.Step = func(string) error {
		if steps++; steps == d.At {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		return nil
	}
	_, err := install.Bring(t.Context(), installer(t, "deb"), j)
	fmt.Println("ended:", err)
}

// run says whether the process was killed; false: it came to its end before that step.
func (d doomed) run(t *testing.T) (killed bool) {
	t.Helper()
	env, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestDoomedProcess$", "-test.v")
	cmd.Env = append(os.Environ(), doomedEnv+"="+string(env))
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), "ended:") {
		return false
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the process ended with %v\n%s", err, out)
	}
	return true
}

// killCase is one way in which a package comes in, and where dpkg itself is killed: in one of the
// scripts that it runs, once.
type killCase struct {
	name    string
	older   bool   // version 1.0 is there before
	probe   bool   // and it will fail
	dies    string // script of the new package that kills dpkg
	diesOld string // script of the older package that does
	fails   bool   // the postinst fails for good
	wants   []string
}

func killCases() []killCase {
	cases := []killCase{
		{name: "fresh", wants: []string{"ii 2.0"}},
		{name: "newer", older: true, wants: []string{"ii 2.0"}},
		{name: "fresh, probe fails", probe: true, wants: []string{""}},
		{name: "newer, probe fails", older: true, probe: true, wants: []string{"ii 1.0"}},
		{name: "newer, its script fails", older: true, probe: true, fails: true, wants: []string{"ii 1.0"}},
	}
	for _, older := range []bool{false, true} {
		for _, script := range []string{"preinst", "postinst"} {
			cases = append(cases, killCase{name: fmt.Sprintf("dpkg dies in %s, older %v", script, older), older: older, dies: script, wants: []string{"ii 2.0"}})
		}
	}
	for _, script := range []string{"prerm", "postrm"} {
		cases = append(cases, killCase{name: "dpkg dies in the older " + script, older: true, diesOld: script, wants: []string{"ii 2.0"}})
	}
	return cases
}

// killOnce kills dpkg, which runs the script, the first time.
const killOnce = "#!/bin/sh\nif [ ! -e /killed ]; then : > /killed; kill -9 $PPID; fi\nexit 0\n"

// TestRH7KillAtEveryStep kills the installing process with SIGKILL at every step that it notes, and dpkg
// in every script, each in every way a package comes in; then the same order is given again, as the
// agent does after it has looked. All must end installed or as before, with a clean package database.
func TestRH7KillAtEveryStep(t *testing.T) {
	needDpkg(t)
	if os.Geteuid() != 0 {
		t.Skip("maintainer scripts below a root need chroot, which is root's")
	}
	points := 0
	for i, c := range killCases() {
		if soak(1, 0) == 1 && !slices.Contains([]int{0, 3, 6, 8}, i) {
			continue
		}
		for at := 1; at <= 20; at++ {
			d := c.prepare(t, at)
			killed := d.run(t)
			if killed || c.dies+c.diesOld != "" {
				points++
			}
			c.mend(t, d)
			if !killed {
				break
			}
		}
	}
	t.Logf("%d failpoints: all ended installed or as before", points)
	if least := soak(10, 40); points < least {
		t.Errorf("%d failpoints, want %d", points, least)
	}
}

func (c killCase) prepare(t *testing.T, at int) doomed {
	t.Helper()
	root := shellRoot(t)
	old, niu := app("1.0"), app("2.0")
	old.scripts, niu.scripts = map[string]string{}, map[string]string{"postinst": "#!/bin/sh\nexit 0\n"}
	if c.dies != "" {
		niu.scripts[c.dies] = killOnce
	}
	if c.diesOld != "" {
		old.scripts[c.diesOld] = killOnce
	}
	if c.fails {
		niu.scripts["postinst"] = "#!/bin/sh\nexit 7\n"
	}
	d := doomed{Root: root, Keep: filepath.Join(root, "kept"), Payload: filepath.Join(t.TempDir(), "p.deb"), Package: "app", Version: "2.0", Probe: c.probe, At: at}
	if c.older {
		one := old.job(t, root)
		one.Keep = d.Keep
		bring(t, one, "")
	}
	write(t, d.Payload, string(niu.build(t)), 0o644)
	return d
}

// mend gives the order again until it has an end, as often as a machine would within an hour.
func (c killCase) mend(t *testing.T, d doomed) {
	t.Helper()
	// What apply does at its start: the work folder is always safe to delete.
	if err := os.RemoveAll(filepath.Join(d.Root, "work")); err != nil {
		t.Fatal(err)
	}
	j := d.job(t)
	var err error
	for range 3 {
		_, err = install.Bring(t.Context(), installer(t, "deb"), j)
		var e *install.Error
		if err == nil || errors.As(err, &e) && (e.Reason == install.ReasonRolledBack || e.Reason == install.ReasonProbe) {
			break
		}
	}
	if got := status(t, d.Root, "app"); !slices.Contains(c.wants, strings.TrimSpace(got)) {
		t.Errorf("%s, killed at step %d: the package is %q, want %q; the last answer was %v", c.name, d.At, got, c.wants, err)
	}
	audited(t, d.Root)
	for _, dir := range []string{"work", "kept"} {
		entries, _ := os.ReadDir(filepath.Join(d.Root, dir))
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), "payload-") && !strings.HasPrefix(e.Name(), "deb-") {
				t.Errorf("%s, killed at step %d: left in %s: %s", c.name, d.At, dir, e.Name())
			}
		}
	}
}
