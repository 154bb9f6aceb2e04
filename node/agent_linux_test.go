package node

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"patchmesh/node/install"
)

// init lets this binary be a launcher, or a program that it starts.
func init() {
	processGroup = syscall.Getpgrp
	switch os.Getenv("PATCHMESH_TEST_PROCESS") {
	case "launcher":
		slots, base := os.Getenv("TEST_SLOTS"), os.Getenv("TEST_BASE")
		code, err := Launch(context.Background(), LaunchConfig{Slots: slots, Program: base, Version: "1.0", Args: []string{cmp.Or(os.Getenv("TEST_ROLE"), "run")}, Log: slog.New(slog.DiscardHandler), EndWait: 500 * time.Millisecond})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(code)
	case "node":
		os.Exit(testNode())
	case "apply":
		os.Exit(testApply())
	case "agent":
		os.Exit(testAgent(os.Getenv("TEST_ROOT"), os.Getenv("TEST_VERSION")))
	}
}

// agentProgram is a program of a version: it says which one it is, and then does as it is told.
func agentProgram(root, version, does string) string {
	if does == "" {
		does = fmt.Sprintf("TEST_SELF=$0 PATCHMESH_TEST_PROCESS=agent TEST_ROOT=%s TEST_VERSION=%s exec %s", root, version, os.Args[0])
	}
	return fmt.Sprintf("#!/bin/sh\nif [ \"$1\" = launch ]; then echo '{\"patchmesh\":\"agent\",\"version\":\"%s\",\"os\":\"%s\",\"arch\":\"%s\"}'; exit 0; fi\n%s\n",
		version, runtime.GOOS, runtime.GOARCH, does)
}

// agentMachine is a machine whose service manager starts a launcher, again and again.
type agentMachine struct {
	t    testing.TB
	root string
	stop func()

	mu  sync.Mutex
	pid int // of the launcher, or of what it became
}

func newAgentMachine(t testing.TB) *agentMachine {
	t.Helper()
	m := &agentMachine{t: t, root: t.TempDir()}
	base := filepath.Join(m.root, "base")
	if err := os.WriteFile(base, []byte(agentProgram(m.root, "1.0", "")), 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	if err := install.AgentSlots(m.slots()).Prepare(install.AgentSlot{Version: "1.0", SHA256: sumOf(t, base)}); err != nil {
		t.Fatal(err)
	}
	go func() { // the service manager
		defer close(ended)
		for ctx.Err() == nil {
			c := exec.Command(os.Args[0])
			c.Env = append(os.Environ(), "PATCHMESH_TEST_PROCESS=launcher", "TEST_SLOTS="+m.slots(), "TEST_BASE="+base)
			c.Stderr = os.Stderr
			c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			if err := c.Start(); err != nil {
				t.Error(err)
				return
			}
			m.mu.Lock()
			m.pid = c.Process.Pid
			m.mu.Unlock()
			_ = c.Wait()
		}
	}()
	m.stop = func() {
		cancel()
		for {
			m.kill()
			select {
			case <-ended:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	t.Cleanup(func() { m.stop() })
	return m
}

func (m *agentMachine) slots() string {
	return filepath.Join(m.root, filepath.FromSlash(install.AgentDir))
}

// kill ends everything that the service manager has started, at once; group is its number.
func (m *agentMachine) kill() (group int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pid > 0 {
		_ = syscall.Kill(-m.pid, syscall.SIGKILL)
	}
	return m.pid
}

// started is the number of the group that the service manager has started last.
func (m *agentMachine) started() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pid
}

// wish approves a program; the machine learns of it when its program starts next.
func (m *agentMachine) wish(w agentWish, program string) {
	m.t.Helper()
	m.until("the first program to run", func() bool { return m.last("alive") != "" })
	if err := os.WriteFile(filepath.Join(m.root, "payload"), []byte(program), 0o600); err != nil {
		m.t.Fatal(err)
	}
	b, _ := json.Marshal(w)
	if err := os.WriteFile(filepath.Join(m.root, "wish.new"), b, 0o600); err != nil {
		m.t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(m.root, "wish.new"), filepath.Join(m.root, "wish")); err != nil {
		m.t.Fatal(err)
	}
	m.kill()
}

// last is the last whole line of a file.
func (m *agentMachine) last(name string) string {
	b, _ := os.ReadFile(filepath.Join(m.root, name))
	lines := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	return lines[len(lines)-1]
}

func (m *agentMachine) until(what string, ok func() bool) {
	m.t.Helper()
	for end := time.Now().Add(60 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			b, _ := os.ReadFile(filepath.Join(m.slots(), "agent.json"))
			m.t.Fatalf("waited for %s; alive %q, outcome %q, pointer %s", what, m.last("alive"), m.last("outcome"), b)
		}
	}
}

// expect waits for an outcome, and that the program which runs then is the one that the pointer names.
func (m *agentMachine) expect(version, outcome string) install.AgentPointer {
	m.t.Helper()
	m.until(fmt.Sprintf("%q from version %s", outcome, version), func() bool {
		return strings.HasPrefix(m.last("outcome"), version+" says: "+outcome)
	})
	p, err := install.AgentSlots(m.slots()).Read()
	if err != nil || p.Current.Version != version || p.Trial != nil || m.last("alive") != version {
		m.t.Fatalf("version %s runs, the pointer says %+v, %v", m.last("alive"), p, err)
	}
	return p
}

func sumOf(t testing.TB, path string) string {
	t.Helper()
	sum, err := install.FileSHA256(path)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func TestRJ11ANewVersionTakesOverAndProvesItself(t *testing.T) {
	t.Parallel()
	m := newAgentMachine(t)
	m.wish(agentWish{Version: "2.0", Seconds: 30}, agentProgram(m.root, "2.0", ""))
	p := m.expect("2.0", "installed 2.0")
	if p.Current.Slot != "a" || p.Previous.Slot != install.SlotBase || p.Failed != nil {
		t.Errorf("pointer %+v", p)
	}
	m.wish(agentWish{Version: "3.0", Seconds: 30}, agentProgram(m.root, "3.0", ""))
	if p = m.expect("3.0", "installed 3.0"); p.Current.Slot != "b" || p.Previous.Version != "2.0" {
		t.Errorf("pointer %+v", p)
	}
	// A slot that rots does not keep the machine from starting patchmesh.
	if err := os.WriteFile(filepath.Join(m.slots(), "b", "patchmesh"), []byte("rot"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(m.root, "wish")); err != nil {
		t.Fatal(err)
	}
	m.kill()
	m.until("the version of before", func() bool { return m.last("alive") == "2.0" })
}

func TestRJ11AVersionThatDoesNotProveItselfIsRolledBackWithItsReason(t *testing.T) {
	for name, c := range map[string]struct{ does, why string }{
		"ends at once":           {"exit 3", "exit code 3"},
		"hangs":                  {"sleep 600", "within 2 s"},
		"hangs and ignores TERM": {"trap '' TERM; while :; do sleep 1; done", "within 2 s"},
		"is well, but dies":      {"kill -9 $$", "ended at once"},
	} {
		if soak(1, 0) == 1 && (name == "hangs and ignores TERM" || name == "is well, but dies") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newAgentMachine(t)
			m.wish(agentWish{Version: "2.0", Seconds: 2}, agentProgram(m.root, "2.0", c.does))
			p := m.expect("1.0", install.ReasonRolledBack)
			if !strings.Contains(m.last("outcome"), c.why) || p.Failed == nil || p.Failed.Version != "2.0" {
				t.Errorf("%s; pointer %+v", m.last("outcome"), p)
			}
		})
	}
}

func TestRJ11AProgramThatIsNotWhatItsDescriptorSaysIsNeverTurnedTo(t *testing.T) {
	root := t.TempDir()
	for name, program := range map[string]string{
		"another version":    agentProgram(root, "9.9", ""),
		"no program":         "these are no instructions",
		"no patchmesh":       "#!/bin/sh\necho hello\n",
		"another system":     strings.Replace(agentProgram(root, "2.0", ""), `"os":"linux"`, `"os":"plan9"`, 1),
		"ends with an error": "#!/bin/sh\nexit 1\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newAgentMachine(t)
			m.wish(agentWish{Version: "2.0", Seconds: 5}, program)
			p := m.expect("1.0", install.ReasonExit)
			if p.Failed != nil || p.Current.Slot != install.SlotBase {
				t.Errorf("pointer %+v", p)
			}
		})
	}
}

// One working program is left by whatever kills the processes, at every step, and the update comes about.
func TestRJ11KilledAtAnyStepOneVersionRunsAndTheUpdateComesAbout(t *testing.T) {
	for _, step := range []string{install.StepStaged, install.StepStarted, "before proof", "after proof"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			m := newAgentMachine(t)
			m.wish(agentWish{Version: "2.0", Seconds: 30, Kill: step}, agentProgram(m.root, "2.0", ""))
			if step == "before proof" { // to end on trial is what a bad version does
				m.expect("1.0", install.ReasonRolledBack)
				return
			}
			m.expect("2.0", "installed 2.0")
			if _, err := os.Stat(filepath.Join(m.root, "killed")); err != nil {
				t.Errorf("nothing was killed at %s: %v", step, err)
			}
		})
	}
}

// S-SELF: everything at once is killed again and again, at random moments of an update: one kill or a few that
// follow each other at once, and then the machine has to have a program again that says so, each time.
func TestRJ11KilledAtRandomMomentsTheAgentComesBack(t *testing.T) {
	const killsPerUpdate = 5
	kills, worst, updated := soak(5, 1000), time.Duration(0), 0
	rng := rand.New(rand.NewPCG(11, 1))
	for done := 0; done < kills; {
		m := newAgentMachine(t)
		m.wish(agentWish{Version: "2.0", Seconds: 60}, agentProgram(m.root, "2.0", ""))
		for range killsPerUpdate {
			time.Sleep(time.Duration(rng.IntN(250)) * time.Millisecond) // the moment is the point
			for range rng.IntN(3) {
				m.kill()
				time.Sleep(time.Duration(rng.IntN(30)) * time.Millisecond)
			}
			killed, began := m.kill(), time.Now()
			m.until("a program after a kill", func() bool { now := m.started(); return now != killed && m.last("group") == fmt.Sprint(now) })
			worst = max(worst, time.Since(began))
			done++
		}
		m.until("an outcome", func() bool { return m.last("outcome") != "" })
		p, err := install.AgentSlots(m.slots()).Read()
		out := m.last("outcome")
		if err != nil || p.Trial != nil || m.last("alive") != p.Current.Version || !strings.Contains(out, "installed 2.0") && !strings.Contains(out, install.ReasonRolledBack) {
			t.Fatalf("after %d kills: %q, %s runs, pointer %+v, %v", done, out, m.last("alive"), p, err)
		}
		if p.Current.Version == "2.0" {
			updated++
		}
		m.stop()
	}
	t.Logf("%d kills in %d updates: back after %s at most; %d updates came about, the others were rolled back", kills, kills/killsPerUpdate, worst.Round(time.Millisecond), updated)
	if worst > 30*time.Second {
		t.Errorf("the agent was back after %s", worst)
	}
}
