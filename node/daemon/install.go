package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"patchmesh/node/api"
)

// System is what steps touch.
type System interface {
	HasUser(name string) bool
	AddUser(name, home string) error
	// Own gives a folder and what root owns in it to a user; Owned says whether nothing is left to give.
	Own(dir, user string) error
	Owned(dir, user string) bool
	// Trusted says why root must not start a program; nil if it may.
	Trusted(program string) error
	// Running says whether the service manager runs on this machine now.
	Running() bool
	Control(args ...string) error // of the service manager
	Active(unit string) bool
}

// Done is one step: what it was for, and whether there was something to do.
type Done struct {
	What    string `json:"what"`
	Changed bool   `json:"changed"`
}

// Report is what Install or Remove did, or would do.
type Report struct {
	Steps   []Done            `json:"steps"`
	Started bool              `json:"started"`
	Units   map[string]string `json:"units,omitempty"` // text by path, of a dry run
	Note    string            `json:"note,omitempty"`
}

// Manager installs and removes the services.
type Manager struct {
	Sys     System
	UnitDir string // where unit files belong
	// Prepare gives the apply role its own copy of what this machine trusts; Prepared says that it has one.
	Prepare  func() error
	Prepared func() bool
	// PrepareSlots makes the folder of versions, with the program of the spec as the one that runs; SlotsReady says
	// that it is so. Both are needed where the spec names that folder.
	PrepareSlots func() error
	SlotsReady   func() bool
	DryRun       bool
}

// step is one change of the system.
type step struct {
	what string
	done func() bool
	do   func() error
}

// Install makes the steps that are needed. It may be done again at any time, also after it was cut off.
func (m Manager) Install(s Spec) (*Report, error) {
	if err := s.Validate(); err != nil {
		return nil, api.Errorf(api.ClassUsage, "%v", err)
	}
	if err := m.Sys.Trusted(s.Program); err != nil && !m.DryRun {
		return nil, api.Errorf(api.ClassRefused, "root must not start %s: %v", s.Program, err).
			WithHint("put the program into a folder that root alone can change, such as /usr/local/bin")
	}
	units := []unit{{NetUnit, s.netUnit()}}
	if s.Apply {
		units = append(units, unit{ApplyUnit, s.applyUnit()}, unit{ShutdownUnit, s.shutdownUnit()})
	}
	r := &Report{Steps: []Done{}}
	if m.DryRun {
		r.Units = map[string]string{}
		for _, u := range units {
			r.Units[m.path(u.name)] = u.text
		}
	}
	changed, err := m.run(m.steps(s, units), r)
	if err != nil {
		return r, err
	}
	return r, m.start(units, changed, r)
}

type unit struct{ name, text string }

func (m Manager) path(name string) string { return filepath.Join(m.UnitDir, name) }

// steps lists the changes in their order: the apply role takes its copy while the data folder is
// still root's, before the node's user can touch it.
func (m Manager) steps(s Spec, units []unit) []step {
	steps := []step{{
		what: fmt.Sprintf("user %s, without a shell or a password", s.User),
		done: func() bool { return m.Sys.HasUser(s.User) }, do: func() error { return m.Sys.AddUser(s.User, s.DataDir) },
	}}
	if s.Apply {
		steps = append(steps, step{
			what: fmt.Sprintf("folder %s, mode 0700: what the apply role trusts, taken from %s", s.ApplyState, s.DataDir),
			done: m.Prepared, do: m.Prepare,
		})
	}
	steps = append(steps, step{
		what: fmt.Sprintf("folder %s for user %s", s.DataDir, s.User),
		done: func() bool { return m.Sys.Owned(s.DataDir, s.User) }, do: func() error { return m.Sys.Own(s.DataDir, s.User) },
	})
	if s.Slots != "" {
		steps = append(steps, step{
			what: fmt.Sprintf("folder %s, for updates of patchmesh itself", s.Slots), done: m.SlotsReady,
			do: func() error { return errors.Join(m.PrepareSlots(), m.Sys.Trusted(s.Slots)) },
		})
	}
	for _, u := range units {
		steps = append(steps, step{
			what: "unit " + m.path(u.name),
			done: func() bool { b, err := os.ReadFile(m.path(u.name)); return err == nil && string(b) == u.text },
			do:   func() error { return writeUnit(m.path(u.name), u.text) },
		})
	}
	return steps
}

// run makes the steps that are needed; changed says whether any was.
func (m Manager) run(steps []step, r *Report) (changed bool, err error) {
	for _, st := range steps {
		needed := !st.done()
		r.Steps = append(r.Steps, Done{What: st.what, Changed: needed})
		if !needed {
			continue
		}
		changed = true
		if m.DryRun {
			continue
		}
		if err := st.do(); err != nil {
			return changed, fmt.Errorf("%s: %w", st.what, err)
		}
	}
	return changed, nil
}

// start lets the service manager take the units up, where one runs.
func (m Manager) start(units []unit, changed bool, r *Report) error {
	if m.DryRun {
		r.Note = "dry run: nothing was changed"
		return nil
	}
	if !m.Sys.Running() {
		r.Note = "systemd does not run here: the units are written, nothing was started"
		return nil
	}
	if changed {
		if err := m.Sys.Control("daemon-reload"); err != nil {
			return err
		}
	}
	for i := len(units) - 1; i >= 0; i-- { // apply first, so that the node finds it
		name := units[i].name
		if err := m.Sys.Control("enable", name); err != nil {
			return err
		}
		verb := "start"
		if changed {
			verb = "restart"
		}
		if err := m.Sys.Control(verb, name); err != nil {
			return err
		}
		r.Steps = append(r.Steps, Done{What: verb + " " + name, Changed: changed})
	}
	r.Started = true
	return nil
}

// Remove stops the services and takes their units away. Data, keys and the user stay.
func (m Manager) Remove() (*Report, error) {
	r := &Report{Steps: []Done{}}
	changed := false
	for _, name := range []string{ShutdownUnit, NetUnit, ApplyUnit} {
		_, err := os.Lstat(m.path(name))
		there := err == nil
		r.Steps = append(r.Steps, Done{What: "remove unit " + m.path(name), Changed: there})
		if !there || m.DryRun {
			continue
		}
		changed = true
		if m.Sys.Running() {
			if err := m.Sys.Control("disable", "--now", name); err != nil {
				return r, err
			}
		}
		if err := os.Remove(m.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return r, fmt.Errorf("remove unit: %w", err)
		}
	}
	if changed && m.Sys.Running() {
		if err := m.Sys.Control("daemon-reload"); err != nil {
			return r, err
		}
	}
	r.Note = "data, keys and the user stay"
	if m.DryRun {
		r.Note = "dry run: nothing was changed"
	}
	return r, nil
}

// UnitState is one unit as it is.
type UnitState struct {
	Unit      string `json:"unit"`
	Installed bool   `json:"installed"`
	Active    bool   `json:"active"`
}

// Status looks at the units; running says whether the service manager runs.
func (m Manager) Status() (units []UnitState, running bool) {
	running = m.Sys.Running()
	for _, name := range []string{NetUnit, ApplyUnit, ShutdownUnit} {
		_, err := os.Lstat(m.path(name))
		units = append(units, UnitState{Unit: name, Installed: err == nil, Active: running && m.Sys.Active(name)})
	}
	return units, running
}

// writeUnit replaces a unit in one step.
func writeUnit(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make unit folder: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".patchmesh-*")
	if err != nil {
		return fmt.Errorf("write unit: %w", err)
	}
	defer os.Remove(f.Name()) // gone already on success
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write unit: %w", err)
	}
	return nil
}
