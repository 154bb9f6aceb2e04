package node

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"patchmesh/node/daemon"
	"patchmesh/node/install"
)

// A program of these tests is this very binary with a tail that says which version it is and what it does: the system
// starts a program whatever follows its end.
type windowsProgram struct {
	Version string
	Does    string // "": what a node does; else "exit N", "hang" or "other" (it is another version than its tail says)
}

const programTail = "\npatchmesh test program "

func (w windowsProgram) bytes(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	tail, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	return append(append(b, programTail...), tail...)
}

// init lets this binary be a launcher, or a program that it starts.
func init() {
	self, err := os.Executable()
	if err != nil {
		return
	}
	if w, is := programOf(self); is {
		os.Exit(w.run(self))
	}
	if os.Getenv("PATCHMESH_TEST_PROCESS") == "launcher" {
		code, err := Launch(context.Background(), LaunchConfig{
			Slots: os.Getenv("TEST_SLOTS"), Program: os.Getenv("TEST_BASE"), Version: "1.0", Args: []string{"run"}, Log: slog.New(slog.DiscardHandler), EndWait: 2 * time.Second,
		})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(code)
	}
}

func programOf(path string) (w windowsProgram, is bool) {
	b, err := os.ReadFile(path)
	if err != nil {
		return w, false
	}
	// The words stand in the binary itself too: only what is the end of the file is a tail.
	i := bytes.LastIndex(b, []byte(programTail))
	if i < 0 || len(b)-i > 4096 {
		return w, false
	}
	return w, json.Unmarshal(b[i+len(programTail):], &w) == nil
}

func (w windowsProgram) run(self string) int {
	if slices.Equal(os.Args[1:], install.HelloArgs) {
		says := w.Version
		if w.Does == "other" {
			says = "9.9"
		}
		_ = json.NewEncoder(os.Stdout).Encode(install.AgentHello{Patchmesh: "agent", Version: says, OS: runtime.GOOS, Arch: runtime.GOARCH})
		return 0
	}
	if n, is := strings.CutPrefix(w.Does, "exit "); is {
		code, _ := strconv.Atoi(n)
		return code
	}
	if w.Does == "hang" {
		select {}
	}
	_ = os.Setenv("TEST_SELF", self)
	code := 0
	// As the verbs do: the launcher's event ends it.
	_ = daemon.Under(context.Background(), func(ctx context.Context) error {
		ended := make(chan int, 1)
		go func() { ended <- testAgent(os.Getenv("TEST_ROOT"), w.Version) }()
		select {
		case code = <-ended:
		case <-ctx.Done():
			note(filepath.Join(os.Getenv("TEST_ROOT"), "asked"), w.Version)
		}
		return nil
	})
	return code
}

// windowsMachine is a machine whose service manager starts a launcher again and again.
type windowsMachine struct {
	t        *testing.T
	root     string
	mu       sync.Mutex
	launcher *os.Process
}

func newWindowsMachine(t *testing.T) *windowsMachine {
	t.Helper()
	m := &windowsMachine{t: t, root: windowsRoot(t)}
	base := filepath.Join(m.root, "base.exe")
	if err := os.WriteFile(base, windowsProgram{Version: "1.0"}.bytes(t), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := PrepareSlots(m.slots(), base, "1.0"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			c := exec.Command(os.Args[0])
			c.Env = append(os.Environ(), "PATCHMESH_TEST_PROCESS=launcher", "TEST_SLOTS="+m.slots(), "TEST_BASE="+base, "TEST_ROOT="+m.root)
			c.Stderr = os.Stderr
			if err := c.Start(); err != nil {
				t.Error(err)
				return
			}
			m.mu.Lock()
			m.launcher = c.Process
			m.mu.Unlock()
			_ = c.Wait()
		}
	}()
	t.Cleanup(func() {
		cancel()
		for {
			m.kill()
			select {
			case <-ended:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	return m
}

// windowsRoot is a folder whose programs may still be ending when the test has ended: until then they cannot be removed.
func windowsRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for end := time.Now().Add(30 * time.Second); os.RemoveAll(dir) != nil && time.Now().Before(end); {
			time.Sleep(50 * time.Millisecond)
		}
	})
	return dir
}

func (m *windowsMachine) slots() string { return filepath.Join(m.root, install.AgentDir) }

// kill ends the launcher without a word; what it has started has to go with it.
func (m *windowsMachine) kill() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.launcher != nil {
		_ = m.launcher.Kill()
	}
}

func (m *windowsMachine) wish(w agentWish, p windowsProgram) {
	m.t.Helper()
	m.until("a program to run", func() bool { return m.last("alive") != "" })
	for name, b := range map[string][]byte{"payload": p.bytes(m.t), "wish": mustJSON(m.t, w)} {
		if err := os.WriteFile(filepath.Join(m.root, name), b, 0o600); err != nil {
			m.t.Fatal(err)
		}
	}
	m.kill()
}

func mustJSON(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (m *windowsMachine) last(name string) string {
	b, _ := os.ReadFile(filepath.Join(m.root, name))
	lines := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	return lines[len(lines)-1]
}

func (m *windowsMachine) until(what string, ok func() bool) {
	m.t.Helper()
	for end := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			b, _ := os.ReadFile(filepath.Join(m.slots(), "agent.json"))
			m.t.Fatalf("waited for %s; alive %q, outcome %q, pointer %s", what, m.last("alive"), m.last("outcome"), b)
		}
	}
}

func (m *windowsMachine) expect(version, outcome string) install.AgentPointer {
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

// R-J11 on Windows: a new version takes over, another one after it is written beside programs that may still run, a
// version that ends or hangs is rolled back with its reason, and one that is not what it should be never runs.
func TestRJ11OnWindowsVersionsTakeOverAndBadOnesAreRolledBack(t *testing.T) {
	m := newWindowsMachine(t)
	m.wish(agentWish{Version: "2.0", Seconds: 60}, windowsProgram{Version: "2.0"})
	if p := m.expect("2.0", "installed 2.0"); p.Current.Slot != "a" || p.Failed != nil {
		t.Errorf("pointer %+v", p)
	}
	m.wish(agentWish{Version: "3.0", Seconds: 60}, windowsProgram{Version: "3.0"})
	if p := m.expect("3.0", "installed 3.0"); p.Current.Slot != "b" || p.Previous.Version != "2.0" {
		t.Errorf("pointer %+v", p)
	}
	m.wish(agentWish{Version: "4.0", Seconds: 60}, windowsProgram{Version: "4.0", Does: "exit 3"})
	m.expect("3.0", install.ReasonRolledBack)
	if !strings.Contains(m.last("outcome"), "exit code 3") {
		t.Error(m.last("outcome"))
	}
	m.wish(agentWish{Version: "5.0", Seconds: 3}, windowsProgram{Version: "5.0", Does: "hang"})
	m.until("the reason of the next one", func() bool { return strings.Contains(m.last("outcome"), "within 3 s") })
	m.expect("3.0", install.ReasonRolledBack)
	m.wish(agentWish{Version: "6.0", Seconds: 3}, windowsProgram{Version: "6.0", Does: "other"})
	m.expect("3.0", install.ReasonExit)
}

// A launcher that is killed leaves no program behind: the next one could not open the data folder.
func TestRJ11OnWindowsAProgramDiesWithItsLauncher(t *testing.T) {
	m := newWindowsMachine(t)
	for range 3 {
		m.until("a program", func() bool { return m.last("group") != "" })
		pid, err := strconv.Atoi(m.last("group"))
		if err != nil {
			t.Fatal(err)
		}
		p, err := os.FindProcess(pid)
		if err != nil {
			t.Fatal(err)
		}
		m.kill()
		gone := make(chan struct{})
		go func() { _, _ = p.Wait(); close(gone) }()
		select {
		case <-gone:
		case <-time.After(time.Minute):
			t.Fatal("the program outlives its launcher")
		}
		m.until("the next program", func() bool { return m.last("group") != strconv.Itoa(pid) })
	}
}

// S-SELF on Windows: the launcher is killed at random moments of an update, a program comes back each time.
func TestRJ11OnWindowsKilledAtRandomMomentsTheAgentComesBack(t *testing.T) {
	m := newWindowsMachine(t)
	m.wish(agentWish{Version: "2.0", Seconds: 60}, windowsProgram{Version: "2.0"})
	for i := range 20 {
		time.Sleep(time.Duration(i*37%400) * time.Millisecond) // the moment is the point
		before := m.last("group")
		m.kill()
		began := time.Now()
		m.until("a program after a kill", func() bool { return m.last("group") != before })
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("kill %d: back after %s", i, took)
		}
	}
	m.until("an outcome", func() bool { return m.last("outcome") != "" })
	p, err := install.AgentSlots(m.slots()).Read()
	if err != nil || p.Trial != nil {
		t.Fatalf("%+v, %v", p, err)
	}
	m.until("the program that the pointer names", func() bool { return m.last("alive") == p.Current.Version })
}

// A stop of the service reaches the program, which ends by itself.
func TestRJ11OnWindowsAProgramIsAskedToEnd(t *testing.T) {
	root := windowsRoot(t)
	base := filepath.Join(root, "base.exe")
	if err := os.WriteFile(base, windowsProgram{Version: "1.0"}.bytes(t), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TEST_ROOT", root)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := Launch(ctx, LaunchConfig{Slots: filepath.Join(root, install.AgentDir), Program: base, Version: "1.0", Args: []string{"run"}, Log: slog.New(slog.DiscardHandler), EndWait: time.Minute})
		ended <- err
	}()
	m := &windowsMachine{t: t, root: root}
	m.until("the program", func() bool { return m.last("alive") == "1.0" })
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if m.last("asked") != "1.0" {
		t.Error("the program was killed, not asked")
	}
}
