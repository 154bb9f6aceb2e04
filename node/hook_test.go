package node

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"patchmesh/node/api"
)

func TestRC15HooksTravelWithTheUpdateAndStopItOnTheMachine(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the scripts of this test are for a Unix shell")
	}
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	bring := func(id, before string) {
		t.Helper()
		_, err := m.seed.Import(context.Background(), api.ImportRequest{
			FileName: id, SizeBytes: 3, ID: id, Installer: "file", InstallerArgs: map[string]string{"dest": "/srv/" + id},
			ImportRules: api.ImportRules{Before: &api.Hook{Script: before, TimeoutSeconds: 20}},
		}, bytes.NewReader([]byte("new")))
		if err != nil {
			t.Fatal(err)
		}
		m.approve(id)
	}
	bring("good", "#!/bin/sh\necho ready > $PATCHMESH_ROOT/ready\n")
	until(t, "the update with a script that ends well", func() bool { return a.update(t, "good").State == "installed" })
	if b, err := os.ReadFile(filepath.Join(a.root, "ready")); err != nil || string(b) != "ready\n" {
		t.Errorf("the script before it left %q, %v", b, err)
	}
	bring("bad", "#!/bin/sh\necho the database is busy; exit 4\n")
	until(t, "the seed to hear of the script that failed", func() bool { return m.seed.reported(t, "a", "bad").State == "failed-install" })
	if u := m.seed.reported(t, "a", "bad"); u.Reason != "installer-exit" || !strings.Contains(u.Detail, "before the install of bad") || !strings.Contains(u.Detail, "the database is busy") {
		t.Errorf("%+v", u)
	}
	if _, err := os.Stat(filepath.Join(a.root, "srv", "bad")); err == nil {
		t.Error("it was installed all the same")
	}
	_, err := m.seed.Import(context.Background(), api.ImportRequest{
		FileName: "x", SizeBytes: 3, ID: "x", Installer: "file", InstallerArgs: map[string]string{"dest": "/srv/x"},
		ImportRules: api.ImportRules{After: &api.Hook{Script: "exit 0", TimeoutSeconds: 20}},
	}, bytes.NewReader([]byte("new")))
	if api.ClassOf(err) != api.ClassUsage {
		t.Errorf("a script that nobody could run: %v", err)
	}
}

// reported is what the seed knows of an update on a machine.
func (r *running) reported(t *testing.T, machine, update string) api.Update {
	t.Helper()
	f, err := r.Status(context.Background(), api.StatusQuery{})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range f.Machines {
		for _, u := range m.Updates {
			if m.Name == machine && u.Update == update {
				return u
			}
		}
	}
	return api.Update{}
}
