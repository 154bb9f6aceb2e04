//go:build unix

package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"patchmesh/node/api"
	"patchmesh/node/apply"
	"patchmesh/node/restart"
	"patchmesh/policy"
)

// TestRC6ARestartIsOrderedByPolicyAndEndsInAScan goes the whole way: an update asks for a restart, the
// machine waits for policy, the apply process restarts it, and in the next boot it is found installed.
func TestRC6ARestartIsOrderedByPolicyAndEndsInAScan(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	m.join("a")
	root := filepath.Join(m.dir, "system")
	if err := os.MkdirAll(root, 0o755); err != nil {
		t.Fatal(err)
	}
	var restarts atomic.Int32
	socket, state := m.applyProcess("a", root, func(c *ApplyConfig) {
		c.RestartWith = restart.Run(func(context.Context, []string) error { restarts.Add(1); return nil })
	})
	a := m.run("a", Config{Egress: EgressYes, ApplySocket: socket})
	body := "#!/bin/sh\necho done > \"$PATCHMESH_ROOT/half\"\nexit 194\n"
	_, err := m.seed.Import(context.Background(), api.ImportRequest{
		FileName: "u1", SizeBytes: int64(len(body)), ID: "u1", Installer: "script",
		InstallerArgs: map[string]string{"interpreter": "/bin/sh", "exit-restart": "194"},
		ImportRules:   api.ImportRules{Installed: json.RawMessage(`{"file":{"path":"/whole"}}`)},
	}, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	m.approve("u1")
	until(t, "the update to wait for a restart", func() bool { return a.update(t, "u1").State == "restart-pending" })
	if u := a.update(t, "u1"); u.Reason != "restart-pending" || !strings.Contains(u.Detail, "leaves it to people") || u.Failures != 0 {
		t.Errorf("%+v", u)
	}
	told := func() string {
		v, err := a.Notices(context.Background(), api.NoticesQuery{})
		if err != nil || len(v.Told) == 0 {
			return ""
		}
		return v.Told[len(v.Told)-1].Kind
	}
	until(t, "people to be told that it waits", func() bool { a.turnRestart(context.Background()); return told() == policy.ToldWaits })
	if n := len(a.told()); n != 1 {
		t.Errorf("people were told %d times within moments", n)
	}
	client := apply.NewClient(socket, offers{a.Node})
	var refusal *apply.Error
	if err := client.Restart(context.Background()); !errors.As(err, &refusal) || refusal.Reason != policy.ReasonRestartPending || restarts.Load() != 0 {
		t.Fatalf("the apply role restarts without being allowed to: %v", err)
	}
	for name, value := range map[string]string{policy.SetRestart: policy.RestartAlways, policy.SetRestartSpread: "0s"} {
		if _, err := m.seed.SetSetting(context.Background(), api.SettingRequest{Setting: policy.Setting{Name: name, Group: policy.GroupAll, Value: value}}); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "the restart to be ordered", func() bool { a.turnRestart(context.Background()); return restarts.Load() > 0 })
	a.turnRestart(context.Background())
	until(t, "people to be told", func() bool { return strings.Contains(a.update(t, "u1").Detail, "people were warned") })
	until(t, "people to be told that it comes", func() bool { a.turnRestart(context.Background()); return told() == policy.ToldComes })
	if n := restarts.Load(); n != 1 {
		t.Errorf("it was restarted %d times", n)
	}

	// The next boot: what was half done is complete, and the note is of another boot.
	if err := os.WriteFile(filepath.Join(root, "whole"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	note := filepath.Join(keptDir(state), "restart.json")
	if err := os.WriteFile(note, []byte(`[{"update":"u1","at":"2026-01-01T00:00:00Z","boot":"an earlier one"}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	a.stop()
	a = m.run("a", Config{Egress: EgressYes, ApplySocket: socket})
	until(t, "the update to be found after the restart", func() bool { return a.update(t, "u1").State == "installed" })
}
