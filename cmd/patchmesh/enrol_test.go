package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// An offline site: the token is typed in, a stick goes there and back, an admin decides on the seed.
func TestOfflineSiteIsEnrolledByStickAndAnAdminsWord(t *testing.T) {
	dir := t.TempDir()
	seed, till, stick := filepath.Join(dir, "seed"), filepath.Join(dir, "till"), filepath.Join(dir, "stick")
	if err := os.Mkdir(stick, 0o700); err != nil {
		t.Fatal(err)
	}
	ok := func(args ...string) string {
		t.Helper()
		code, out, errOut := call(args...)
		if code != 0 {
			t.Fatalf("%q: exit code %d: %s", args, code, errOut)
		}
		return out
	}
	ok("init", "--org", "acme", "--insecure-no-passphrase", "--data", seed)
	token := strings.TrimSpace(ok("invite", "--site", "ship", "--approve-each", "--name-pattern", "till-*", "--data", seed))
	join := []string{"join", token, "--via", stick, "--name", "till-1", "--data", till, "--json"}
	var first struct{ Request, Written, Site string }
	if err := json.Unmarshal([]byte(ok(join...)), &first); err != nil || first.Written == "" || first.Site != "" || len(first.Request) != 16 {
		t.Fatalf("%+v, %v", first, err)
	}
	if out := ok("enrol", "answer", stick, "--data", seed); !strings.Contains(out, "waiting for an admin 1") {
		t.Error(out)
	}
	ok(join...) // too early: still waiting
	stdin(t, token+"\n")
	if out := ok("join", "-", "--via", stick, "--name", "till-1", "--data", till); !strings.Contains(out, first.Request) {
		t.Error("the token on standard input is another one: ", out)
	}
	if out := ok("enrol", "list", "--data", seed); !strings.Contains(out, first.Request) || !strings.Contains(out, "till-1") {
		t.Error(out)
	}
	ok("enrol", "accept", first.Request, "--data", seed)
	ok("enrol", "answer", stick, "--data", seed)
	if out := ok(join...); !strings.Contains(out, `"site": "ship"`) {
		t.Error(out)
	}
	left, err := os.ReadDir(filepath.Join(stick, "pm-enrol"))
	if err != nil || len(left) != 0 {
		t.Errorf("the stick still holds %v, %v", left, err)
	}
	if out := ok("enrol", "list", "--all", "--data", seed); !strings.Contains(out, "enrolled") {
		t.Error(out)
	}
	for name, c := range map[string]struct {
		code int
		args []string
	}{
		"a name that the token is not for": {0, []string{"join", token, "--via", stick, "--name", "server", "--data", filepath.Join(dir, "x")}},
		"no verb":                          {2, []string{"enrol", "--data", seed}},
		"no number":                        {2, []string{"enrol", "accept", "--data", seed}},
		"unknown number":                   {5, []string{"enrol", "accept", "ffff", "--data", seed}},
		"no such stick":                    {5, []string{"enrol", "answer", filepath.Join(dir, "none"), "--data", seed}},
		"a stick without requests":         {5, []string{"enrol", "answer", seed, "--data", seed}},
		"no such folder":                   {5, []string{"join", token, "--via", filepath.Join(dir, "none"), "--data", filepath.Join(dir, "y")}},
		"not on a seed":                    {4, []string{"enrol", "list", "--data", till}},
		"a pattern that is none":           {2, []string{"invite", "--name-pattern", "[", "--data", seed}},
		"rejecting a member":               {3, []string{"enrol", "reject", first.Request, "--data", seed}},
	} {
		if code, _, errOut := call(c.args...); code != c.code {
			t.Errorf("%s: exit code %d, want %d: %s", name, code, c.code, errOut)
		}
	}
	ok("enrol", "answer", stick, "--data", seed)
	code, _, errOut := call("join", token, "--via", stick, "--name", "server", "--data", filepath.Join(dir, "x"))
	if code != 3 || !strings.Contains(errOut, "--name") {
		t.Errorf("a name that the token is not for: %d: %s", code, errOut)
	}
}

// stdin gives the process another standard input until the test ends.
func stdin(t *testing.T, text string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "stdin")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	was := os.Stdin
	os.Stdin = f
	t.Cleanup(func() { os.Stdin = was; _ = f.Close() })
}

func TestEnrolmentKeysAreRotatedAndWithdrawn(t *testing.T) {
	seed := filepath.Join(t.TempDir(), "seed")
	ok := func(args ...string) string {
		t.Helper()
		code, out, errOut := call(append(args, "--data", seed)...)
		if code != 0 {
			t.Fatalf("%q: exit code %d: %s", args, code, errOut)
		}
		return out
	}
	keys := func() (ids []string) {
		t.Helper()
		var k struct{ Keys []struct{ ID string } }
		if err := json.Unmarshal([]byte(ok("enrol", "keys", "--json")), &k); err != nil {
			t.Fatal(err)
		}
		for _, e := range k.Keys {
			ids = append(ids, e.ID)
		}
		return ids
	}
	ok("init", "--org", "acme", "--insecure-no-passphrase")
	first := keys()
	if out := ok("enrol", "rotate"); len(first) != 1 || !strings.Contains(out, first[0]+"  its certificates are good until ") || !strings.Contains(out, "issues") {
		t.Fatalf("%v: %s", first, out)
	}
	if code, _, errOut := call("enrol", "withdraw", keys()[1], "--data", seed); code != 3 || !strings.Contains(errOut, "rotate --withdraw") {
		t.Errorf("the key that issues: exit code %d: %s", code, errOut)
	}
	if code, _, _ := call("enrol", "withdraw", "ffffffffffffffff", "--data", seed); code != 5 {
		t.Errorf("an unknown key: exit code %d", code)
	}
	if out := ok("enrol", "withdraw", first[0]); !strings.Contains(out, first[0]+" is withdrawn") || len(keys()) != 1 {
		t.Error(out)
	}
	second := keys()[0]
	if out := ok("enrol", "rotate", "--withdraw"); !strings.Contains(out, second+" is withdrawn") || len(keys()) != 1 || keys()[0] == second {
		t.Error(out)
	}
}

func TestLifeOfApprovalsIsStatedAndShown(t *testing.T) {
	seed := filepath.Join(t.TempDir(), "seed")
	if code, _, errOut := call("init", "--org", "acme", "--insecure-no-passphrase", "--data", seed); code != 0 {
		t.Fatal(errOut)
	}
	for _, c := range []struct {
		args []string
		code int
		says string
	}{{nil, 0, "for 7 days"}, {[]string{"30d"}, 0, "for 30 days"}, {nil, 0, "for 30 days"}, {[]string{"91"}, 2, ""}, {[]string{"soon"}, 2, ""}} {
		code, out, errOut := call(append(append([]string{"trust", "life"}, c.args...), "--data", seed)...)
		if code != c.code || !strings.Contains(out, c.says) {
			t.Errorf("%v: exit code %d: %s%s", c.args, code, out, errOut)
		}
	}
}
