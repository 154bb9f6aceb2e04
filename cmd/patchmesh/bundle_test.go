package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A site that has never seen a network: enrolment, approvals and bytes all come on one stick.
func TestSiteWithoutANetworkLivesFromOneStick(t *testing.T) {
	dir := t.TempDir()
	seed, ship, stick, file := filepath.Join(dir, "seed"), filepath.Join(dir, "ship"), filepath.Join(dir, "stick"), filepath.Join(dir, "u1")
	if err := os.Mkdir(stick, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.Repeat("patch", 100_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(want int, args ...string) string {
		t.Helper()
		code, out, errOut := call(args...)
		if code != want {
			t.Fatalf("%q: exit code %d, want %d: %s%s", args, code, want, out, errOut)
		}
		return out + errOut
	}
	run(0, "init", "--org", "acme", "--insecure-no-passphrase", "--data", seed)
	token := strings.TrimSpace(run(0, "invite", "--site", "ship", "--group", "bridge", "--data", seed))
	token = strings.Fields(token)[0]
	run(0, "join", token, "--via", stick, "--name", "ship-1", "--data", ship)
	run(0, "import", file, "--id", "u1", "--installer", "file", "--installer-arg", "dest=/srv/u1", "--data", seed)
	if out := run(0, "bundle", "import", stick, "--data", seed); !strings.Contains(out, "members 1") {
		t.Errorf("the request to join beside the bundle was not answered: %s", out)
	}
	run(0, "join", token, "--via", stick, "--name", "ship-1", "--data", ship)
	run(0, "approve", "u1", "--group", "bridge", "--data", seed)
	run(5, "bundle", "import", stick, "--data", ship) // nothing was exported yet
	if out := run(0, "bundle", "plan", "--site", "ship", "--data", seed); !strings.Contains(out, "nothing is missing") {
		t.Error(out)
	}
	if out := run(0, "bundle", "export", stick, "--site", "ship", "--data", seed); !strings.Contains(out, "nothing is missing") {
		t.Error(out)
	}
	var in struct {
		Approvals string
		Complete  bool
		Chunks    int
	}
	if err := json.Unmarshal([]byte(run(0, "bundle", "import", stick, "--json", "--data", ship)), &in); err != nil || in.Approvals != "newer" || !in.Complete || in.Chunks == 0 {
		t.Errorf("%+v, %v", in, err)
	}
	if out := run(0, "bundle", "export", stick, "--data", ship); !strings.Contains(out, "return-") {
		t.Error(out)
	}
	if out := run(0, "report", "ledger", "--data", seed); !strings.Contains(out, "no receipts have come") {
		t.Error(out)
	}
	if out := run(0, "bundle", "import", stick, "--data", seed); !strings.Contains(out, "site ship") {
		t.Error(out)
	}
	if out := run(0, "report", "ledger", "--site", "ship", "--data", seed); !strings.Contains(out, "1 receipts") || !strings.Contains(out, "balanced") || !strings.Contains(out, "u1") {
		t.Error(out)
	}
	var ledger struct {
		Balanced bool
		Total    struct{ Media_bytes int64 }
	}
	if err := json.Unmarshal([]byte(run(0, "report", "ledger", "--json", "--data", seed)), &ledger); err != nil || !ledger.Balanced || ledger.Total.Media_bytes == 0 {
		t.Errorf("%+v, %v", ledger, err)
	}
	run(5, "report", "ledger", "--site", "moon", "--data", seed)
	run(4, "report", "ledger", "--data", ship)
	if out := run(0, "bundle", "plan", "--site", "ship", "--have", "last", "--data", seed); !strings.HasPrefix(out, "0 B for 1 payloads") {
		t.Error(out)
	}
	run(2, "bundle", "export", stick, "--volume-size", "5GiB", "--data", seed)
	run(2, "bundle", "export", stick, "--volume-size", "much", "--data", seed)
	run(2, "bundle", "export", "--data", seed)
	run(2, "bundle", "--data", seed)
	run(5, "bundle", "export", stick, "--site", "nowhere", "--data", seed)
	if out := run(0, "bundle", "export", stick, "--site", "ship", "--data", ship); !strings.Contains(out, "nothing is missing") {
		t.Errorf("a machine that has it all packs it for its own site: %s", out)
	}
	run(3, "bundle", "export", stick, "--site", "elsewhere", "--data", ship)
}
