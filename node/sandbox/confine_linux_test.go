package sandbox

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets this binary be the process that is confined.
func TestMain(m *testing.M) {
	if dir := os.Getenv("PATCHMESH_PROBE"); dir != "" {
		probe(dir)
	}
	os.Exit(m.Run())
}

// probes are what somebody who has taken the process over would try. in is its own folder, out one beside
// it that belongs to the same user.
func probes(in, out string) map[string]func() error {
	all := map[string]func() error{}
	victim := filepath.Join(out, "victim")
	open := func(path string, flag int) func() error {
		return func() error {
			f, err := os.OpenFile(path, flag, 0o600)
			if err == nil {
				_ = f.Close()
			}
			return err
		}
	}
	for _, path := range []string{victim, "/etc/shadow", "/etc/ssh/sshd_config", "/root/.ssh/id_ed25519", "/etc/machine-id", "/var/lib/dpkg/status", "/bin/sh", "/var/log/dpkg.log", "/etc/fstab", "/usr/bin/dpkg"} {
		all["read "+path] = open(path, os.O_RDONLY)
		all["write "+path] = open(path, os.O_WRONLY)
	}
	for _, path := range []string{"/tmp/patchmesh-probe", "/etc/cron.d/patchmesh-probe", "/var/lib/patchmesh-probe", "/dev/shm/patchmesh-probe", filepath.Join(out, "new")} {
		all["create "+path] = open(path, os.O_CREATE|os.O_WRONLY)
	}
	for _, path := range []string{"/root", "/etc", "/home", "/var/lib", out} {
		all["list "+path] = func() error { _, err := os.ReadDir(path); return err }
	}
	all["truncate"] = func() error { return os.Truncate(victim, 0) }
	all["remove"] = func() error { return os.Remove(victim) }
	all["rename away"] = func() error { return os.Rename(victim, filepath.Join(out, "moved")) }
	all["rename into its own folder"] = func() error { return os.Rename(victim, filepath.Join(in, "moved")) }
	all["rename out of its own folder"] = func() error { return os.Rename(filepath.Join(in, "mine"), filepath.Join(out, "mine")) }
	all["link into its own folder"] = func() error { return os.Link(victim, filepath.Join(in, "link")) }
	all["make a folder"] = func() error { return os.Mkdir(filepath.Join(out, "dir"), 0o700) }
	all["make a symlink"] = func() error { return os.Symlink("/etc/shadow", filepath.Join(out, "sym")) }
	all["make a fifo"] = func() error { return syscall.Mkfifo(filepath.Join(out, "fifo"), 0o600) }
	all["make a socket"] = func() error {
		l, err := net.Listen("unix", filepath.Join(out, "sock"))
		if err == nil {
			_ = l.Close()
		}
		return err
	}
	all["read through a symlink of its own"] = func() error {
		link := filepath.Join(in, "sneak")
		_ = os.Symlink(victim, link) // this it may
		_, err := os.ReadFile(link)
		return err
	}
	all["run a program"] = func() error { return exec.Command("/bin/true").Run() }
	all["write into a process"] = open("/proc/1/mem", os.O_WRONLY)
	all["turn a kernel knob"] = open("/proc/sys/kernel/core_pattern", os.O_WRONLY)
	return all
}

// probe is the confined process: it does its own work, then tries everything else, and tells.
func probe(dir string) {
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	threads := make(chan func() error) // a thread from before: it must be confined too
	answers := make(chan error)
	go func() {
		for f := range threads {
			answers <- f()
		}
	}()
	result := map[string]string{}
	ok, err := Confine(in)
	if err != nil || !ok {
		result["confine"] = "no"
		if err != nil {
			result["confine"] = err.Error()
		}
		_ = json.NewEncoder(os.Stdout).Encode(result) // unconfined, the probes would do what they try
		os.Exit(0)
	}
	for name, try := range probes(in, out) {
		for range 2 {
			if threads <- try; <-answers == nil {
				result["allowed: "+name] = "yes"
			}
		}
	}
	if err := os.WriteFile(filepath.Join(in, "own"), []byte("x"), 0o600); err != nil {
		result["own folder"] = err.Error()
	}
	if _, err := os.ReadFile("/proc/self/status"); err != nil {
		result["proc"] = err.Error()
	}
	if _, err := time.LoadLocation("Europe/Berlin"); err != nil {
		result["zones"] = err.Error()
	}
	_ = json.NewEncoder(os.Stdout).Encode(result)
	os.Exit(0)
}

// R31: more than 40 probes from inside the confined process open nothing outside its folders, and its own
// work goes on.
func TestConfinedProcessReachesNothingElse(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"in", "out"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{"in/mine", "out/victim"} {
		if err := os.WriteFile(filepath.Join(dir, f), []byte("bytes"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), "PATCHMESH_PROBE="+dir)
	var errOut bytes.Buffer
	c.Stderr = &errOut
	b, err := c.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, errOut.String())
	}
	var result map[string]string
	if err := json.Unmarshal(b, &result); err != nil {
		t.Fatal(err)
	}
	if result["confine"] == "no" {
		t.Skip("this kernel has no Landlock")
	}
	if n := len(probes("", "")); n < 40 {
		t.Errorf("only %d probes", n)
	}
	for what, said := range result {
		t.Errorf("%s: %s", what, said)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "out", "victim")); err != nil || string(got) != "bytes" {
		t.Errorf("the file beside: %q, %v", got, err)
	}
	entries, err := os.ReadDir(filepath.Join(dir, "out"))
	if err != nil || len(entries) != 1 {
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		t.Errorf("the folder beside holds %s, %v", strings.Join(names, " "), err)
	}
}
