package node

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/console"
)

// R-J6, J9: a seed shows its fleet on loopback, as status tells it, while it runs and to whoever has its link; no other
// machine has one, and no address of a network is taken.
func TestRJ6ASeedShowsItsFleetOnLoopbackAlone(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	m.join("a")
	m.seed.stop()
	at := freeAddr(t)
	m.seed = m.run("seed", Config{Console: at})
	l, err := ConsoleLink(m.seed.cfg.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	base, token, _ := strings.Cut(l.URL, "#")
	r, err := http.NewRequest("GET", base+"status", nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		t.Fatalf("without the token: %+v, %v", resp, err)
	}
	resp.Body.Close()
	r.Header.Set("Authorization", "Bearer "+token)
	if resp, err = client.Do(r); err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var got api.Fleet
	want, werr := m.seed.Status(context.Background(), api.StatusQuery{})
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || werr != nil || len(got.Machines) != len(want.Machines) || got.Org != "acme" || got.Epoch != want.Epoch {
		t.Errorf("%+v, want %+v: %v, %v", got, want, err, werr)
	}
	m.seed.stop()
	if _, err := ConsoleLink(m.seed.cfg.DataDir); api.ClassOf(err) != api.ClassUnreachable {
		t.Errorf("once it has stopped: %v", err)
	}
	if _, err := client.Do(r); err == nil {
		t.Error("it still answers")
	}
	for _, addr := range []string{"0.0.0.0:7780", "192.0.2.1:7780", "localhost:7780"} {
		if _, err := Open(Config{DataDir: m.seed.cfg.DataDir, Listen: freeAddr(t), Console: addr}); api.ClassOf(err) != api.ClassUsage {
			t.Errorf("%s: %v", addr, err)
		}
	}
	dir := filepath.Join(m.dir, "a")
	n, err := Open(Config{DataDir: dir, Listen: freeAddr(t), Console: freeAddr(t), Root: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Run(context.Background()); api.ClassOf(err) != api.ClassUsage {
		t.Errorf("on an ordinary machine: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, console.FileName)); err == nil {
		t.Error("it has a link")
	}
}

// S-LOCAL: the file of the link lies in the folder of the node's user, and root prints it: what is no link of a console on
// this computer is neither printed nor opened.
func TestRJ6AFileThatIsNoLinkIsNotPrinted(t *testing.T) {
	for name, url := range map[string]string{
		"terminal sequences": "http://127.0.0.1:7780/#\u001b]0;evil\u0007", "another computer": "http://192.0.2.1:7780/#token", "another scheme": "https://127.0.0.1:7780/#token", "nothing": "",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, console.FileName), []byte(`{"url":"`+url+`"}`), 0o600); err != nil {
			t.Fatal(err)
		}
		if l, err := ConsoleLink(dir); err == nil {
			t.Errorf("%s: %q", name, l.URL)
		}
	}
}

// The port that the system chose is what the log and 'patchmesh console' name.
func TestConsoleOnPortZeroNamesThePortThatItGot(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	m.seed.stop()
	var log bytes.Buffer
	m.seed = m.run("seed", Config{Console: "127.0.0.1:0", Log: slog.New(slog.NewTextHandler(&lockedWriter{w: &log}, nil))})
	l, err := ConsoleLink(m.seed.cfg.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	at, _, _ := strings.Cut(strings.TrimPrefix(l.URL, "http://"), "/")
	if c, err := net.Dial("tcp", at); err != nil {
		t.Errorf("%s: %v", l.URL, err)
	} else {
		_ = c.Close()
	}
	m.seed.stop()
	if !strings.Contains(log.String(), "address="+at) || strings.HasSuffix(at, ":0") {
		t.Errorf("%s is not what the log says:\n%s", at, log.String())
	}
}

// lockedWriter is for a log that several goroutines write.
type lockedWriter struct {
	mu sync.Mutex
	w  *bytes.Buffer
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}
