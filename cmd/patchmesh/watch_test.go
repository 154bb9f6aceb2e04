package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"patchmesh/node/api"
)

// ending is a writer whose reader leaves after so many writes.
type ending struct {
	bytes.Buffer
	left int
	stop context.CancelFunc
}

func (e *ending) Write(b []byte) (int, error) {
	if e.left--; e.left == 0 {
		e.stop()
	}
	if e.left < 0 {
		return 0, errors.New("the reader has gone")
	}
	return e.Buffer.Write(b)
}

// runNode runs a seed in this process until the test ends.
func runNode(t *testing.T) (data string) {
	t.Helper()
	data = filepath.Join(t.TempDir(), "seed")
	if code, _, errOut := call("init", "--org", "acme", "--insecure-no-passphrase", "--data", data); code != 0 {
		t.Fatal(errOut)
	}
	addr, err := freeAddr()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		a := &app{out: &bytes.Buffer{}, errOut: &bytes.Buffer{}}
		root := a.root()
		root.SetArgs([]string{"run", "--data", data, "--listen", addr, "--mdns=false", "--store-quota", "5GiB", "--store-reserve", "none"})
		ended <- root.ExecuteContext(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the node ended: %v", err)
		}
	})
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if code, _, errOut := call("peers", "--data", data); code == 0 {
			return data
		} else if time.Now().After(end) {
			t.Fatalf("the node does not answer: %s", errOut)
		}
	}
}

func TestWatchPrintsOneDocumentALineAndEndsWithoutComplaint(t *testing.T) {
	data := runNode(t)
	for _, c := range []struct {
		name   string
		writes int
		json   bool
	}{{"Ctrl-C", 3, true}, {"for people", 2, false}} {
		ctx, stop := context.WithCancel(context.Background())
		out := &ending{left: c.writes, stop: stop}
		a := &app{out: out, errOut: &bytes.Buffer{}}
		root := a.root()
		args := []string{"status", "--watch", "--interval", "100ms", "--data", data}
		if c.json {
			args = append(args, "--json")
		}
		root.SetArgs(args)
		if err := root.ExecuteContext(ctx); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if !c.json {
			if n := strings.Count(out.String(), "acme, epoch"); n != 2 || strings.Contains(out.String(), "\x1b") {
				t.Errorf("%s: %d pictures, or terminal codes in a pipe: %q", c.name, n, out.String())
			}
			continue
		}
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) != 3 {
			t.Fatalf("%d lines: %q", len(lines), out.String())
		}
		for _, l := range lines {
			var f api.Fleet
			if err := json.Unmarshal([]byte(l), &f); err != nil || f.Org != "acme" {
				t.Errorf("line %q: %v", l, err)
			}
		}
	}
	var screen bytes.Buffer
	if err := (&app{out: &screen}).frame(&api.Fleet{Org: "acme"}, true); err != nil || !strings.HasPrefix(screen.String(), clearScreen+"acme, epoch") {
		t.Errorf("on a terminal: %q, %v", screen.String(), err)
	}
	// A reader that has gone (as head does) is no failure either.
	gone := &app{out: &ending{left: 0, stop: func() {}}, errOut: &bytes.Buffer{}, data: data, json: true}
	if err := gone.watch(context.Background(), 100*time.Millisecond, api.StatusQuery{}); err != nil {
		t.Errorf("a reader that has gone: %v", err)
	}
}

// The verbs of this machine's store and books: what they print, and what they say to mistakes.
func TestStoreAndBookVerbs(t *testing.T) {
	data := runNode(t)
	body := filepath.Join(t.TempDir(), "motd")
	writeFile(t, body, strings.Repeat("hello\n", 10000))
	if code, _, errOut := call("import", body, "--data", data, "--installer", "file", "--installer-arg", "dest=/etc/motd"); code != 0 {
		t.Fatal(errOut)
	}
	var s api.Store
	code, out, errOut := call("store", "list", "--json", "--data", data)
	if err := json.Unmarshal([]byte(out), &s); code != 0 || err != nil || len(s.Payloads) != 1 || s.Payloads[0].Update != "motd" || s.QuotaBytes != 5<<30 || s.ReserveBytes != 0 {
		t.Fatalf("store list: %d %q %q", code, out, errOut)
	}
	for name, c := range map[string]struct {
		code int
		want string
		args []string
	}{
		"list for people":      {0, "motd", []string{"store"}},
		"pin":                  {0, "motd is pinned", []string{"store", "pin", "motd"}},
		"unpin":                {0, "motd is no longer pinned", []string{"store", "unpin", "motd"}},
		"verify":               {0, "1 payloads", []string{"store", "verify"}},
		"verify as JSON":       {0, `"damaged": []`, []string{"store", "verify", "--json"}},
		"unknown pin":          {5, "", []string{"store", "pin", "nothing"}},
		"unknown drop":         {5, "", []string{"store", "drop", "nothing"}},
		"drop of a seed":       {3, "", []string{"store", "drop", "motd"}},
		"pin of nothing":       {2, "", []string{"store", "pin"}},
		"a verb that is none":  {2, "", []string{"store", "burn"}},
		"unknown update":       {5, "", []string{"provenance", "nothing", "seed"}},
		"unknown machine":      {5, "", []string{"provenance", "motd", "nobody"}},
		"one name too few":     {2, "", []string{"provenance", "motd"}},
		"bytes":                {0, "bytes by site", []string{"report", "bytes"}},
		"bytes of a period":    {0, "bytes by day", []string{"report", "bytes", "--period", "month", "--by", "day"}},
		"bytes since":          {0, `"since": "2026-01-01"`, []string{"report", "bytes", "--since", "2026-01-01", "--json"}},
		"bytes as a table":     {0, "site,name,wan_bytes,saved_bytes,", []string{"report", "bytes", "--csv"}},
		"the fleet as a table": {0, "machine,id,site,groups,online,", []string{"status", "--csv"}},
		"many tables":          {2, "", []string{"status", "--csv", "--watch"}},
		"bytes by nonsense":    {2, "", []string{"report", "bytes", "--by", "weather"}},
		"no such period":       {2, "", []string{"report", "bytes", "--period", "age"}},
		"no day":               {2, "", []string{"report", "bytes", "--since", "yesterday"}},
		"both":                 {2, "", []string{"report", "bytes", "--since", "7d", "--period", "day"}},
		"a period backwards":   {2, "", []string{"report", "bytes", "--since", "2026-02-01", "--until", "2026-01-01"}},
		"peers":                {0, "site hq", []string{"peers"}},
		"a hurried watch":      {2, "", []string{"status", "--watch", "--interval", "1ms"}},
		"a quota of lots":      {2, "", []string{"run", "--store-quota", "lots"}},
		"a reserve of the lot": {2, "", []string{"run", "--store-reserve", "100%"}},
	} {
		code, out, errOut := call(append(c.args, "--data", data)...)
		if code != c.code || !strings.Contains(out, c.want) {
			t.Errorf("%s: exit code %d, want %d: %q, %q", name, code, c.code, out, errOut)
		}
		if c.code != 0 && (!strings.HasPrefix(errOut, "patchmesh: ") || out != "") {
			t.Errorf("%s: %q, %q", name, out, errOut)
		}
	}
	flipOneBit(t, filepath.Join(data, "payloads", s.Payloads[0].Payload))
	code, out, errOut = call("store", "verify", "--json", "--data", data)
	var v api.StoreVerified
	if err := json.Unmarshal([]byte(out), &v); code != 3 || err != nil || len(v.Damaged) != 1 || v.Damaged[0].Update != "motd" || !strings.Contains(errOut, "damaged") {
		t.Errorf("verify of a flipped bit: exit code %d, %q, %q", code, out, errOut)
	}
	empty := t.TempDir()
	for _, args := range [][]string{{"store", "list"}, {"store", "verify"}, {"provenance", "a", "b"}, {"report", "bytes"}, {"status", "--watch"}} {
		if code, _, errOut := call(append(args, "--data", empty)...); code != 4 {
			t.Errorf("%v without a node: exit code %d, %q", args, code, errOut)
		}
	}
}

// Every verb of every depth explains itself.
func TestNewVerbsHaveExamples(t *testing.T) {
	for _, c := range (&app{}).root().Commands() {
		if c.Name() != "store" && c.Name() != "report" {
			continue
		}
		for _, k := range c.Commands() {
			if k.Example == "" || !strings.Contains(k.Long, "Exit codes") {
				t.Errorf("%s has no example or does not name its exit codes", k.CommandPath())
			}
		}
	}
}

func TestPeriodsBeginWhereACalendarSaysSo(t *testing.T) {
	now := time.Date(2026, 11, 25, 13, 0, 0, 0, time.UTC) // a Wednesday
	for _, c := range [][2]string{{"day", "2026-11-25"}, {"week", "2026-11-23"}, {"month", "2026-11-01"}, {"year", "2026-01-01"}} {
		var q api.BytesQuery
		if err := readPeriod(&q, "", "", c[0], now); err != nil || q.Since.Format(time.DateOnly) != c[1] {
			t.Errorf("%s begins %v, %v", c[0], q.Since, err)
		}
	}
	for day := range 14 { // a week begins on Monday, whatever day it is
		at := now.AddDate(0, 0, day)
		var q api.BytesQuery
		if err := readPeriod(&q, "", "", "week", at); err != nil || q.Since.Weekday() != time.Monday || at.Sub(q.Since) >= 7*24*time.Hour || q.Since.After(at) {
			t.Errorf("the week of %v begins %v, %v", at, q.Since, err)
		}
	}
}

func flipOneBit(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
