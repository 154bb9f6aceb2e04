package winetest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Prefix is one Windows.
type Prefix struct {
	Dir string // its folder; drive C: is Dir/drive_c
	env []string
}

// startTime bounds the making of a prefix, and is generous: machines are slow.
const startTime = 5 * time.Minute

// New makes a Windows, and skips the test where that cannot be done or was not asked for.
func New(t testing.TB) *Prefix {
	t.Helper()
	if os.Getenv("PATCHMESH_SOAK") != "1" {
		t.Skip("a Windows of its own takes half a minute: run it with PATCHMESH_SOAK=1")
	}
	for _, tool := range []string{"wine", "wineserver"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed here (Debian: wine64)", tool)
		}
	}
	dir, err := os.MkdirTemp("", "pmwine") // a prefix must belong to its user and have a short name
	if err != nil {
		t.Fatal(err)
	}
	p := &Prefix{Dir: dir, env: append(os.Environ(), "WINEPREFIX="+dir, "WINEARCH=win64", "WINEDEBUG=-all", "WINEDLLOVERRIDES=mscoree,mshtml=", "DISPLAY=")}
	t.Cleanup(func() {
		end := exec.Command("wineserver", "-k")
		end.Env = p.env
		_ = end.Run()
		wait := exec.Command("wineserver", "-w")
		wait.Env = p.env
		_ = wait.Run()
		_ = os.RemoveAll(dir)
	})
	if code, out := p.Run(t, startTime, nil, "wineboot", "--init"); code != 0 {
		t.Skipf("wine does not start here: exit code %d, %.300s", code, out)
	}
	system := filepath.Join(dir, "drive_c", "windows", "system32")
	const random = "bcryptprimitives.dll"
	if _, err := os.Stat(filepath.Join(system, random)); errors.Is(err, os.ErrNotExist) {
		if err := os.WriteFile(filepath.Join(system, random), forwarder(random, "ProcessPrng", "advapi32.SystemFunction036"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// Windows is how a path of this system is called in there.
func Windows(path string) string { return `Z:` + strings.ReplaceAll(path, "/", `\`) }

// Path is where a path on drive C: lies on this system.
func (p *Prefix) Path(below string) string { return filepath.Join(p.Dir, "drive_c", below) }

// Command prepares a program of Windows: its path on this system, or its name.
func (p *Prefix) Command(ctx context.Context, program string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, "wine", append([]string{program}, args...)...)
	c.Env = p.env
	return c
}

// Run runs a program to its end and returns its exit code and all that it printed. env is KEY=VALUE.
func (p *Prefix) Run(t testing.TB, most time.Duration, env []string, program string, args ...string) (code int, output string) {
	t.Helper()
	return p.RunIn(t, "", most, env, program, args...)
}

// RunIn is Run in a folder of this system.
func (p *Prefix) RunIn(t testing.TB, dir string, most time.Duration, env []string, program string, args ...string) (code int, output string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), most)
	defer cancel()
	c := p.Command(ctx, program, args...)
	var out bytes.Buffer
	c.Dir, c.Env, c.Stdout, c.Stderr, c.WaitDelay = dir, append(c.Env, env...), &out, &out, 5*time.Second
	err := c.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		return exit.ExitCode(), out.String()
	case err != nil && !errors.Is(err, exec.ErrWaitDelay): // services of Wine may hold its output a little longer
		t.Fatalf("%s %q: %v\n%s", program, args, err, out.String())
	}
	return 0, out.String()
}
