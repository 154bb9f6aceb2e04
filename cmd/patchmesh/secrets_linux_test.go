package main_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// S-SECRET: a passphrase and a token go through the real commands. They are looked for in arguments
// and environments while every process runs, in everything that was printed or logged, and in every
// file of the data folders. They may be where a person put them, nowhere else.

// watched are the secrets and where they were found.
type watched struct {
	t       *testing.T
	mu      sync.Mutex
	secrets map[string][][]byte // by name: the forms that it is looked for in
	hits    []string
	looked  int // places that were searched
	unread  int // environments that this user may not read
}

func (w *watched) watch(name, secret string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	quoted, _ := json.Marshal(secret)
	w.secrets[name] = [][]byte{
		[]byte(secret), []byte(hex.EncodeToString([]byte(secret))), []byte(base64.StdEncoding.EncodeToString([]byte(secret))),
		[]byte(base64.RawURLEncoding.EncodeToString([]byte(secret))), bytes.Trim(quoted, `"`), []byte(fmt.Sprintf("%X", secret)),
	}
}

// search books every secret in b.
func (w *watched) search(place string, b []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.looked++
	for name, forms := range w.secrets {
		for _, f := range forms {
			if bytes.Contains(b, f) {
				w.hits = append(w.hits, name+" in "+place)
				break
			}
		}
	}
}

// process looks at what others can see of a process.
func (w *watched) process(pid int) {
	for _, what := range []string{"cmdline", "environ"} {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, what))
		if err != nil {
			w.mu.Lock()
			w.unread++
			w.mu.Unlock()
			continue
		}
		w.search(fmt.Sprintf("%s of %.60q", what, b), b)
	}
}

// folder looks through every file.
func (w *watched) folder(dir string) {
	w.t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		w.search(path, b)
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// lab runs the built program.
type secretsLab struct {
	*watched
	bin, dir string
}

// run runs one command to its end and looks at it all the while; its output is searched unless the
// command is there to print the secret.
func (l *secretsLab) run(code int, prints bool, args ...string) string {
	l.t.Helper()
	var out, errOut bytes.Buffer
	c := exec.Command(l.bin, args...)
	c.Stdout, c.Stderr = &out, &errOut
	if err := c.Start(); err != nil {
		l.t.Fatal(err)
	}
	ended := make(chan struct{})
	var looking sync.WaitGroup
	looking.Add(1)
	go func() {
		defer looking.Done()
		for {
			l.process(c.Process.Pid)
			select {
			case <-ended:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	_ = c.Wait()
	close(ended)
	looking.Wait()
	if got := c.ProcessState.ExitCode(); got != code {
		l.t.Fatalf("patchmesh %v: exit code %d, want %d: %s%s", args, got, code, out.Bytes(), errOut.Bytes())
	}
	l.search("errors of "+args[0], errOut.Bytes())
	if !prints {
		l.search("output of "+args[0], out.Bytes())
	}
	return strings.TrimSpace(out.String())
}

// node starts one that logs everything, and waits until it answers.
func (l *secretsLab) node(data string, args ...string) {
	l.t.Helper()
	log, err := os.Create(filepath.Join(l.dir, filepath.Base(data)+".log"))
	if err != nil {
		l.t.Fatal(err)
	}
	c := exec.Command(l.bin, append([]string{"run", "--data", data, "--mdns=false", "--log-level", "debug", "--root", l.t.TempDir()}, args...)...)
	c.Stdout, c.Stderr = log, log
	if err := c.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		_ = c.Wait()
		_ = log.Close()
	})
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if exec.Command(l.bin, "status", "--data", data).Run() == nil {
			break
		}
		if time.Now().After(end) {
			b, _ := os.ReadFile(log.Name())
			l.t.Fatalf("the node on %s does not answer: %s", data, b)
		}
	}
	l.process(c.Process.Pid)
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", c.Process.Pid))
	if err != nil {
		l.t.Fatal(err)
	}
	for line := range strings.Lines(string(limits)) {
		if f := strings.Fields(line); strings.HasPrefix(line, "Max core file size") && (f[4] != "0" || f[5] != "0") {
			l.t.Errorf("the node may leave core files: %s", line)
		}
	}
}

func (l *secretsLab) file(name, text string) string {
	l.t.Helper()
	path := filepath.Join(l.dir, name)
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		l.t.Fatal(err)
	}
	return path
}

func (l *secretsLab) holdAndRelease(seed, passFile string) {
	l.t.Helper()
	hold := l.run(0, false, "hold", "motd", "--reason", "test", "--passphrase-file", passFile, "--data", seed, "--json")
	var h struct{ Hold string }
	if err := json.Unmarshal([]byte(hold), &h); err != nil || h.Hold == "" {
		l.t.Fatalf("%q: %v", hold, err)
	}
	l.run(0, false, "release", h.Hold, "--passphrase-file", passFile, "--data", seed)
}

func TestSecretsAreNowhereButWhereTheyBelong(t *testing.T) {
	w := &watched{t: t, secrets: map[string][][]byte{}}
	l := &secretsLab{watched: w, bin: buildProduct(t), dir: t.TempDir()}
	seed, machine := filepath.Join(l.dir, "seed"), filepath.Join(l.dir, "machine")
	const pass, wrong = `canary-pass "7f3a" </x>`, "canary-wrong-99ab"
	w.watch("passphrase", pass)
	w.watch("wrong passphrase", wrong)
	passFile, wrongFile := l.file("pass", pass), l.file("wrong", wrong)
	update := l.file("motd", strings.Repeat("hello\n", 100))

	l.run(0, false, "init", "--org", "acme", "--passphrase-file", passFile, "--data", seed, "--json")
	l.run(0, false, "import", update, "--data", seed, "--installer", "file", "--installer-arg", "dest=/etc/motd")
	long := os.Getenv("PATCHMESH_SOAK") == "1" // every use of a passphrase takes a second of processor
	if long {
		l.run(3, false, "approve", "motd", "--group", "all", "--passphrase-file", wrongFile, "--data", seed) // beside a stopped node
	}
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listen.Addr().String()
	_ = listen.Close()
	l.node(seed, "--listen", addr)
	l.run(3, false, "approve", "motd", "--group", "all", "--passphrase-file", wrongFile, "--data", seed, "--json")
	l.run(0, false, "approve", "motd", "--group", "all", "--passphrase-file", passFile, "--data", seed)
	if long {
		l.holdAndRelease(seed, passFile)
	}

	token := l.run(0, true, "invite", "--data", seed)
	w.watch("token", token)
	w.watch("end of the token", token[len(token)-40:]) // a part of it is as bad
	l.run(0, false, "join", "--token-file", l.file("token", token), "--peer", addr, "--name", "m", "--data", machine)
	l.run(3, false, "join", "--token-file", filepath.Join(l.dir, "token"), "--peer", addr, "--name", "n", "--data", filepath.Join(l.dir, "second")) // spent
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	mine := free.Addr().String()
	_ = free.Close()
	l.node(machine, "--listen", mine, "--peer", addr)
	l.run(0, false, "status", "--data", machine, "--json")
	l.run(0, false, "peers", "--data", machine)

	// The search itself works: it finds what lies where it belongs.
	before := len(w.hits)
	for _, f := range []string{passFile, wrongFile, filepath.Join(l.dir, "token")} {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		w.search(f, b)
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
	if len(w.hits) < before+3 {
		t.Fatal("the search does not find a secret where it is")
	}
	w.hits = w.hits[:before]
	w.folder(l.dir) // data folders with state.db, logs
	for _, h := range w.hits {
		t.Error(h)
	}
	t.Logf("%d places searched, %d environments closed to this user, %d hits", w.looked, w.unread, len(w.hits))
}
