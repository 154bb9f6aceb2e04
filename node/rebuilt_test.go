package node

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/apply"
	"patchmesh/node/install"
	"patchmesh/node/state"
	"patchmesh/policy"
)

// trustFile names files of a machine's trust folder.
func (m *mesh) trustFiles(name, glob string) []string {
	m.t.Helper()
	files, err := filepath.Glob(filepath.Join(m.dir, name, "trust", glob))
	if err != nil || len(files) == 0 {
		m.t.Fatalf("no %s in the trust folder of %s: %v", glob, name, err)
	}
	return files
}

// damage flips a bit in the middle of files, or removes them.
func (m *mesh) damage(name, glob string, remove bool) {
	m.t.Helper()
	for _, path := range m.trustFiles(name, glob) {
		if remove {
			if err := os.RemoveAll(path); err != nil {
				m.t.Fatal(err)
			}
			continue
		}
		b, err := os.ReadFile(path)
		if err != nil {
			m.t.Fatal(err)
		}
		b[len(b)/2] ^= 1
		if err := os.WriteFile(path, b, 0o600); err != nil {
			m.t.Fatal(err)
		}
	}
}

func (r *running) reason(t *testing.T) string {
	t.Helper()
	f, err := r.Status(context.Background(), api.StatusQuery{})
	if err != nil {
		t.Fatal(err)
	}
	return f.Reason
}

// Whatever of the trust folder is damaged or gone, the machine starts, says so, installs nothing on
// what it remembers, and is whole again once the mesh has shown it a head: without an admin.
func TestDamagedTrustComesBackByItself(t *testing.T) {
	cases := []struct {
		name, glob string
		remove     bool
	}{
		{"floors gone", "floor*", true},
		{"everything gone", "*", true},
		{"floors damaged", "floor*", false},
		{"documents damaged", "v*/manifest.json", false},
		{"documents gone", "v*", true},
		{"pointers damaged", "current*", false},
	}
	if os.Getenv("PATCHMESH_SOAK") != "1" {
		cases = cases[:2] // what Recall makes of the others, its own tests say
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // they mostly wait for each other
			m := newMesh(t)
			a := m.machine("a", "", Config{Egress: EgressYes})
			m.file("u1", payload(300_000))
			m.approve("u1")
			until(t, "the update to be installed", func() bool { return a.update(t, "u1").State == "installed" })
			epoch := a.believer.current().Epoch()
			descriptor := a.believer.current().Manifest().Approvals[0].Descriptor
			a.stop()
			seedAddr := m.seed.addr
			m.seed.stop()
			if err := os.Remove(filepath.Join(a.root, "srv", "u1")); err != nil {
				t.Fatal(err)
			}
			m.damage("a", c.glob, c.remove)

			a = m.run("a", Config{Egress: EgressYes, Peers: []string{seedAddr}})
			if got := a.reason(t); got != string(policy.ReasonTrustFloorRebuilt) {
				t.Fatalf("reason %q", got)
			}
			var refusal *install.Error
			if _, err := a.orders.Do(context.Background(), descriptor, apply.Install); !errors.As(err, &refusal) || refusal.Reason != string(policy.ReasonTrustFloorRebuilt) {
				t.Fatalf("the apply role says %v", err)
			}
			if _, err := a.Explain(context.Background(), "u1", ""); err != nil && api.ClassOf(err) != api.ClassNotFound {
				t.Fatalf("explain: %v", err)
			}

			m.seed = m.run("seed", Config{Listen: seedAddr})
			until(t, "trust to be whole again", func() bool { return a.reason(t) == "" })
			until(t, "the update to be installed again", func() bool { return a.update(t, "u1").State == "installed" })
			if got := a.believer.current().Epoch(); got != epoch {
				t.Fatalf("epoch %d, was %d", got, epoch)
			}
			m.trustFiles("a", "floor")
			m.trustFiles("a", "floor.copy")
			a.stop()
			a = m.run("a", Config{Egress: EgressYes, Peers: []string{seedAddr}})
			if got := a.reason(t); got != "" {
				t.Fatalf("after another start: %s", got)
			}
		})
	}
}

// One of the two copies is enough, and is made two again.
func TestOneCopyOfTheFloorIsEnough(t *testing.T) {
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	a.stop()
	m.damage("a", "floor", false)
	broken, err := os.ReadFile(m.trustFiles("a", "floor")[0])
	if err != nil {
		t.Fatal(err)
	}
	a = m.run("a", Config{Egress: EgressYes})
	if got := a.reason(t); got != "" {
		t.Fatalf("reason %q", got)
	}
	until(t, "the second copy", func() bool {
		b, err := os.ReadFile(m.trustFiles("a", "floor")[0])
		return err == nil && string(b) != string(broken)
	})
}

// A machine whose whole disk was restored from an old image believes that state, which was true once,
// and takes the next head. It cannot be held there: what it has missed is newer than all of it.
func TestOldDiskImageHealsAtTheNextHead(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	a.stop()
	image := filepath.Join(m.dir, "image")
	if err := os.CopyFS(image, os.DirFS(filepath.Join(m.dir, "a"))); err != nil {
		t.Fatal(err)
	}
	a = m.run("a", Config{Egress: EgressYes})
	m.file("u1", payload(100_000))
	m.approve("u1")
	until(t, "the update to be installed", func() bool { return a.update(t, "u1").State == "installed" })
	a.stop()
	if err := os.RemoveAll(filepath.Join(m.dir, "a")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(image, filepath.Join(m.dir, "a")); err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]os.FileMode{"": 0o700, "keys": 0o700, "keys/node.key": 0o600} {
		if err := os.Chmod(filepath.Join(m.dir, "a", path), mode); err != nil {
			t.Fatal(err)
		}
	}
	a = m.run("a", Config{Egress: EgressYes, Peers: []string{m.seed.addr}})
	until(t, "the update to be known again", func() bool { return a.update(t, "u1").State == "installed" })
}

// A seed that has lost its documents signs nothing until a machine has brought them: it would publish
// what all others must refuse.
func TestSeedThatLostItsDocumentsGetsThemFromAMachine(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	m.file("u1", payload(100_000))
	m.approve("u1")
	until(t, "the update to be installed", func() bool { return a.update(t, "u1").State == "installed" })
	addr := m.seed.addr
	m.seed.stop()
	m.damage("seed", "*", true)
	off, err := OpenOffline(filepath.Join(m.dir, "seed"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := off.Approve(context.Background(), api.ApproveRequest{Update: "u1", Group: "all"}); api.ClassOf(err) != api.ClassRefused {
		t.Fatalf("approving without documents: %v", err)
	}
	off.Close()
	m.seed = m.run("seed", Config{Listen: addr})
	until(t, "the seed to be whole again", func() bool { return m.seed.reason(t) == "" })
	if got, want := m.seed.believer.current().Epoch(), a.believer.current().Epoch(); got != want {
		t.Fatalf("the seed is at epoch %d, the machine at %d", got, want)
	}
	m.file("u2", payload(1000))
	m.approve("u2")
	until(t, "the next update", func() bool { return a.update(t, "u2").State == "installed" })
}

// A seed whose floors alone are gone has whole documents, and nobody could show it newer ones.
func TestSeedThatLostItsFloorsGoesOn(t *testing.T) {
	m := newMesh(t)
	m.seed.stop()
	m.damage("seed", "floor*", true)
	m.seed = m.run("seed", Config{})
	if got := m.seed.reason(t); got != "" {
		t.Fatalf("reason %q", got)
	}
	m.trustFiles("seed", "floor")
	m.trustFiles("seed", "floor.copy")
}

// Without even a root there is nothing to verify with: the machine must be enrolled again.
func TestNothingLeftIsRefusedWithExitCodeThree(t *testing.T) {
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	a.stop()
	m.damage("a", "*", true)
	dir := filepath.Join(m.dir, "a")
	db, err := state.Open(filepath.Join(dir, "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := db.PutValue(rootKey(1), nil); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = Open(Config{DataDir: dir, Listen: freeAddr(t)})
	if api.ClassOf(err).ExitCode() != 3 {
		t.Fatalf("%v has exit code %d, want 3", err, api.ClassOf(err).ExitCode())
	}
}

// A machine that was off when the seed published hears of it when they meet, not at the next renewal.
func TestMachineThatWasAwayHearsOfTheHeadWhenItConnects(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	a.stop()
	m.file("u1", payload(1000))
	m.approve("u1")
	a = m.run("a", Config{Egress: EgressYes})
	until(t, "the update to be installed", func() bool { return a.update(t, "u1").State == "installed" })
}

// A certificate of another mesh opens no session with a machine that has lost its roster.
func TestLostRosterLetsNoStrangerIn(t *testing.T) {
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	a.stop()
	m.seed.stop()
	m.damage("a", "*", true)
	a = m.run("a", Config{Egress: EgressYes})
	dir := filepath.Join(m.dir, "stranger")
	if _, err := Found(FoundRequest{DataDir: dir, Org: "acme", Name: "s", Site: "main"}, time.Now); err != nil {
		t.Fatal(err)
	}
	f, err := openFolder(dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	if _, err := a.checkCert(f.id, f.member.Cert); err == nil {
		t.Fatal("a stranger's certificate was taken")
	}
	if _, err := a.checkCert(a.id, a.member.Cert); err != nil {
		t.Fatalf("one of the own mesh: %v", err)
	}
}
