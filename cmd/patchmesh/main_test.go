package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// call runs one command line in this process.
func call(args ...string) (code int, out, errOut string) {
	var o, e bytes.Buffer
	code = run(args, &o, &e)
	return code, o.String(), e.String()
}

func TestMistakesGetOneClearLineAndTheRightExitCode(t *testing.T) {
	dir := t.TempDir()
	seed := filepath.Join(dir, "seed")
	if code, _, errOut := call("init", "--org", "acme", "--insecure-no-passphrase", "--data", seed); code != 0 {
		t.Fatal(errOut)
	}
	for name, c := range map[string]struct {
		code int
		args []string
	}{
		"unknown verb":             {2, []string{"aprove"}},
		"unknown flag":             {2, []string{"approve", "x", "--gruop", "g"}},
		"no argument":              {2, []string{"approve"}},
		"no group":                 {2, []string{"approve", "x", "--data", seed}},
		"no organisation":          {2, []string{"init", "--insecure-no-passphrase", "--data", filepath.Join(dir, "n1")}},
		"no passphrase":            {2, []string{"init", "--org", "x", "--data", filepath.Join(dir, "n2")}},
		"folder in use by a mesh":  {2, []string{"init", "--org", "x", "--insecure-no-passphrase", "--data", seed}},
		"token that is none":       {2, []string{"join", "hello", "--data", filepath.Join(dir, "n3")}},
		"bad address":              {2, []string{"run", "--listen", "nowhere", "--data", seed}},
		"bad egress":               {2, []string{"run", "--egress", "maybe", "--data", seed}},
		"folder of no mesh":        {2, []string{"run", "--data", filepath.Join(dir, "empty")}},
		"hold without reason":      {2, []string{"hold", "all", "--data", seed}},
		"unknown update":           {5, []string{"approve", "nothing", "--group", "all", "--data", seed}},
		"unknown hold":             {5, []string{"release", "h-1", "--data", seed}},
		"no such file":             {5, []string{"import", filepath.Join(dir, "missing"), "--data", seed}},
		"status without a node":    {4, []string{"status", "--data", seed}},
		"machine without a node":   {4, []string{"approve", "x", "--group", "all", "--data", filepath.Join(dir, "empty")}},
		"nothing waits for a sign": {5, []string{"sign", "--data", seed}},
		"token for nobody":         {2, []string{"invite", "--uses", "0", "--data", seed}},
		"medium that is not there": {5, []string{"bundle", "export", filepath.Join(dir, "stick"), "--data", seed}},
	} {
		code, out, errOut := call(c.args...)
		if code != c.code {
			t.Errorf("%s: exit code %d, want %d: %s", name, code, c.code, errOut)
		}
		first, _, _ := strings.Cut(errOut, "\n")
		if !strings.HasPrefix(first, "patchmesh: ") || len(first) > 300 || out != "" {
			t.Errorf("%s: %q, %q", name, out, errOut)
		}
	}
}

// A seed whose node is not running can be prepared; two approvers are needed where two were asked for.
func TestSeedIsPreparedOfflineAndTwoKeysSign(t *testing.T) {
	dir := t.TempDir()
	seed, pass := filepath.Join(dir, "seed"), filepath.Join(dir, "pass")
	if err := os.WriteFile(pass, []byte("correct horse\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	body := filepath.Join(dir, "motd")
	if err := os.WriteFile(body, bytes.Repeat([]byte("hello\n"), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errOut := call("init", "--org", "acme", "--threshold", "2", "--passphrase-file", pass, "--data", seed); code != 0 {
		t.Fatal(errOut)
	}
	code, id, errOut := call("import", body, "--data", seed, "--installer", "file", "--installer-arg", "dest=/etc/motd")
	if code != 0 || strings.TrimSpace(id) != "motd" {
		t.Fatalf("import: %d %q %q", code, id, errOut)
	}
	if code, _, errOut := call("approve", "motd", "--group", "all", "--data", seed); code != 3 || !strings.Contains(errOut, "passphrase") {
		t.Fatalf("approve without passphrase: %d %q", code, errOut)
	}
	wrong := filepath.Join(dir, "wrong")
	if err := os.WriteFile(wrong, []byte("battery staple\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errOut := call("approve", "motd", "--group", "all", "--passphrase-file", wrong, "--data", seed); code != 3 {
		t.Fatalf("approve with a wrong passphrase: %d %q", code, errOut)
	}
	// One of the two approver keys is elsewhere: one signature, nothing published.
	key := filepath.Join(seed, "keys", "approver-2.key.age")
	if err := os.Rename(key, key+".elsewhere"); err != nil {
		t.Fatal(err)
	}
	pub := filepath.Join(seed, "keys", "approver-2.pub")
	if err := os.Rename(pub, pub+".elsewhere"); err != nil {
		t.Fatal(err)
	}
	published := func(args ...string) (p struct {
		Published  bool `json:"published"`
		Signatures int  `json:"signatures"`
		Threshold  int  `json:"threshold"`
	}) {
		t.Helper()
		code, out, errOut := call(append(args, "--json", "--passphrase-file", pass, "--data", seed)...)
		if err := json.Unmarshal([]byte(out), &p); code != 0 || err != nil {
			t.Fatalf("%v: %d %q %q", args, code, out, errOut)
		}
		return p
	}
	if p := published("approve", "motd", "--group", "all"); p.Published || p.Signatures != 1 || p.Threshold != 2 {
		t.Fatalf("with one of two keys: %+v", p)
	}
	for _, f := range []string{key, pub} {
		if err := os.Rename(f+".elsewhere", f); err != nil {
			t.Fatal(err)
		}
	}
	if p := published("sign"); !p.Published || p.Signatures != 2 {
		t.Fatalf("with both keys: %+v", p)
	}
}

func TestEveryVerbExplainsItselfWithAnExample(t *testing.T) {
	for _, c := range (&app{}).root().Commands() {
		if c.Example == "" || c.Long == "" || !strings.Contains(c.Long, "Exit codes") {
			t.Errorf("%s has no example or does not name its exit codes", c.Name())
		}
	}
}
