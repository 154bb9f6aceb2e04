package restart

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// Run carries out a command line; argv[0] is an absolute path or a name of the system's own tools.
type Run func(ctx context.Context, argv []string) error

// Machine is the system that may have to be restarted. Set its fields before the first use.
type Machine struct {
	Root string // folder that stands for "/"; empty or "/": this system
	Keep string // private folder of the notes
	Run  Run    // nil: the system's own commands, which never restart for another root
	Now  func() time.Time

	// Down says whether the system is being shut down. Nil: its service manager is asked.
	Down func(context.Context) bool

	boot func() (string, error) // nil: the system's; for tests
}

// ErrOtherRoot: a folder is no machine that could be restarted.
var ErrOtherRoot = errors.New("updates go into another root here, which cannot be restarted")

func (m *Machine) system() bool { return m.Root == "" || m.Root == "/" }

// Look finds out whether a restart is needed and what stands in the way. It changes nothing but notes of an
// earlier boot, which it forgets.
func (m *Machine) Look() (policy.PendingRestart, error) {
	p := policy.PendingRestart{}
	notes, err := m.notes()
	if err != nil {
		return p, err
	}
	for _, n := range notes {
		p.Pending, p.Since = true, earliest(p.Since, n.At)
		p.Updates = append(p.Updates, policy.UpdateID(n.Update))
	}
	if len(notes) > 0 {
		p.Why = "asked for by " + joined(p.Updates)
	}
	if since, why, found := m.asked(); found {
		p.Pending, p.Since = true, earliest(p.Since, since)
		if p.Why == "" {
			p.Why = api.Clean(why)
		}
	}
	if !p.Pending {
		return p, nil
	}
	if !m.system() && m.Run == nil {
		p.Impossible = ErrOtherRoot.Error()
	}
	p.Users, p.Blockers = m.people()
	return p, nil
}

// asked looks at what the system itself says.
func (m *Machine) asked() (since time.Time, why string, found bool) {
	for _, path := range []string{"run/reboot-required", "var/run/reboot-required"} {
		fi, err := os.Lstat(filepath.Join(cmpRoot(m.Root), path))
		if err == nil {
			return fi.ModTime().UTC(), "the system's packages ask for it (" + path + ")", true
		}
	}
	if m.system() {
		return m.askedBySystem()
	}
	return time.Time{}, "", false
}

// earliest of two instants; the zero time is none.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

func cmpRoot(root string) string {
	if root == "" {
		return string(filepath.Separator)
	}
	return root
}

func joined(updates []policy.UpdateID) string {
	var s []string
	for _, u := range updates {
		s = append(s, string(u))
	}
	return strings.Join(s, ", ")
}

// maxDelay is the most that the system's own commands take.
const maxDelay = 24 * time.Hour

// GoingDown says whether the machine is being shut down. What cannot be found out is no.
func (m *Machine) GoingDown(ctx context.Context) bool {
	if m.Down != nil {
		return m.Down(ctx)
	}
	return m.system() && goingDown(ctx)
}

// Restart begins the restart: people are warned for so long by the system's own command, unless silent: then they
// are given the time and not told. It returns at once.
func (m *Machine) Restart(ctx context.Context, delay time.Duration, silent bool) error {
	if !m.system() && m.Run == nil {
		return ErrOtherRoot
	}
	if delay < 0 || delay > maxDelay {
		return fmt.Errorf("restart after %s: at most %s", delay, maxDelay)
	}
	run := m.Run
	if run == nil {
		run = runTool
	}
	var errs []error
	for _, argv := range commands(delay, silent) {
		err := run(ctx, argv)
		if err == nil {
			return nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", strings.Join(argv, " "), err))
	}
	return errors.Join(errs...)
}

// warning is what people read.
const warning = "An update needs a restart of this machine. Please save your work."

// minutes rounds up: nobody gets less time than was promised.
func minutes(d time.Duration) int { return int((d + time.Minute - 1) / time.Minute) }

// sortedUnique bounds what is told of those who block a restart.
func sortedUnique(s []string) []string {
	slices.Sort(s)
	s = slices.Compact(s)
	return s[:min(len(s), 16)]
}

// clip makes what others wrote fit one line of ours.
func clip(s string) string {
	s = api.Clean(strings.TrimSpace(s))
	return s[:min(len(s), 200)]
}
