package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// R-G8, R-B2: the verbs that look at machines, as a script would call them.
func TestRG8DoctorGroupAndInventoryOnTheCommandLine(t *testing.T) {
	dir := t.TempDir()
	seed := filepath.Join(dir, "seed")
	if code, _, errOut := call("init", "--org", "acme", "--insecure-no-passphrase", "--data", seed); code != 0 {
		t.Fatal(errOut)
	}
	var d struct {
		Running, Healthy bool
		Findings         []struct{ Scope, Reason, Owner, Next_step string }
	}
	code, out, _ := call("doctor", "--json", "--data", seed)
	if err := json.Unmarshal([]byte(out), &d); err != nil || code != 1 || d.Running || d.Healthy || len(d.Findings) < 4 {
		t.Fatalf("exit code %d, %v: %s", code, err, out)
	}
	if f := d.Findings[0]; f.Scope != "service" || f.Reason != "agent-stopped" || f.Owner == "" {
		t.Errorf("%+v", f)
	}
	if code, out, errOut := call("doctor", "--time", "--disk", "--data", seed); code != 0 || strings.Contains(out, "agent-stopped") {
		t.Errorf("two scopes in which nothing is wrong: exit code %d: %s %s", code, out, errOut)
	}
	query := filepath.Join(dir, "q.json")
	if err := os.WriteFile(query, []byte(`{"package":{"system":"deb","name":"openssl","version":{"below":"3.0.15-1"}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		code int
		args []string
	}{
		"a group by query":          {0, []string{"group", "set", "old", "--query", "@" + query, "--data", seed}},
		"a group to join":           {0, []string{"group", "set", "kiosks", "--self-join", "--data", seed}},
		"a query that is none":      {2, []string{"group", "set", "x", "--query", `{"os":{}}`, "--data", seed}},
		"a query for files":         {2, []string{"group", "set", "x", "--query", `{"file":{"path":"/etc/x"}}`, "--data", seed}},
		"no query file":             {5, []string{"group", "set", "x", "--query", "@" + filepath.Join(dir, "missing"), "--data", seed}},
		"a built-in group":          {2, []string{"group", "set", "all", "--data", seed}},
		"a parent that is not":      {5, []string{"group", "set", "x", "--parent", "nowhere", "--data", seed}},
		"no such group":             {5, []string{"group", "drop", "nowhere", "--data", seed}},
		"inventory without a node":  {4, []string{"inventory", "--data", seed}},
		"a pattern that is none":    {2, []string{"inventory", "--package", "[", "--data", seed}},
		"all and one":               {2, []string{"inventory", "pc", "--all", "--data", seed}},
		"scan without a node":       {4, []string{"scan", "--data", seed}},
		"doctor of no mesh":         {2, []string{"doctor", "--data", filepath.Join(dir, "empty")}},
		"doctor for something else": {2, []string{"doctor", "--weather", "--data", seed}},
		"explain without a node":    {5, []string{"explain", "nothing", "pc", "--data", seed}},
	} {
		if code, _, errOut := call(c.args...); code != c.code {
			t.Errorf("%s: exit code %d, want %d: %s", name, code, c.code, errOut)
		}
	}
	for _, verb := range []string{"inventory", "scan", "doctor", "group", "group set", "group join"} {
		if _, out, _ := call(append(strings.Fields(verb), "--help")...); !strings.Contains(out, "Examples:") || !strings.Contains(out, "Exit codes:") {
			t.Errorf("%s --help: %s", verb, out)
		}
	}
}

// R-J6: the console is asked for by a verb like everything else, and says what is wrong where there is none.
func TestRJ6ConsoleOnTheCommandLine(t *testing.T) {
	dir := t.TempDir()
	seed := filepath.Join(dir, "seed")
	if code, _, errOut := call("init", "--org", "acme", "--insecure-no-passphrase", "--data", seed); code != 0 {
		t.Fatal(errOut)
	}
	if code, _, errOut := call("console", "--data", seed); code != 4 || !strings.Contains(errOut, "--console") {
		t.Errorf("no console: exit code %d: %s", code, errOut)
	}
	if err := os.WriteFile(filepath.Join(seed, "console.json"), []byte(`{"url":"http://127.0.0.1:1/#left"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, _ := call("console", "--data", seed); code != 4 || strings.Contains(out, "left") {
		t.Errorf("the link of a node that was killed: exit code %d: %s", code, out)
	}
	for _, addr := range []string{"0.0.0.0:7780", "10.1.2.3:7780", "localhost:7780", "7780"} {
		if code, _, errOut := call("run", "--console", addr, "--listen", "127.0.0.1:1", "--data", seed); code != 2 {
			t.Errorf("--console %s: exit code %d: %s", addr, code, errOut)
		}
	}
	if _, out, _ := call("console", "--help"); !strings.Contains(out, "Examples:") || !strings.Contains(out, "Exit codes:") {
		t.Errorf("--help: %s", out)
	}
}
