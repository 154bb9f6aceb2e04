package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/install"
)

// The launcher: what the service manager starts in the place of patchmesh. It is the program that people
// have installed, which no update ever writes. It looks at the pointer (install.Slots), and becomes the
// program that is named there. Only while a program is on trial it stays, to watch it: one that ends, or that
// does not say in time that it is well, is ended, and the one of before is put back.
//
//	no trial   launcher ── becomes ──▶ program
//	trial      launcher ── starts, watches ──▶ program ── well ──▶ apply role ── pointer: proved
//	                    └─ too late, ended: pointer: back, says why ──▶ the program of before
//
// Two launchers look at one pointer: that of the apply role, which root owns and which alone may turn it, and
// that of the node, which follows. A running program follows too: where the pointer names another one, it ends
// with ExitHandover and is started anew.

// ExitHandover is the exit code of a process that ends so that another program can take its place.
const ExitHandover = 75

// ErrHandover: the pointer names another program than this one. The process is to end with ExitHandover.
var ErrHandover = errors.New("another version of patchmesh takes over")

// What the launcher tells the program that it starts.
const (
	envSlots = "PATCHMESH_AGENT_SLOTS" // the folder
	envRuns  = "PATCHMESH_AGENT_RUNS"  // SHA-256 of the program, hex
)

// LaunchConfig says what to launch.
type LaunchConfig struct {
	Slots   string   // folder of the pointer
	Program string   // of this launcher: what runs where nothing else is whole
	Version string   // of this launcher
	Args    []string // of the program
	Log     *slog.Logger
	// Out and Err are the program's. Nil: this process's own.
	Out, Err io.Writer
	// EndWait is how long a program may take to end before it is killed. Zero: 10 s.
	EndWait time.Duration
}

// launchPoll is how often a launcher that watches a program looks at the pointer.
const launchPoll = 100 * time.Millisecond

// Launch runs what the pointer names and returns its exit code. Where nothing is on trial, and the system can
// do that, it does not return at all: this process becomes the program.
func Launch(ctx context.Context, cfg LaunchConfig) (int, error) {
	if cfg.EndWait == 0 {
		cfg.EndWait = 10 * time.Second
	}
	l := launcher{cfg: cfg, slots: install.AgentSlots(cfg.Slots)}
	sum, err := install.FileSHA256(cfg.Program)
	if err != nil {
		return 0, fmt.Errorf("hash the launcher: %w", err)
	}
	l.own = install.AgentSlot{Slot: install.SlotBase, Version: cfg.Version, SHA256: sum}
	if l.keeper = l.slots.Ours(); l.keeper {
		if err := l.slots.Prepare(l.own); err != nil { // then what the pointer says is followed all the same
			cfg.Log.Error("the agent's pointer was not brought up to date", "err", err)
		}
	}
	for {
		code, again, err := l.once(ctx)
		if err != nil || !again {
			return code, err
		}
	}
}

// PrepareSlots makes the folder of versions with this program as the one that runs.
func PrepareSlots(dir, program, version string) error {
	sum, err := install.FileSHA256(program)
	if err != nil {
		return fmt.Errorf("hash %s: %w", program, err)
	}
	return install.AgentSlots(dir).Prepare(install.AgentSlot{Slot: install.SlotBase, Version: version, SHA256: sum})
}

// SlotsReady says whether PrepareSlots has nothing to do.
func SlotsReady(dir, program, version string) bool {
	p, err := install.AgentSlots(dir).Read()
	if err != nil || p.Base.Version != version {
		return false
	}
	sum, err := install.FileSHA256(program)
	return err == nil && sum == p.Base.SHA256
}

type launcher struct {
	cfg    LaunchConfig
	slots  *install.Slots
	own    install.AgentSlot
	keeper bool // this launcher may turn the pointer
}

// once runs one program; again if another one is to follow it.
func (l *launcher) once(ctx context.Context) (code int, again bool, err error) {
	onTrial := false
	if l.keeper {
		if err := l.slots.Mend(); err != nil && !errors.Is(err, install.ErrNoSlots) {
			l.cfg.Log.Error("the agent's pointer could not be mended", "err", err)
		}
		switch t, err := l.slots.Start(); {
		case err == nil:
			onTrial = t != nil
		case !errors.Is(err, install.ErrNotOnTrial):
			l.cfg.Log.Error("the start of a program on trial was not counted", "err", err)
		}
	}
	p, perr := l.slots.Read()
	if !l.keeper {
		onTrial = perr == nil && p.Trial != nil
	}
	chosen, path := l.slots.Choose()
	if path == "" {
		path = l.cfg.Program
	}
	if chosen.SHA256 == "" {
		chosen = l.own
	}
	runs := chosen.SHA256
	if !onTrial && perr == nil { // where a slot is damaged another program runs, until the keeper turns the pointer
		runs = p.Current.SHA256
	}
	env := append(os.Environ(), envSlots+"="+l.cfg.Slots, envRuns+"="+runs)
	if !onTrial && l.cfg.Out == nil && canBecome {
		return 0, false, become(path, append([]string{path}, l.cfg.Args...), env)
	}
	seconds := 0
	if onTrial && p.Trial != nil {
		seconds = p.Trial.Seconds
		l.cfg.Log.Info("a program is on trial", "version", chosen.Version, "seconds", seconds)
	}
	return l.watch(ctx, chosen, path, env, seconds)
}

// watch runs a program as a child. seconds is how long it may take to prove itself; 0: it has.
func (l *launcher) watch(ctx context.Context, x install.AgentSlot, path string, env []string, seconds int) (code int, again bool, err error) {
	cmd := exec.Command(path, l.cfg.Args...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = env, os.Stdin, l.cfg.Out, l.cfg.Err
	if l.cfg.Out == nil {
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	}
	ended, err := startChild(cmd)
	if err != nil {
		if seconds > 0 && l.giveUp(x, fmt.Sprintf("it could not be started: %v", err)) {
			return 0, true, nil
		}
		return 0, false, api.Errorf(api.ClassFailed, "start %s: %v", path, err)
	}
	late := time.NewTimer(time.Duration(seconds) * time.Second)
	defer late.Stop()
	look := time.NewTicker(launchPoll)
	defer look.Stop()
	trial := seconds > 0
	for {
		select {
		case <-ctx.Done(): // the service is stopped: that is nobody's failure
			l.end(cmd, ended)
			return 0, false, nil
		case <-ended:
			code = cmd.ProcessState.ExitCode()
			if trial && code != ExitHandover && l.giveUp(x, fmt.Sprintf("it ended at once, exit code %d", code)) {
				return 0, true, nil
			}
			return code, trial && !l.keeper || code == ExitHandover, l.pause(ctx, trial)
		case <-late.C:
			if trial && l.giveUp(x, fmt.Sprintf("it did not say within %d s that it is well", seconds)) {
				l.end(cmd, ended)
				return 0, true, nil
			}
		case <-look.C:
			p, err := l.slots.Read()
			if err != nil {
				continue
			}
			trial = trial && p.Trial != nil && p.Current.SHA256 == x.SHA256
			if p.Current.SHA256 != x.SHA256 && x.Slot != install.SlotBase { // it follows by itself, unless it hangs
				select {
				case <-ended:
				case <-time.After(l.cfg.EndWait):
				}
				l.end(cmd, ended)
				return 0, true, nil
			}
		}
	}
}

// pause keeps a follower from starting a program that ends at once over and over: its keeper will turn the
// pointer back soon.
func (l *launcher) pause(ctx context.Context, trial bool) error {
	if l.keeper || !trial {
		return nil
	}
	select {
	case <-ctx.Done():
	case <-time.After(time.Second):
	}
	return nil
}

// giveUp turns the pointer back; false if the program has proved itself in that moment, or if this launcher
// only follows.
func (l *launcher) giveUp(x install.AgentSlot, why string) bool {
	if !l.keeper {
		return false
	}
	err := l.slots.GiveUp(x.SHA256, why)
	switch {
	case errors.Is(err, install.ErrNotOnTrial):
		return false
	case err != nil:
		l.cfg.Log.Error("the program of before was not put back", "err", err)
		return false
	}
	l.cfg.Log.Error("the program of before is put back", "instead_of", x.Version, "why", why)
	return true
}

// end ends a program: it is asked first, and killed where it does not.
func (l *launcher) end(cmd *exec.Cmd, ended <-chan struct{}) {
	_ = askToEnd(cmd)
	select {
	case <-ended:
	case <-time.After(l.cfg.EndWait):
		_ = cmd.Process.Kill()
		<-ended
	}
}
