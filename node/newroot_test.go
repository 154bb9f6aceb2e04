package node

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"patchmesh/node/api"
)

// A stolen timestamp key is replaced by a new root. Machines that run meanwhile hear of it by a head that
// nobody's key at hand has signed: they ask for a newer root, and go on, without a restart. So does one
// that never sees the seed.
func TestNewTimestampKeyReachesRunningMachines(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	b := m.machine("b", a.addr, Config{Egress: EgressNo})
	m.file("u1", payload(100_000))
	m.approve("u1")
	until(t, "the first update", func() bool { return b.update(t, "u1").State == "installed" })

	m.rotateTimestamp("timestamp-2")
	for _, r := range []*running{a, b} {
		until(t, "the new root to arrive", func() bool { return r.believer.current().RootVersion() == 2 })
	}
	m.file("u2", payload(100_000))
	m.approve("u2")
	for _, r := range []*running{a, b} {
		until(t, "an approval under the new key to arrive", func() bool { return r.update(t, "u2").State == "installed" })
	}
	if got := b.refused(); len(got) > 0 {
		t.Errorf("%+v", got)
	}
}

// rotateTimestamp replaces the seed's timestamp key by a new root.
func (m *mesh) rotateTimestamp(name string) {
	t := m.t
	t.Helper()
	dir := filepath.Join(m.dir, "seed", "keys")
	k, err := NewKey(dir, name, "")
	if err != nil {
		t.Fatal(err)
	}
	draft, err := m.seed.RootDraft(context.Background(), api.RootRequest{Timestamp: k.PEM})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "root.json")
	if err := WriteFile(path, draft.Body); err != nil {
		t.Fatal(err)
	}
	if _, err := SignRootFile(path, filepath.Join(dir, "root.key"), ""); err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := m.seed.AdoptRoot(context.Background(), api.RootFile{Body: body}); err != nil || !v.Published {
		t.Fatalf("%+v, %v", v, err)
	}
}
