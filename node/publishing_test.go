package node

import (
	"os"
	"path/filepath"
	"testing"

	"patchmesh/content"
)

// An installed update lies published in the store, as it is to be given to others, and so it does after the
// process was killed between the install and that: here the files are put back into the form of before.
func TestInstalledUpdateIsPublishedAlsoAfterAKill(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	cfg := Config{Egress: EgressYes}
	a := m.machine("a", "", cfg)
	body := noise(7, 2<<20)
	m.file("u1", body)
	m.approve("u1")
	installed(t, "u1", a)
	id := a.payloadID(t, "u1")
	if !a.store.Published(id) {
		t.Fatal("the update is installed and its payload not published")
	}
	if a.owed.owes(id) {
		t.Error("it is still to be published")
	}
	pm, err := a.store.Map(id)
	if err != nil {
		t.Fatal(err)
	}
	a.stop()
	file := filepath.Join(m.dir, "a", "payloads", id.String())
	if err := os.Rename(file, file+".part"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file+".hint", content.FullBits(pm.Len()).Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	a = m.run("a", cfg)
	until(t, "the payload to be published by the next run", func() bool { return a.store.Published(id) })
	installed(t, "u1", a)
}
