//go:build unix

package node

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"patchmesh/node/api"
)

// ruled imports and approves a file update with rules.
func (m *mesh) ruled(id string, rules api.ImportRules) {
	m.t.Helper()
	m.fileWith(id, rules)
	m.approve(id)
}

// TestRH6AFailedProbeIsRolledBackAndStaysSoUntilItIsApprovedAnew goes the whole way: signed descriptor,
// mesh, separate apply process, report.
func TestRH6AFailedProbeIsRolledBackAndStaysSoUntilItIsApprovedAnew(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	m.join("a")
	root := filepath.Join(m.dir, "system")
	if err := os.MkdirAll(filepath.Join(root, "srv"), 0o755); err != nil {
		t.Fatal(err)
	}
	dest := filepath.Join(root, "srv", "u1")
	if err := os.WriteFile(dest, []byte("before"), 0o644); err != nil {
		t.Fatal(err)
	}
	socket, _ := m.applyProcess("a", root)
	a := m.run("a", Config{Egress: EgressYes, ApplySocket: socket})
	m.ruled("u1", api.ImportRules{Probe: json.RawMessage(`{"file":{"path":"/healthy"}}`), ProbeSeconds: 1})
	until(t, "the update to be rolled back", func() bool { return a.update(t, "u1").State == "rolled-back" })
	if u := a.update(t, "u1"); u.Reason != "rolled-back-auto" || !strings.Contains(u.Detail, "/healthy") || u.Failures != 1 {
		t.Errorf("%+v", u)
	}
	if b, err := os.ReadFile(dest); err != nil || string(b) != "before" {
		t.Errorf("the file holds %q, %v", b, err)
	}
	if err := os.WriteFile(filepath.Join(root, "healthy"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	m.approve("u1")
	until(t, "the update to be installed once it was approved anew", func() bool { return a.update(t, "u1").State == "installed" })
}

func TestRG2AnUpdateForOtherMachinesIsNotFetched(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	m.join("a")
	root := filepath.Join(m.dir, "system")
	if err := os.MkdirAll(root, 0o755); err != nil {
		t.Fatal(err)
	}
	a := m.run("a", Config{Egress: EgressYes, Root: root})
	m.ruled("u1", api.ImportRules{Applicable: json.RawMessage(`{"package":{"system":"deb","name":"no-such-package"}}`)})
	until(t, "the machine to see that it is not for it", func() bool { return a.update(t, "u1").Compliance == "not-applicable" })
	if u := a.update(t, "u1"); u.HaveBytes != 0 || u.Reason != "compat-edition" || !strings.Contains(u.Detail, "no-such-package is not installed") {
		t.Errorf("%+v", u)
	}
	for _, bad := range []string{`{}`, `{"shell":"id"}`, `{"file":{"path":"etc"}}`} {
		_, err := m.seed.Import(context.Background(), api.ImportRequest{
			FileName: "u2", SizeBytes: 1, ID: "u2", Installer: "file", InstallerArgs: map[string]string{"dest": "/srv/u2"},
			ImportRules: api.ImportRules{Installed: json.RawMessage(bad)},
		}, strings.NewReader("x"))
		if err == nil || !strings.Contains(err.Error(), "installed rule") {
			t.Errorf("rule %s was imported: %v", bad, err)
		}
	}
}
