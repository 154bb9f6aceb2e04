package main_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The two roles as the units start them: the node as a user without rights, the apply role as root.
// What is installed belongs to root; the node could not have written it; the apply role has no socket
// but its own.
func TestNodeWithoutRightsAndApplyRoleAsRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can start processes of other users")
	}
	u, err := user.Lookup("nobody")
	if err != nil {
		t.Skip("no user nobody here")
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	dir, err := os.MkdirTemp("", "pm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	w := &watched{t: t, secrets: map[string][][]byte{}}
	l := &secretsLab{watched: w, bin: publicCopy(t, dir, buildProduct(t)), dir: dir}
	seed, data, state := filepath.Join(dir, "seed"), filepath.Join(dir, "data"), filepath.Join(dir, "apply")
	root, sock := filepath.Join(dir, "root"), filepath.Join(dir, "apply.sock")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	l.run(0, false, "init", "--org", "acme", "--insecure-no-passphrase", "--data", seed)
	addr := freePort(t)
	l.node(seed, "--listen", addr)
	l.run(0, false, "join", l.run(0, true, "invite", "--group", "office", "--data", seed), "--data", data, "--name", "m")
	l.run(0, false, "apply", "init", "--state", state, "--data", data)
	give(t, data, uid, gid)

	applyPID := l.daemon(nil, "apply", "--state", state, "--socket", sock, "--user", u.Username, "--root", root)
	l.daemon(&syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, "run", "--data", data, "--apply-socket", sock, "--listen", freePort(t), "--peer", addr, "--mdns=false", "--egress=yes")
	for end := time.Now().Add(time.Minute); exec.Command(l.bin, "status", "--data", data).Run() != nil; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the node does not answer")
		}
	}
	file := l.file("motd", "hello")
	l.run(0, false, "import", file, "--data", seed, "--installer", "file", "--installer-arg", "dest=/etc/motd")
	l.run(0, false, "approve", "motd", "--group", "office", "--data", seed)
	for end := time.Now().Add(time.Minute); !strings.Contains(l.run(0, false, "status", "--data", data), " installed"); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not installed: %s", l.run(0, false, "status", "--data", data))
		}
	}
	fi, err := os.Stat(filepath.Join(root, "etc", "motd"))
	if err != nil || fi.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Fatalf("installed file: %v", err)
	}
	onlyLocalSockets(t, applyPID)
}

// onlyLocalSockets fails if a process holds a socket of the network.
func onlyLocalSockets(t *testing.T, pid int) {
	t.Helper()
	held := map[string]bool{}
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil || len(fds) == 0 {
		t.Fatalf("%v, %v", fds, err)
	}
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && strings.HasPrefix(to, "socket:[") {
			held[strings.Trim(to, "socket:[]")] = true
		}
	}
	if len(held) == 0 {
		t.Error("not even the local socket is held: nothing was looked at")
	}
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6", "raw", "raw6", "netlink", "packet"} {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table)) // a kind that the kernel lacks has no table
		for line := range strings.Lines(string(b)) {
			for _, f := range strings.Fields(line) {
				if held[f] {
					t.Errorf("the apply role holds a %s socket: %s", table, line)
				}
			}
		}
	}
}

// daemon starts a long-running command, as another user if cred is given; it ends with the test.
func (l *secretsLab) daemon(cred *syscall.Credential, args ...string) (pid int) {
	l.t.Helper()
	var log bytes.Buffer
	c := exec.Command(l.bin, args...)
	c.Stdout, c.Stderr, c.Dir = &log, &log, "/"
	if cred != nil {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: cred}
	}
	if err := c.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		_ = c.Wait()
		if l.t.Failed() {
			l.t.Logf("%s: %s", args[0], log.Bytes())
		}
	})
	return c.Process.Pid
}

func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// publicCopy puts the program where every user can run it.
func publicCopy(t *testing.T, dir, bin string) string {
	t.Helper()
	b, err := os.ReadFile(bin)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "patchmesh")
	if err := os.WriteFile(path, b, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func give(t *testing.T, dir string, uid, gid int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, gid)
	})
	if err != nil {
		t.Fatal(err)
	}
}
