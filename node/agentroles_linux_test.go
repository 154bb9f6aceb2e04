package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/install"
)

const nobody = 65534

// testApply is the apply role in a process of its own, as 'patchmesh apply' under the launcher.
func testApply() int {
	err := RunApply(context.Background(), ApplyConfig{
		StateDir: os.Getenv("TEST_STATE"), Socket: os.Getenv("TEST_SOCKET"), Root: os.Getenv("TEST_ROOT"), UID: nobody, GID: nobody,
		Version: os.Getenv("TEST_VERSION"), Agent: LaunchedAs(os.Getenv), Now: time.Now, Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if errors.Is(err, ErrHandover) {
		return ExitHandover
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// roleMachine is a machine whose service manager keeps both roles, each under a launcher of its own: the apply role
// as root, the node as a user who may follow the pointer and not turn it.
type roleMachine struct {
	*mesh
	dir  string // that everybody may read
	env  string // of its programs
	mu   sync.Mutex
	pids map[string]int // of the launcher of a role, by role
	logs map[string]*bytes.Buffer
}

func newRoleMachine(t *testing.T) *roleMachine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("the apply role is root's, and only root can start the node as another user")
	}
	dir, err := os.MkdirTemp("", "pm") // test folders may be too long for a socket, and are closed to others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	m := &roleMachine{mesh: newMesh(t), dir: dir, pids: map[string]int{}, logs: map[string]*bytes.Buffer{}}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, sub := range []string{"root", "run"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(m.path("program"), b, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Join(context.Background(), JoinRequest{DataDir: m.path("data"), Token: m.token(1), Name: "a"}, time.Now); err != nil {
		t.Fatal(err)
	}
	if _, err := PrepareApply(m.path("state"), m.path("data"), false, time.Now); err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(m.path("data"), func(p string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(p, nobody, nobody))
	})
	if err != nil {
		t.Fatal(err)
	}
	m.env = fmt.Sprintf("TEST_DATA=%s TEST_STATE=%s TEST_SOCKET=%s TEST_ROOT=%s TEST_LISTEN=%s TEST_PEER=%s",
		m.path("data"), m.path("state"), m.path("run/apply.sock"), m.path("root"), freeAddr(t), m.seed.addr)
	if err := os.WriteFile(m.path("base"), m.program("1.0", ""), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := PrepareSlots(m.slots(), m.path("base"), "1.0"); err != nil {
		t.Fatal(err)
	}
	m.service("apply", nil)
	m.service("node", &syscall.Credential{Uid: nobody, Gid: nobody})
	return m
}

func (m *roleMachine) path(name string) string { return filepath.Join(m.dir, name) }

func (m *roleMachine) slots() string {
	return filepath.Join(m.path("root"), filepath.FromSlash(install.AgentDir))
}

// program is both roles in one version.
func (m *roleMachine) program(version, does string) []byte {
	return fmt.Appendf(nil, "#!/bin/sh\nif [ \"$1\" = launch ]; then echo '{\"patchmesh\":\"agent\",\"version\":\"%s\",\"os\":\"%s\",\"arch\":\"%s\"}'; exit 0; fi\n%s\n"+
		"echo %s > %s/$1.version.new; mv %[6]s/$1.version.new %[6]s/$1.version\n%[7]s TEST_VERSION=%[1]s PATCHMESH_TEST_PROCESS=$1 exec %[8]s\n",
		version, runtime.GOOS, runtime.GOARCH, does, version, m.path("run"), m.env, m.path("program"))
}

// service starts the launcher of a role again and again, as the service manager does.
func (m *roleMachine) service(role string, as *syscall.Credential) {
	if err := os.Chmod(m.path("run"), 0o777|os.ModeSticky); err != nil { // where both note which version they are
		m.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended, log := make(chan struct{}), &bytes.Buffer{}
	m.logs[role] = log
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			c := exec.Command(m.path("program"))
			c.Dir = "/"
			c.Env = append(os.Environ(), "PATCHMESH_TEST_PROCESS=launcher", "TEST_ROLE="+role, "TEST_SLOTS="+m.slots(), "TEST_BASE="+m.path("base"), "TMPDIR=/tmp")
			c.Stdout, c.Stderr = log, log
			c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: as}
			m.mu.Lock()
			err := c.Start()
			if err == nil {
				m.pids[role] = c.Process.Pid
			}
			m.mu.Unlock()
			if err != nil {
				m.t.Error(err)
				return
			}
			_ = c.Wait()
		}
	}()
	m.t.Cleanup(func() {
		cancel()
		for {
			m.kill(role)
			select {
			case <-ended:
				if m.t.Failed() {
					m.t.Logf("%s: %s", role, log.Bytes()[max(0, log.Len()-4000):])
				}
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
}

// kill ends everything of some roles, at once.
func (m *roleMachine) kill(roles ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range roles {
		_ = syscall.Kill(-m.pids[r], syscall.SIGKILL)
	}
}

// runs says whether both roles run a version.
func (m *roleMachine) runs(version string) bool {
	for _, role := range []string{"node", "apply"} {
		b, _ := os.ReadFile(m.path("run/" + role + ".version"))
		if strings.TrimSpace(string(b)) != version {
			return false
		}
	}
	return true
}

// bring imports and approves a version.
func (m *roleMachine) bring(id, version, does string, seconds int) {
	m.t.Helper()
	body := m.program(version, does)
	_, err := m.seed.Import(context.Background(), api.ImportRequest{
		FileName: "patchmesh", SizeBytes: int64(len(body)), ID: id, Installer: "agent", InstallerArgs: map[string]string{"prove-seconds": strconv.Itoa(seconds)},
		ImportRules: api.ImportRules{Version: version},
	}, io.Reader(bytes.NewReader(body)))
	if err != nil {
		m.t.Fatal(err)
	}
	m.approve(id)
}

// Both roles, as different users under launchers of their own, change over together to a version that is well, and
// come back together from one that is not: also one whose node alone is not well.
func TestRJ11BothRolesApartChangeOverAndComeBackTogether(t *testing.T) {
	t.Parallel()
	m := newRoleMachine(t)
	m.bring("agent-2", "2.0", "", 60)
	until(t, "the new version to be reported as installed", func() bool { return m.seed.reported(t, "a", "agent-2").State == "installed" })
	until(t, "both roles to run it", func() bool { return m.runs("2.0") })
	p, err := install.AgentSlots(m.slots()).Read()
	if err != nil || p.Current.Version != "2.0" || p.Trial != nil {
		t.Fatalf("%+v, %v", p, err)
	}
	if soak(0, 1) == 0 {
		return // what follows takes the whole time of a trial
	}
	m.bring("agent-3", "3.0", "if [ $1 = node ]; then exit 9; fi", 5)
	until(t, "the bad version to be rolled back", func() bool { return m.seed.reported(t, "a", "agent-3").State == "rolled-back" })
	until(t, "both roles to run what was before", func() bool { return m.runs("2.0") })
	if p, err = install.AgentSlots(m.slots()).Read(); err != nil || p.Current.Version != "2.0" || p.Trial != nil || p.Failed == nil {
		t.Errorf("%+v, %v", p, err)
	}
}

// S-SELF with both roles apart: one of them or both are killed at random moments of update after update. Each
// time both come back, with one and the same version, and the machine reports what came of it.
func TestRJ11KilledAtRandomMomentsBothRolesApartComeBackTogether(t *testing.T) {
	rounds := soak(0, 40)
	if rounds == 0 {
		t.Skip("takes minutes: run it with PATCHMESH_SOAK=1")
	}
	m := newRoleMachine(t)
	rng := rand.New(rand.NewPCG(11, 2))
	until(t, "the first version", func() bool { return m.runs("1.0") })
	kills, updated, worst := 0, 0, time.Duration(0)
	for round := range rounds {
		version := strconv.Itoa(round+2) + ".0"
		id := "agent-" + version
		m.bring(id, version, "", 30)
		for range 5 {
			time.Sleep(time.Duration(rng.IntN(1500)) * time.Millisecond) // the moment is the point
			m.kill([][]string{{"node"}, {"apply"}, {"node", "apply"}}[rng.IntN(3)]...)
			kills++
		}
		began := time.Now()
		var u api.Update
		until(t, id+" to have an outcome", func() bool {
			u = m.seed.reported(t, "a", id)
			return u.State == "installed" || u.State == "rolled-back"
		})
		var p install.AgentPointer
		until(t, "both roles to run what the pointer names", func() bool {
			var err error
			p, err = install.AgentSlots(m.slots()).Read()
			return err == nil && p.Trial == nil && m.runs(p.Current.Version)
		})
		worst = max(worst, time.Since(began))
		if u.State == "installed" {
			updated++
		}
		if (u.State == "installed") != (p.Current.Version == version) {
			t.Fatalf("round %d: %s is reported as %s, %s runs", round, version, u.State, p.Current.Version)
		}
	}
	t.Logf("%d kills in %d updates: outcome reported and both roles back after %s at most; %d came about, the others were rolled back", kills, rounds, worst.Round(time.Millisecond), updated)
}
