package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"patchmesh/node/api"
	"patchmesh/node/install"
)

// testNode is a whole node in a process of its own, as 'patchmesh run' under the launcher.
func testNode() int {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	n, err := Open(Config{
		DataDir: os.Getenv("TEST_DATA"), Root: os.Getenv("TEST_ROOT"), Listen: os.Getenv("TEST_LISTEN"), Peers: []string{os.Getenv("TEST_PEER")},
		ApplySocket: os.Getenv("TEST_SOCKET"), Version: os.Getenv("TEST_VERSION"), Agent: LaunchedAs(os.Getenv), Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err == nil {
		err = n.Run(ctx)
	}
	if errors.Is(err, ErrHandover) {
		return ExitHandover
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// nodeProgram is the node as a version of its own; broken ones end before they are well.
func nodeProgram(version, env, does string) string {
	return fmt.Sprintf("#!/bin/sh\nif [ \"$1\" = launch ]; then echo '{\"patchmesh\":\"agent\",\"version\":\"%s\",\"os\":\"%s\",\"arch\":\"%s\"}'; exit 0; fi\n%s\n%s TEST_VERSION=%s PATCHMESH_TEST_PROCESS=node exec %s\n",
		version, runtime.GOOS, runtime.GOARCH, does, env, version, os.Args[0])
}

// serviceOf starts the launcher of a machine again and again, as the service manager does.
func (m *mesh) serviceOf(name, base, slots string) {
	m.t.Helper()
	log, err := os.Create(filepath.Join(m.dir, name+".log"))
	if err != nil {
		m.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer log.Close()
		for ctx.Err() == nil {
			c := exec.CommandContext(ctx, os.Args[0])
			c.Env = append(os.Environ(), "PATCHMESH_TEST_PROCESS=launcher", "TEST_SLOTS="+slots, "TEST_BASE="+base)
			c.Stdout, c.Stderr = log, log
			c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
			_ = c.Run()
		}
	}()
	m.t.Cleanup(func() {
		cancel()
		<-ended
		if m.t.Failed() {
			b, _ := os.ReadFile(log.Name())
			m.t.Logf("%s", b[max(0, len(b)-6000):])
		}
	})
}

// The whole way: a new version is imported, approved and carried as any update, the node that installs it makes
// room for it, and one that is not well is rolled back with its reason.
func TestRJ11AnAgentIsAnUpdateLikeAnyOther(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	m.join("a")
	root, listen := filepath.Join(m.dir, "a-root"), freeAddr(t)
	slots := filepath.Join(root, filepath.FromSlash(install.AgentDir))
	env := fmt.Sprintf("TEST_DATA=%s TEST_ROOT=%s TEST_LISTEN=%s TEST_PEER=%s", filepath.Join(m.dir, "a"), root, listen, m.seed.addr)
	base := filepath.Join(m.dir, "base")
	if err := os.WriteFile(base, []byte(nodeProgram("1.0", env, "")), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := PrepareSlots(slots, base, "1.0"); err != nil {
		t.Fatal(err)
	}
	m.serviceOf("a", base, slots)
	bring := func(id, version, does string) {
		t.Helper()
		body := []byte(nodeProgram(version, env, does))
		_, err := m.seed.Import(context.Background(), api.ImportRequest{
			FileName: "patchmesh", SizeBytes: int64(len(body)), ID: id, Installer: "agent", InstallerArgs: map[string]string{"prove-seconds": "60", "os": "linux"},
			ImportRules: api.ImportRules{Version: version},
		}, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		m.approve(id)
	}
	bring("agent-2", "2.0", "")
	until(t, "the new version to be reported as installed", func() bool { return m.seed.reported(t, "a", "agent-2").State == "installed" })
	p, err := install.AgentSlots(slots).Read()
	if err != nil || p.Current.Version != "2.0" || p.Trial != nil {
		t.Fatalf("%+v, %v", p, err)
	}
	bring("agent-3", "3.0", "exit 9")
	until(t, "the bad version to be rolled back", func() bool { return m.seed.reported(t, "a", "agent-3").State == "rolled-back" })
	u := m.seed.reported(t, "a", "agent-3")
	if p, err = install.AgentSlots(slots).Read(); err != nil || p.Current.Version != "2.0" || u.Reason != "rolled-back-auto" || !strings.Contains(u.Detail, "exit code 9") {
		t.Errorf("%+v; %+v, %v", u, p, err)
	}
	if u := m.seed.reported(t, "a", "agent-2"); u.Failures != 0 {
		t.Errorf("that the old version made room counts as a failure: %+v", u)
	}
}
