//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// Process is one program that a contender runs on a machine of the lab. What it costs stays known
// after its end.
type Process struct {
	name    string
	cmd     *exec.Cmd
	logPath string
	ended   chan struct{}

	mu   sync.Mutex
	last Usage // the memory of an ended process cannot be asked any more: this is the last look at it
}

// Start runs a program on m; its output goes to logs beside the folder of m. It ends with the site.
func (s *Site) Start(m *Machine, name string, args ...string) (*Process, error) {
	s.mu.Lock()
	s.started++
	logPath := filepath.Join(s.Dir, fmt.Sprintf("%s-%d-%s.log", m.Name, s.started, filepath.Base(name)))
	s.mu.Unlock()
	out, err := os.Create(logPath)
	if err != nil {
		return nil, err
	}
	errOut, err := os.Create(logPath + ".err")
	if err != nil {
		return nil, errors.Join(err, out.Close())
	}
	p := &Process{name: m.Name + ": " + filepath.Base(name), cmd: s.Lab.Command(context.Background(), m.Host, name, args...), logPath: logPath, ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = out, errOut
	p.cmd.Dir = m.Dir
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", p.name, err), out.Close(), errOut.Close())
	}
	go func() {
		_ = p.cmd.Wait()
		_, _ = out.Close(), errOut.Close()
		close(p.ended)
	}()
	s.mu.Lock()
	defer s.mu.Unlock()
	m.processes = append(m.processes, p)
	return p, nil
}

// Run runs a program on m to its end and returns what it printed. What it cost counts too.
func (s *Site) Run(ctx context.Context, m *Machine, name string, args ...string) (string, error) {
	p, err := s.Start(m, name, args...)
	if err != nil {
		return "", err
	}
	select {
	case <-p.ended:
	case <-ctx.Done():
		p.kill()
		return "", ctx.Err()
	}
	out, err := os.ReadFile(p.logPath)
	if err != nil {
		return "", err
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		return "", fmt.Errorf("%s %s on %s: exit code %d: %s", filepath.Base(name), args[0], m.Name, code, p.logTail())
	}
	return string(out), nil
}

func (p *Process) alive() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// usage is what the process has cost up to now, or in its whole life.
func (p *Process) usage() Usage {
	p.mu.Lock()
	defer p.mu.Unlock()
	if u := treeUsage(p.cmd.Process.Pid); p.alive() {
		p.last.CPU, p.last.PeakRSSBytes = max(p.last.CPU, u.CPU), max(p.last.PeakRSSBytes, u.PeakRSSBytes)
	}
	if !p.alive() { // the kernel's last word, with the children that it has waited for
		p.last.CPU = p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
	}
	return p.last
}

// treeUsage is what a process and those that it runs have cost; of their memory the largest counts.
func treeUsage(pid int) Usage {
	u, err := ProcessUsage(pid)
	if err != nil {
		return Usage{}
	}
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", pid))
	for _, field := range strings.Fields(string(text)) {
		if child, err := strconv.Atoi(field); err == nil {
			c := treeUsage(child)
			u.CPU, u.PeakRSSBytes = u.CPU+c.CPU, max(u.PeakRSSBytes, c.PeakRSSBytes)
		}
	}
	return u
}

func (p *Process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// logTail is how the output of the process ends.
func (p *Process) logTail() string {
	var b strings.Builder
	for _, path := range []string{p.logPath, p.logPath + ".err"} {
		if text, err := os.ReadFile(path); err == nil && len(text) > 0 {
			b.WriteString(tail(string(text), 8) + "\n")
		}
	}
	return strings.TrimSpace(b.String())
}

func tail(text string, n int) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(all[max(0, len(all)-n):], "\n")
}
