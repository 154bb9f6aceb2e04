package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"patchmesh/node/api"
)

// machine is a System that only remembers.
type machine struct {
	users    map[string]bool
	owned    bool
	running  bool
	untrust  error
	calls    []string
	failOnce string // the call that fails once
}

func (m *machine) call(format string, args ...any) error {
	c := fmt.Sprintf(format, args...)
	m.calls = append(m.calls, c)
	if m.failOnce != "" && strings.HasPrefix(c, m.failOnce) {
		m.failOnce = ""
		return errors.New("no luck")
	}
	return nil
}

func (m *machine) HasUser(name string) bool { return m.users[name] }
func (m *machine) AddUser(name, home string) error {
	err := m.call("add user %s %s", name, home)
	m.users[name] = err == nil
	return err
}
func (m *machine) Own(dir, user string) error {
	err := m.call("own %s %s", dir, user)
	m.owned = err == nil
	return err
}
func (m *machine) Owned(string, string) bool    { return m.owned }
func (m *machine) Trusted(string) error         { return m.untrust }
func (m *machine) Running() bool                { return m.running }
func (m *machine) Control(args ...string) error { return m.call("control %s", strings.Join(args, " ")) }
func (m *machine) Active(string) bool           { return m.running }

func manage(t *testing.T) (*machine, Manager) {
	t.Helper()
	sys := &machine{users: map[string]bool{}, running: true}
	prepared, slots := false, false
	return sys, Manager{
		Sys: sys, UnitDir: filepath.Join(t.TempDir(), "units"), Prepared: func() bool { return prepared },
		Prepare:      func() error { err := sys.call("prepare"); prepared = err == nil; return err },
		SlotsReady:   func() bool { return slots },
		PrepareSlots: func() error { err := sys.call("slots"); slots = err == nil; return err },
	}
}

func TestServiceIsInstalledOnceAndRemovedWithoutData(t *testing.T) {
	sys, m := manage(t)
	r, err := m.Install(spec())
	if err != nil || !r.Started {
		t.Fatalf("%+v, %v", r, err)
	}
	want := []string{"add user patchmesh /var/lib/patchmesh", "prepare", "own /var/lib/patchmesh patchmesh", "slots", "control daemon-reload", "control enable patchmesh-shutdown.service", "control restart patchmesh-shutdown.service",
		"control enable patchmesh-apply.service", "control restart patchmesh-apply.service", "control enable patchmesh.service", "control restart patchmesh.service"}
	if !slices.Equal(sys.calls, want) {
		t.Errorf("calls %q", sys.calls)
	}
	for _, name := range []string{NetUnit, ApplyUnit, ShutdownUnit} {
		if fi, err := os.Stat(m.path(name)); err != nil || fi.Mode().Perm()&0o022 != 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	sys.calls = nil
	r, err = m.Install(spec())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range r.Steps {
		if s.Changed {
			t.Errorf("done again: %s", s.What)
		}
	}
	if slices.Contains(sys.calls, "control daemon-reload") || slices.ContainsFunc(sys.calls, func(c string) bool { return strings.Contains(c, "restart") }) {
		t.Errorf("a service that runs as wanted was disturbed: %q", sys.calls)
	}
	units, running := m.Status()
	if !running || len(units) != 3 || !units[0].Installed || !units[1].Active {
		t.Errorf("status %+v", units)
	}
	if _, err := m.Remove(); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(m.UnitDir); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	if !sys.owned || !sys.users["patchmesh"] {
		t.Error("more than the services was removed")
	}
	if r, err := m.Remove(); err != nil || r.Steps[0].Changed {
		t.Errorf("removed again: %+v, %v", r, err)
	}
}

func TestInstallThatWasCutOffGoesOn(t *testing.T) {
	for _, cut := range []string{"add user", "prepare", "own", "slots", "control daemon-reload", "control enable patchmesh-apply"} {
		sys, m := manage(t)
		sys.failOnce = cut
		if _, err := m.Install(spec()); err == nil {
			t.Fatalf("%s failed in silence", cut)
		}
		if r, err := m.Install(spec()); err != nil || !r.Started {
			t.Errorf("after %s had failed: %+v, %v", cut, r, err)
		}
	}
}

func TestDryRunChangesNothingAndShowsAll(t *testing.T) {
	sys, m := manage(t)
	m.DryRun = true
	r, err := m.Install(spec())
	if err != nil || len(sys.calls) != 0 || r.Started || len(r.Units) != 3 {
		t.Fatalf("%+v, %v, %q", r, err, sys.calls)
	}
	if _, err := os.Lstat(m.UnitDir); err == nil {
		t.Error("a folder was made")
	}
	for _, s := range r.Steps {
		if !s.Changed {
			t.Errorf("%s is not announced", s.What)
		}
	}
}

func TestWithoutSystemdTheUnitsAreWrittenAndItSaysSo(t *testing.T) {
	sys, m := manage(t)
	sys.running = false
	r, err := m.Install(spec())
	if err != nil || r.Started || !strings.Contains(r.Note, "does not run here") {
		t.Fatalf("%+v, %v", r, err)
	}
	if slices.ContainsFunc(sys.calls, func(c string) bool { return strings.HasPrefix(c, "control") }) {
		t.Errorf("calls %q", sys.calls)
	}
	if _, err := m.Remove(); err != nil {
		t.Error(err)
	}
}

func TestSeedHasNoApplyUnit(t *testing.T) {
	sys, m := manage(t)
	s := spec()
	s.Apply = false
	if _, err := m.Install(s); err != nil || slices.Contains(sys.calls, "prepare") {
		t.Fatalf("%q, %v", sys.calls, err)
	}
	if _, err := os.Lstat(m.path(ApplyUnit)); err == nil {
		t.Error("a seed installs updates")
	}
	b, _ := os.ReadFile(m.path(NetUnit))
	if strings.Contains(string(b), "apply") {
		t.Error("the unit speaks of the apply role")
	}
}

func TestProgramThatOthersCanReplaceIsRefused(t *testing.T) {
	sys, m := manage(t)
	sys.untrust = errors.New("it can be changed by others")
	if _, err := m.Install(spec()); api.ClassOf(err) != api.ClassRefused || len(sys.calls) != 0 {
		t.Errorf("%v, %q", err, sys.calls)
	}
}
