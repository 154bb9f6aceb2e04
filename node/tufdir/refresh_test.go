package tufdir

import (
	"encoding/json"
	"testing"

	"patchmesh/policy"
	"patchmesh/policy/tuftest"
)

// refresh is a whole run of the client workflow on a folder.
func refresh(m *machine, r *tuftest.Repo) error {
	c := client(m)
	root, mark, err := c.Begin()
	if err != nil {
		return err
	}
	tuf := policy.NewTUFClient(root, mark, tuftest.Start, policy.TUFOptions{})
	run := func() error {
		for s, more := tuf.Next(); more; s, more = tuf.Next() {
			var b []byte
			var err error
			switch s.Kind {
			case policy.TUFLoad:
				b, err = c.Load(s.Role)
			case policy.TUFFetch:
				b = r.Metadata(s.File)
			case policy.TUFForget:
				err = c.Forget()
			case policy.TUFSave:
				if s.Role == "root" {
					err = c.SaveRoot(s.Body, s.Mark)
				} else {
					err = c.Save(s.Role, s.Body)
				}
			}
			if err != nil {
				return err
			}
			tuf.Supply(b)
		}
		return tuf.Err()
	}
	if err := run(); err != nil {
		return err
	}
	tuf.Find("file")
	if err := run(); err != nil {
		return err
	}
	_, err = tuf.Target()
	return err
}

func versionOf(t *testing.T, m *machine, role string) int {
	t.Helper()
	b := load(t, m, role)
	if b == "" {
		return 0
	}
	var d struct{ Signed struct{ Version int } }
	if err := json.Unmarshal([]byte(b), &d); err != nil {
		t.Fatalf("%s: %v", role, err)
	}
	return d.Signed.Version
}

// A repository that was fast-forwarded and has recovered: the machine follows two roots, forgets, and
// takes everything anew. Wherever the power goes, the next run ends where an undisturbed one does, and
// nothing that still counts has gone back.
func TestPowerCutAtEveryStepOfARefresh(t *testing.T) {
	r := tuftest.NewRepo()
	r.Delegate("targets", "Role", tuftest.Object{"paths": []string{"*"}})
	r.AddTarget("Role", "file", []byte("bytes"))
	for range 8 {
		r.Publish("snapshot")
	}
	r.Publish("Role", "targets", "snapshot", "timestamp")
	start := newMachine()
	if err := client(start).Init(r.Version("root", 1)); err != nil {
		t.Fatal(err)
	}
	if err := refresh(start, r); err != nil {
		t.Fatal(err)
	}
	if versionOf(t, start, "snapshot") != 10 {
		t.Fatalf("snapshot %d", versionOf(t, start, "snapshot"))
	}
	r.RotateKeys("snapshot")
	r.Publish("root")
	r.Publish("root")
	r.Unpublish("snapshot")
	r.Signed["snapshot"]["version"] = 1
	r.Publish("Role", "targets", "snapshot", "timestamp")

	work := func(m *machine) error { return refresh(m, r) }
	steps := 0
	everyCut(t, start, work, func(t *testing.T, m *machine, done bool) {
		steps++
		root, snapshot := versionOf(t, m, "root"), versionOf(t, m, "snapshot")
		if root == 1 && snapshot != 10 {
			t.Errorf("root 1 beside snapshot %d: the floor is gone", snapshot)
		}
		if done && (root != 3 || snapshot != 1) {
			t.Errorf("done with root %d, snapshot %d", root, snapshot)
		}
		if err := work(m); err != nil {
			t.Fatalf("the next run: %v", err)
		}
		after := m.restart()
		for role, want := range map[string]int{"root": 3, "timestamp": 3, "snapshot": 1, "targets": 3, "Role": 2} {
			if got := versionOf(t, after, role); got != want {
				t.Errorf("after the next run %s is version %d, want %d", role, got, want)
			}
		}
		if _, mark := begin(t, after); mark != 0 {
			t.Errorf("the mark %d is left", mark)
		}
	})
	t.Logf("%d cuts", steps)
}
