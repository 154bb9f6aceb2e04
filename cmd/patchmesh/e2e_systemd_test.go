//go:build linux

package main_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// What the hardened units may be exposed to at most, as systemd-analyze counts it.
const (
	netExposure   = 1.5
	applyExposure = 4.5
)

// serviceManager is a Debian system with systemd as its first process, in namespaces of its own: mounts,
// processes, cgroups, and a network of nothing but loopback.
type serviceManager struct {
	t    *testing.T
	pid  int // of its first process, seen from here
	root string
}

// underSystemd: a machine is enrolled and 'service install' does the rest. The two roles run as units, apart
// and hardened, install a real package, come back when they are killed, and go without a trace but the data.
func underSystemd(t *testing.T, bin string) {
	s := bootSystemd(t, bin)
	s.write("root/pass", "correct horse battery staple\n")
	s.run("patchmesh", "init", "--org", "Example", "--data", "/root/seed", "--passphrase-file", "/root/pass")
	s.run("systemd-run", "--unit=seed", "patchmesh", "run", "--data", "/root/seed", "--listen", "127.0.0.1:7800", "--mdns=false")
	s.eventually("the seed runs", func() bool { return s.try("patchmesh", "status", "--data", "/root/seed") == nil })
	var invited struct {
		Token string `json:"token"`
	}
	s.json(&invited, "invite", "--data", "/root/seed", "--site", "berlin", "--group", "office")
	s.run("patchmesh", "join", invited.Token, "--name", "till-3")
	install := []string{"patchmesh", "service", "install", "--peer", "127.0.0.1:7800"}
	s.run(install...)

	s.publish("first")
	s.expectInstalled("first")
	s.expectApart()
	net, apply := s.mainPID("patchmesh"), s.mainPID("patchmesh-apply")
	if out := s.run(install...); strings.Contains(out, "restart") || s.mainPID("patchmesh") != net || s.mainPID("patchmesh-apply") != apply {
		t.Errorf("installed once more the same, it was restarted:\n%s", out)
	}
	s.run("systemctl", "kill", "--signal=KILL", "patchmesh", "patchmesh-apply")
	s.publish("second")
	s.expectInstalled("second")
	if s.mainPID("patchmesh") == net || s.mainPID("patchmesh-apply") == apply {
		t.Error("the units were not killed")
	}
	s.run("patchmesh", "service", "remove")
	if err := s.try("systemctl", "cat", "patchmesh", "patchmesh-apply"); err == nil {
		t.Error("the units are still there")
	}
	if _, err := os.Stat(filepath.Join(s.root, "var/lib/patchmesh/keys/node.key")); err != nil {
		t.Errorf("the machine's identity went with the units: %v", err)
	}
}

// publish approves a package with a script that needs the rights of root.
func (s *serviceManager) publish(name string) {
	tree := filepath.Join(s.t.TempDir(), name)
	writeControl(s.t, tree, "Package: "+name+"\nVersion: 1.0\nArchitecture: all\nMaintainer: Example <it@example.org>\nDescription: one\n")
	if err := os.WriteFile(filepath.Join(tree, "DEBIAN", "postinst"), []byte("#!/bin/sh\nset -e\nuseradd -r "+name+"d\n"), 0o755); err != nil {
		s.t.Fatal(err)
	}
	buildDeb(s.t, tree, filepath.Join(s.root, "root", name+".deb"))
	s.run("patchmesh", "import", "/root/"+name+".deb", "--data", "/root/seed")
	s.run("patchmesh", "approve", name+"-1.0", "--group", "office", "--data", "/root/seed", "--passphrase-file", "/root/pass")
}

// expectInstalled waits until the seed tells of it, and asks dpkg and the user data base.
func (s *serviceManager) expectInstalled(name string) {
	s.t.Helper()
	s.eventually(name+" is installed", func() bool {
		out, err := s.command("patchmesh", "status", "--data", "/root/seed", "--update", name+"-1.0", "--json").Output()
		return err == nil && strings.Contains(string(out), `"installed"`)
	})
	if got := s.run("dpkg-query", "-W", "-f", "${Version} ${db:Status-Status}", name); got != "1.0 installed" {
		s.t.Errorf("dpkg says of %s: %q", name, got)
	}
	s.run("getent", "passwd", name+"d")
}

// expectApart wants the role that speaks to the network to be nobody of importance, and both units to be as
// closed as they promise.
func (s *serviceManager) expectApart() {
	t := s.t
	t.Helper()
	status := s.run("cat", "/proc/"+s.mainPID("patchmesh")+"/status")
	for _, want := range []string{`(?m)^Uid:\t[1-9]\d*\t`, `(?m)^CapEff:\t0+$`, `(?m)^NoNewPrivs:\t1$`, `(?m)^Seccomp:\t2$`} {
		if !regexp.MustCompile(want).MatchString(status) {
			t.Errorf("the network role's status lacks %s:\n%s", want, status)
		}
	}
	for unit, most := range map[string]float64{"patchmesh": netExposure, "patchmesh-apply": applyExposure} {
		m := regexp.MustCompile(`exposure level for \S+: ([0-9.]+)`).FindStringSubmatch(s.run("systemd-analyze", "security", "--no-pager", unit))
		if m == nil {
			t.Errorf("%s: no exposure was told", unit)
			continue
		}
		exposure, err := strconv.ParseFloat(m[1], 64)
		if err != nil || exposure > most {
			t.Errorf("%s is exposed to %s, at most %.1f is promised", unit, m[1], most)
		}
		t.Logf("exposure of %s: %s", unit, m[1])
	}
}

func (s *serviceManager) mainPID(unit string) string {
	s.t.Helper()
	return strings.TrimSpace(s.run("systemctl", "show", "-p", "MainPID", "--value", unit))
}

// command is a program inside.
func (s *serviceManager) command(args ...string) *exec.Cmd {
	return exec.Command("nsenter", append([]string{"-t", strconv.Itoa(s.pid), "-m", "-u", "-i", "-p", "-n", "-C", "-r", "-w", "--"}, args...)...)
}

func (s *serviceManager) try(args ...string) error { return s.command(args...).Run() }

func (s *serviceManager) run(args ...string) string {
	s.t.Helper()
	out, err := s.command(args...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (s *serviceManager) json(into any, args ...string) {
	s.t.Helper()
	out, err := s.command(append(append([]string{"patchmesh"}, args...), "--json")...).Output()
	if err == nil {
		err = json.Unmarshal(out, into)
	}
	if err != nil {
		s.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func (s *serviceManager) write(path, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.root, path), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *serviceManager) eventually(what string, done func() bool) {
	s.t.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(pollStatus) {
		if time.Now().After(end) {
			out, _ := s.command("journalctl", "--no-pager", "-n", "60").CombinedOutput()
			s.t.Fatalf("not within %s: %s\n%s", patience, what, out)
		}
	}
}

// firstProcess turns a fresh set of namespaces into a machine and hands it to systemd.
const firstProcess = `set -e
cd "$1"
mount --make-rprivate /
mount --bind . .
cd "$1"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
for n in null zero full random urandom tty; do touch dev/$n; mount --bind /dev/$n dev/$n; done
mkdir dev/pts dev/shm before
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mount -t tmpfs tmpfs dev/shm
ip link set lo up
pivot_root . before
exec chroot . /bin/sh -c 'umount -l /before; rmdir /before; export container=other; exec /lib/systemd/systemd --system'
`

// bootSystemd makes the system and waits until it has started. It ends with the test.
func bootSystemd(t *testing.T, bin string) *serviceManager {
	t.Helper()
	for _, name := range []string{"debootstrap", "unshare", "nsenter", "pivot_root", "dpkg-deb"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not installed here", name)
		}
	}
	s := &serviceManager{t: t, root: filepath.Join(t.TempDir(), "system")}
	if out, err := exec.Command("debootstrap", "--variant=minbase", "--include=systemd,dbus", debianRelease(), s.root).CombinedOutput(); err != nil {
		t.Skipf("no Debian system with systemd can be made here: %v: %.300s", err, out)
	}
	tool(t, "install", "-m", "755", bin, filepath.Join(s.root, "usr/local/bin/patchmesh"))
	tool(t, "chroot", s.root, "systemctl", "set-default", "multi-user.target")
	tool(t, "chroot", s.root, "systemctl", "mask", "getty.target", "console-getty.service", "apt-daily.timer", "apt-daily-upgrade.timer", "systemd-timesyncd.service")
	cmd := exec.Command("unshare", "--mount", "--uts", "--ipc", "--pid", "--net", "--cgroup", "--fork", "--kill-child", "sh", "-c", firstProcess, "sh", s.root)
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Skipf("no namespaces can be made here: %v", err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	for end := time.Now().Add(time.Minute); ; time.Sleep(pollStatus) {
		child, _ := os.ReadFile("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/task/" + strconv.Itoa(cmd.Process.Pid) + "/children")
		s.pid, _ = strconv.Atoi(strings.TrimSpace(string(child)))
		if s.pid > 0 && s.try("systemctl", "is-active", "-q", "multi-user.target") == nil {
			return s
		}
		select {
		case <-ended:
			t.Skipf("systemd does not start here: %s", said.String())
		default:
		}
		if time.Now().After(end) {
			t.Skipf("systemd did not start here within a minute: %s", said.String())
		}
	}
}
