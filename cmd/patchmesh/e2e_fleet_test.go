//go:build linux

package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
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

const (
	meshPort     = "7700"
	group        = "branch"
	pollStatus   = 300 * time.Millisecond // each poll is a process and a view of the whole fleet
	pollFiles    = 10 * time.Millisecond
	readyTimeout = 60 * time.Second
)

// fleetConfig says what is special about a fleet.
type fleetConfig struct {
	lab     bench.LabConfig
	prepare func(m *machine)           // before the machine joins: its folders exist and are empty
	later   []string                   // machines that join but are not started
	groups  func(name string) []string // nil: the branch's group for all
}

// fleet is a lab with a seed behind the WAN and a machine in each namespace.
type fleet struct {
	t        *testing.T
	bin, dir string
	lab      *bench.Lab
	seed     *machine
	machines []*machine
	mounts   []string // below dir
}

// machine is one patchmesh node with a data folder and a root of its own.
type machine struct {
	f          *fleet
	name       string
	host       bench.Host
	data, root string
	peers      []string // addresses it is told

	cmd   *exec.Cmd
	ended chan struct{} // closed once cmd is gone
	spent bench.Usage   // of its earlier processes
}

// newFleet builds the network, makes the organisation, enrols all machines and waits until the seed
// sees those that run.
func newFleet(t *testing.T, bin string, cfg fleetConfig) *fleet {
	t.Helper()
	lab, err := bench.NewLab(cfg.lab)
	if errors.Is(err, bench.ErrNoLab) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := lab.Close(); err != nil {
			t.Error(err)
		}
	})
	// A short path: control sockets live below it and may have about 100 bytes.
	dir, err := os.MkdirTemp("", "pm-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{t: t, bin: bin, dir: dir, lab: lab}
	t.Cleanup(f.cleanUp)

	f.seed = f.newMachine(lab.Origin)
	f.mustRun("init", "--org", "E2E", "--insecure-no-passphrase", "--data", f.seed.data)
	f.seed.start()
	tokens := f.invite(cfg)
	online := 0
	for _, h := range lab.Machines {
		m := f.newMachine(h)
		f.machines = append(f.machines, m)
		if cfg.prepare != nil {
			cfg.prepare(m)
		}
		m.join(tokens(m.name))
		if !slices.Contains(cfg.later, m.name) {
			m.start()
			online++
		}
	}
	f.awaitOnline(online)
	return f
}

// invite makes the tokens that machines join with: one for all, or one for each.
func (f *fleet) invite(cfg fleetConfig) (token func(name string) string) {
	f.t.Helper()
	ask := func(uses int, groups ...string) string {
		args := []string{"invite", "--site", "branch", "--uses", fmt.Sprint(uses), "--data", f.seed.data}
		for _, g := range groups {
			args = append(args, "--group", g)
		}
		return strings.TrimSpace(f.mustRun(args...))
	}
	if cfg.groups != nil {
		return func(name string) string { return ask(1, cfg.groups(name)...) }
	}
	one := ask(len(f.lab.Machines), group)
	return func(string) string { return one }
}

func (f *fleet) newMachine(h bench.Host) *machine {
	f.t.Helper()
	m := &machine{f: f, name: h.Name, host: h, data: filepath.Join(f.dir, h.Name, "data"), root: filepath.Join(f.dir, h.Name, "root")}
	for _, d := range []string{m.data, filepath.Join(m.root, "srv")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			f.t.Fatal(err)
		}
	}
	return m
}

// join enrols through the seed, or through the first machine where there is no way to the seed.
func (m *machine) join(token string) {
	f := m.f
	f.t.Helper()
	door := f.lab.Origin
	if !m.host.Route {
		door = f.machines[0].host
	}
	m.peers = []string{door.Addr.String() + ":" + meshPort}
	ctx, cancel := context.WithTimeout(f.t.Context(), readyTimeout)
	defer cancel()
	cmd := f.lab.Command(ctx, m.host, f.bin, "join", token, "--name", m.name, "--peer", m.peers[0], "--data", m.data)
	if out, err := cmd.CombinedOutput(); err != nil {
		f.t.Fatalf("join %s through %s: %v\n%s", m.name, door.Name, err, out)
	}
}

// start runs the node and waits until its control socket answers.
func (m *machine) start() {
	f := m.f
	f.t.Helper()
	args := []string{"run", "--data", m.data, "--root", m.root, "--listen", m.host.Addr.String() + ":" + meshPort}
	for _, p := range m.peers {
		args = append(args, "--peer", p)
	}
	logFile, err := os.OpenFile(m.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		f.t.Fatal(err)
	}
	m.cmd = f.lab.Command(context.Background(), m.host, f.bin, args...)
	m.cmd.Stdout, m.cmd.Stderr = logFile, logFile
	if err := m.cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	ended := make(chan struct{})
	m.ended = ended
	cmd := m.cmd
	go func() {
		_ = cmd.Wait()
		_ = logFile.Close()
		close(ended)
	}()
	f.eventually(readyTimeout, m.name+" answers on its control socket", func() (bool, string) {
		select {
		case <-ended:
			f.t.Fatalf("%s ended at once (%v):\n%s", m.name, cmd.ProcessState, m.logTail(20))
		default:
		}
		r := f.run("status", "--json", "--data", m.data)
		return r.code == 0, r.stderr
	})
}

// stop ends the node with sig, waits for its end and keeps its cost.
func (m *machine) stop(sig syscall.Signal) {
	m.f.t.Helper()
	if u, err := bench.ProcessUsage(m.cmd.Process.Pid); err == nil {
		m.spent.CPU += u.CPU
		m.spent.PeakRSSBytes = max(m.spent.PeakRSSBytes, u.PeakRSSBytes)
	}
	if err := m.cmd.Process.Signal(sig); err != nil {
		m.f.t.Fatalf("signal %s: %v", m.name, err)
	}
	select {
	case <-m.ended:
	case <-time.After(15 * time.Second):
		m.f.t.Fatalf("%s does not end on %s within 15 s", m.name, sig)
	}
	m.cmd = nil
}

// usage is what all processes of this machine have cost.
func (m *machine) usage() bench.Usage {
	m.f.t.Helper()
	total := m.spent
	if m.cmd == nil {
		return total
	}
	u, err := bench.ProcessUsage(m.cmd.Process.Pid)
	if err != nil {
		m.f.t.Fatalf("%s: %v\n%s", m.name, err, m.logTail(20))
	}
	total.CPU += u.CPU
	total.PeakRSSBytes = max(total.PeakRSSBytes, u.PeakRSSBytes)
	return total
}

func (m *machine) logPath() string { return filepath.Join(m.f.dir, m.name+".log") }

func (m *machine) logTail(n int) string {
	text, err := os.ReadFile(m.logPath())
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(all[max(0, len(all)-n):], "\n")
}

// all is the seed, if it was made, and the machines.
func (f *fleet) all() []*machine {
	if f.seed == nil {
		return nil
	}
	return append([]*machine{f.seed}, f.machines...)
}

func (f *fleet) machine(name string) *machine {
	for _, m := range f.machines {
		if m.name == name {
			return m
		}
	}
	return nil
}

// awaitOnline waits until the seed sees so many machines of the branch.
func (f *fleet) awaitOnline(n int) {
	f.t.Helper()
	f.eventually(readyTimeout, fmt.Sprintf("the seed sees %d machines online", n), func() (bool, string) {
		online := 0
		for _, row := range f.status().Machines {
			if row.Online && f.machine(row.Name) != nil {
				online++
			}
		}
		return online == n, fmt.Sprintf("%d are", online)
	})
}

// result is how one command ended.
type result struct {
	stdout, stderr string
	code           int
}

// run calls the command line as a person would, one minute at most.
func (f *fleet) run(args ...string) result {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, f.bin, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		f.t.Fatalf("patchmesh %s: %v", strings.Join(args, " "), err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// mustRun fails the test unless the command exits with 0; it returns its standard output.
func (f *fleet) mustRun(args ...string) string {
	f.t.Helper()
	r := f.run(args...)
	if r.code != 0 {
		f.t.Fatalf("patchmesh %s: exit code %d\n%s%s", strings.Join(args, " "), r.code, r.stdout, r.stderr)
	}
	return r.stdout
}

// onSeed runs a command on the seed that prints JSON, into facts.
func (f *fleet) onSeed(facts any, args ...string) {
	f.t.Helper()
	args = append(args, "--json", "--data", f.seed.data)
	out := f.mustRun(args...)
	if err := json.Unmarshal([]byte(out), facts); err != nil {
		f.t.Fatalf("patchmesh %s: %v in\n%s", strings.Join(args, " "), err, out)
	}
}

// eventually polls until done; it fails with the last state when the time is over.
func (f *fleet) eventually(patience time.Duration, what string, done func() (bool, string)) {
	f.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(pollStatus) {
		ok, state := done()
		if ok {
			return
		}
		if time.Now().After(end) {
			f.t.Fatalf("not within %s: %s; %s", patience, what, state)
		}
	}
}

// cleanUp ends all nodes and removes the folders; after a failure it shows how the logs end.
func (f *fleet) cleanUp() {
	for _, m := range f.all() {
		if m.cmd != nil {
			_ = m.cmd.Process.Kill()
			<-m.ended
		}
		if f.t.Failed() && (m == f.seed || m.name == "m00" || m == f.machines[len(f.machines)-1]) {
			f.t.Logf("log of %s ends:\n%s", m.name, m.logTail(15))
		}
	}
	for _, path := range f.mounts {
		// Detached: a node's own copy of the mounts may take a moment to go.
		if err := syscall.Unmount(path, syscall.MNT_DETACH); err != nil {
			f.t.Errorf("unmount %s: %v", path, err)
		}
	}
	if f.t.Failed() && os.Getenv("PATCHMESH_E2E_KEEP") != "" {
		f.t.Logf("kept: %s", f.dir)
		return
	}
	if err := os.RemoveAll(f.dir); err != nil {
		f.t.Error(err)
	}
}
