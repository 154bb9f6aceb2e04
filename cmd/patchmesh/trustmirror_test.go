package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"patchmesh/node"
	"patchmesh/node/api"
	"patchmesh/node/control"
)

// site is a stopped seed, a machine that has joined it once, and a mirror in between.
type site struct {
	t                     *testing.T
	seed, machine, mirror string
}

func newSite(t *testing.T) *site {
	t.Helper()
	dir := t.TempDir()
	s := &site{t: t, seed: filepath.Join(dir, "seed"), machine: filepath.Join(dir, "machine"), mirror: filepath.Join(dir, "www")}
	s.must("init", "--org", "acme", "--insecure-no-passphrase", "--data", s.seed)
	addr := loopback(t)
	stop := s.start(s.seed, addr)
	token := strings.TrimSpace(s.must("invite", "--data", s.seed))
	s.must("join", token, "--peer", addr, "--data", s.machine)
	stop()
	return s
}

func loopback(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// must runs a command that succeeds and gives its output.
func (s *site) must(args ...string) string {
	s.t.Helper()
	code, out, errOut := call(args...)
	if code != 0 {
		s.t.Fatalf("%v: exit code %d: %s", args, code, errOut)
	}
	return out
}

// start runs the node of a folder until stop is called.
func (s *site) start(dir, listen string) (stop func()) {
	s.t.Helper()
	root := dir + "-root"
	if err := os.MkdirAll(root, 0o755); err != nil {
		s.t.Fatal(err)
	}
	n, err := node.Open(node.Config{DataDir: dir, Listen: listen, Root: root, Version: "test", Egress: node.EgressNo})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			s.t.Errorf("%s ended: %v", dir, err)
		}
	}
	s.t.Cleanup(stop)
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if _, err := control.Dial(dir); err == nil {
			return stop
		}
		if time.Now().After(end) {
			s.t.Fatalf("%s does not answer", dir)
		}
	}
}

// approve makes the next epoch on the stopped seed and writes the mirror.
func (s *site) approve(id string) *node.Mirrored {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), id)
	if err := os.WriteFile(file, []byte("bytes of "+id), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.must("import", file, "--id", id, "--installer", "file", "--installer-arg", "dest=/srv/"+id, "--data", s.seed)
	s.must("approve", id, "--group", "all", "--data", s.seed)
	return s.writeMirror()
}

func (s *site) writeMirror() *node.Mirrored {
	s.t.Helper()
	var m node.Mirrored
	if err := json.Unmarshal([]byte(s.must("trust", "mirror", s.mirror, "--json", "--data", s.seed)), &m); err != nil {
		s.t.Fatal(err)
	}
	return &m
}

func (s *site) serve(h http.Handler) string {
	s.t.Helper()
	web := httptest.NewServer(h)
	s.t.Cleanup(func() { web.CloseClientConnections(); web.Close() })
	return web.URL
}

func (s *site) refresh(url string) (int, api.TrustAdopted, string) {
	s.t.Helper()
	code, out, errOut := call("trust", "refresh", "--metadata-url", url, "--json", "--data", s.machine)
	var st api.TrustAdopted
	if code == 0 {
		if err := json.Unmarshal([]byte(out), &st); err != nil {
			s.t.Fatal(err)
		}
	}
	return code, st, errOut
}

// content is every byte below a folder, to see whether anything has changed.
func content(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(filepath.Join(dir, path))
		if errors.Is(err, fs.ErrNotExist) { // a running node has just put it in place of another
			return nil
		}
		out[path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func same(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if b[k] != v {
			return false
		}
	}
	return true
}

// A static web host is a whole origin of approvals: the machine never talks to the seed again, which
// is not even running.
func TestStaticWebHostCarriesApprovals(t *testing.T) {
	s := newSite(t)
	first := s.approve("one")
	url := s.serve(http.FileServer(http.Dir(s.mirror)))
	code, st, errOut := s.refresh(url)
	if code != 0 || st.Epoch != first.Epoch || st.Unchanged {
		t.Fatalf("exit code %d, %+v, want epoch %d: %s", code, st, first.Epoch, errOut)
	}
	if code, st, errOut = s.refresh(url); code != 0 || !st.Unchanged {
		t.Fatalf("again: exit code %d, %+v: %s", code, st, errOut)
	}

	// Now the node runs and is told of the next epoch by the same command.
	stop := s.start(s.machine, loopback(t))
	second := s.approve("two")
	if second.Epoch != first.Epoch+1 || second.Written == 0 || second.Written == second.Files {
		t.Fatalf("the mirror was written as %+v after %+v", second, first)
	}
	if code, st, errOut = s.refresh(url); code != 0 || st.Epoch != second.Epoch {
		t.Fatalf("running: exit code %d, %+v, want epoch %d: %s", code, st, second.Epoch, errOut)
	}
	until(t, "the running node shows the new epoch", func() bool {
		var f api.Fleet
		return json.Unmarshal([]byte(s.must("status", "--json", "--data", s.machine)), &f) == nil && f.Epoch == second.Epoch
	})
	stop()
	stop = s.start(s.machine, loopback(t)) // and it has kept it
	if code, st, errOut = s.refresh(url); code != 0 || !st.Unchanged || st.Epoch != second.Epoch {
		t.Fatalf("after a restart: exit code %d, %+v: %s", code, st, errOut)
	}
	stop()
}

func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never happens that %s", what)
		}
	}
}

// What a mirror may do wrong with each of its files.
func TestHostileMirrorIsRefusedAndChangesNothing(t *testing.T) {
	s := newSite(t)
	s.approve("one")
	old := filepath.Join(t.TempDir(), "old")
	if err := os.CopyFS(old, os.DirFS(s.mirror)); err != nil {
		t.Fatal(err)
	}
	s.start(s.seed, loopback(t))() // at another address: the next roster is a new one too
	s.approve("two")
	other := newSite(t)
	other.approve("three")
	other.approve("four")
	honest := http.FileServer(http.Dir(s.mirror))
	files := content(t, s.mirror)
	away := s.serve(honest)

	for what, c := range map[string]struct {
		code int
		do   func(w http.ResponseWriter, r *http.Request, b []byte)
	}{
		"a bit flipped": {3, func(w http.ResponseWriter, _ *http.Request, b []byte) {
			b[len(b)/2] ^= 1
			_, _ = w.Write(b)
		}},
		"cut off":     {3, func(w http.ResponseWriter, _ *http.Request, b []byte) { _, _ = w.Write(b[:len(b)/2]) }},
		"empty":       {3, func(http.ResponseWriter, *http.Request, []byte) {}},
		"a byte more": {3, func(w http.ResponseWriter, _ *http.Request, b []byte) { _, _ = w.Write(append(b, ' ')) }},
		"without end": {3, func(w http.ResponseWriter, _ *http.Request, b []byte) { endless(w, b) }},
		"broken off": {3, func(w http.ResponseWriter, _ *http.Request, b []byte) {
			w.Header().Set("Content-Length", fmt.Sprint(len(b)+9))
			_, _ = w.Write(b)
		}},
		"packed": {3, func(w http.ResponseWriter, _ *http.Request, b []byte) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(b)
		}},
		"moved to another host": {3, func(w http.ResponseWriter, r *http.Request, _ []byte) {
			http.Redirect(w, r, away+r.URL.Path, http.StatusFound)
		}},
		"missing":      {5, func(w http.ResponseWriter, r *http.Request, _ []byte) { http.NotFound(w, r) }},
		"out of order": {4, func(w http.ResponseWriter, _ *http.Request, _ []byte) { w.WriteHeader(http.StatusInternalServerError) }},
	} {
		for _, file := range append(newest(files), "2.root.json") {
			var asked atomic.Bool
			url := s.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/"+file {
					honest.ServeHTTP(w, r)
					return
				}
				asked.Store(true)
				b := files[file]
				if file == "2.root.json" { // no new root is due; what stands there is the old one
					b = files["1.root.json"]
				}
				c.do(w, r, []byte(b))
			}))
			if file == "2.root.json" && what == "missing" {
				continue // that is as it should be
			}
			s.refused(what+" "+file, url, c.code)
			if !asked.Load() {
				t.Errorf("%s was not asked for", file)
			}
		}
	}
	s.refused("another organisation's mirror", s.serve(http.FileServer(http.Dir(other.mirror))), 3)
	s.refused("nobody there", "http://"+loopback(t), 4)
	s.refused("no URL", "ftp://127.0.0.1/", 2)

	// The honest mirror still works, and then its own past is refused.
	if code, st, errOut := s.refresh(s.serve(honest)); code != 0 || st.Unchanged {
		t.Fatalf("the honest mirror: exit code %d, %+v: %s", code, st, errOut)
	}
	s.refused("rolled back", s.serve(http.FileServer(http.Dir(old))), 3)
	stop := s.start(s.machine, loopback(t))
	s.refused("rolled back, under a running node", s.serve(http.FileServer(http.Dir(old))), 3, "floor", "floor.copy") // it keeps its time there
	stop()
}

func endless(w http.ResponseWriter, b []byte) {
	w.(http.Flusher).Flush()
	for {
		if _, err := w.Write(b); err != nil {
			return
		}
		b = bytes.Repeat([]byte(" "), 64<<10)
	}
}

// newest names the files that lead to the newest manifest; roots are asked for until one is missing.
func newest(files map[string]string) (out []string) {
	last := map[string]string{}
	for name := range files {
		role := name[strings.LastIndex(strings.TrimSuffix(name, ".json"), ".")+1:]
		if strings.HasSuffix(name, ".json") && !strings.HasPrefix(name, "targets/") && (len(name) > len(last[role]) || len(name) == len(last[role]) && name > last[role]) {
			last[role] = name
		}
	}
	var head struct {
		Signed struct {
			Targets map[string]struct{ Hashes map[string]string }
		}
	}
	for _, role := range []string{"targets.json", "roster.json"} {
		if err := json.Unmarshal([]byte(files[last[role]]), &head); err != nil {
			panic(err)
		}
		for path, t := range head.Signed.Targets {
			out = append(out, "targets/"+t.Hashes["sha256"]+"."+path)
		}
		head.Signed.Targets = nil
	}
	for role, name := range last {
		if role != "root.json" {
			out = append(out, name)
		}
	}
	return out
}

// refused wants the exit code, a hint for people, and not one byte changed, but of the files named.
func (s *site) refused(what, url string, code int, but ...string) {
	s.t.Helper()
	kept := func() map[string]string {
		all := content(s.t, filepath.Join(s.machine, "trust"))
		for _, name := range but {
			delete(all, name)
			delete(all, name+".tmp") // it is just being written
		}
		return all
	}
	before := kept()
	got, st, errOut := s.refresh(url)
	if got != code {
		s.t.Errorf("%s: exit code %d, want %d: %+v %s", what, got, code, st, errOut)
	}
	if !same(before, kept()) {
		s.t.Errorf("%s: the trusted documents have changed", what)
	}
}

// A seed from a backup, or another seed, must not write over a mirror.
func TestMirrorIsNotRolledBackNorMixed(t *testing.T) {
	s := newSite(t)
	s.approve("one")
	backup := filepath.Join(t.TempDir(), "backup")
	if err := os.CopyFS(backup, os.DirFS(s.seed)); err != nil {
		t.Fatal(err)
	}
	for path := range content(t, backup) { // the copy lost who may read
		file := filepath.Join(backup, path)
		if err := errors.Join(os.Chmod(filepath.Dir(file), 0o700), os.Chmod(file, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	s.approve("two")
	before := content(t, s.mirror)
	if again := s.writeMirror(); again.Written != 0 || !same(before, content(t, s.mirror)) {
		t.Errorf("nothing is new, but %d files were written", again.Written)
	}
	other := newSite(t)
	other.approve("one")
	for what, dir := range map[string]string{"a seed from a backup": backup, "another organisation": other.seed} {
		if code, _, errOut := call("trust", "mirror", s.mirror, "--data", dir); code != 3 || !strings.Contains(errOut, "hint:") {
			t.Errorf("%s: exit code %d: %s", what, code, errOut)
		}
		if !same(before, content(t, s.mirror)) {
			t.Errorf("%s: the mirror has changed", what)
		}
	}
	if code, _, errOut := call("trust", "mirror", filepath.Join(t.TempDir(), "m"), "--data", s.machine); code == 0 {
		t.Errorf("a machine wrote a mirror: %s", errOut)
	}
	// A running seed writes the same.
	stop := s.start(s.seed, loopback(t))
	m := s.writeMirror()
	if code, st, errOut := s.refresh(s.serve(http.FileServer(http.Dir(s.mirror)))); code != 0 || st.Head != m.Head {
		t.Errorf("from a running seed: exit code %d, %+v, want head %d: %s", code, st, m.Head, errOut)
	}
	stop()
}

// The mirror is plain TUF: a client that knows nothing of patchmesh finds the manifest in it.
func TestPlainTUFClientReadsTheMirror(t *testing.T) {
	s := newSite(t)
	s.approve("one")
	url := s.serve(http.FileServer(http.Dir(s.mirror)))
	dir := t.TempDir()
	meta, targets := filepath.Join(dir, "m"), filepath.Join(dir, "t")
	if err := os.Mkdir(targets, 0o755); err != nil {
		t.Fatal(err)
	}
	s.must("trust", "init", filepath.Join(s.mirror, "1.root.json"), "--metadata-dir", meta)
	s.must("trust", "download", "--metadata-url", url, "--metadata-dir", meta, "--target-name", "manifest.json", "--target-name", "roster.json",
		"--target-base-url", url+"/targets", "--target-dir", targets)
	for _, name := range []string{"manifest.json", "roster.json"} {
		b, err := os.ReadFile(filepath.Join(targets, name))
		if err != nil || !json.Valid(b) {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
}

func TestTrustVerbsSayWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	meta := filepath.Join(dir, "m")
	root := filepath.Join(dir, "root.json")
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(root, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(large, make([]byte, maxRootFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	url := "http://127.0.0.1:1/"
	for name, c := range map[string]struct {
		code int
		args []string
	}{
		"init without a folder":        {2, []string{"init", root}},
		"init without a root":          {2, []string{"init", "--metadata-dir", meta}},
		"init with a root that is not": {3, []string{"init", root, "--metadata-dir", meta}},
		"init with a missing file":     {5, []string{"init", filepath.Join(dir, "none"), "--metadata-dir", meta}},
		"init with a huge file":        {3, []string{"init", large, "--metadata-dir", meta}},
		"init with a folder as root":   {1, []string{"init", dir, "--metadata-dir", meta}},
		"refresh without a URL":        {2, []string{"refresh", "--metadata-dir", meta}},
		"refresh without a root":       {5, []string{"refresh", "--metadata-dir", meta, "--metadata-url", url}},
		"refresh at no time":           {2, []string{"refresh", "--metadata-dir", meta, "--metadata-url", url, "--at", "noon"}},
		"own clock chosen":             {2, []string{"refresh", "--metadata-url", url, "--at", "2030-01-01T00:00:00Z", "--data", meta}},
		"own keys widened":             {2, []string{"refresh", "--metadata-url", url, "--all-key-types", "--data", meta}},
		"download of nothing":          {2, []string{"download", "--metadata-dir", meta, "--metadata-url", url}},
		"refresh of no mesh":           {2, []string{"refresh", "--metadata-url", url, "--data", filepath.Join(dir, "empty")}},
		"mirror of no mesh":            {4, []string{"mirror", meta, "--data", filepath.Join(dir, "empty")}},
	} {
		if code, out, errOut := call(append([]string{"trust"}, c.args...)...); code != c.code || out != "" || !strings.HasPrefix(errOut, "patchmesh: ") {
			t.Errorf("%s: exit code %d, want %d: %q %q", name, code, c.code, out, errOut)
		}
	}
}
