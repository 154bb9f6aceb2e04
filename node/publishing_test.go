package node

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"patchmesh/content"
	"patchmesh/swarm"
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

// Whether an install was announced decides when a payload is published, not whether.
func TestPayloadIsPublishedAtOnceOrAfterItsInstall(t *testing.T) {
	w := newSourceWorld(t)
	id := w.m.ID()
	w.putAll(t)
	w.n.assemble(swarm.Assemble{Req: 1, Payload: id, Installs: true})
	if ev, ok := w.next(t).(swarm.Assembled); !ok || ev.Req != 1 || w.n.store.Published(id) {
		t.Fatalf("%+v, published %v", ev, w.n.store.Published(id))
	}
	w.n.publishLeft(id) // that is not what the last run of the program left
	if w.n.store.Published(id) {
		t.Fatal("published while its install is awaited")
	}
	w.n.publishOwed(id)
	if !w.n.store.Published(id) || w.n.owed.owes(id) {
		t.Fatal("not published after its install")
	}

	w.putAll(t)
	w.n.assemble(swarm.Assemble{Req: 2, Payload: id})
	if ev, ok := w.next(t).(swarm.Assembled); !ok || ev.Req != 2 || !w.n.store.Published(id) {
		t.Fatalf("%+v, published %v", ev, w.n.store.Published(id))
	}
}

// The core was told that the payload is whole. If that turns out wrong it must hear so, or the machine would
// offer for ever what it has not.
func TestPayloadThatIsNotWholeAfterAllIsToldToTheCore(t *testing.T) {
	w := newSourceWorld(t)
	id := w.m.ID()
	w.putAll(t)
	w.n.assemble(swarm.Assemble{Req: 1, Payload: id, Installs: true})
	w.next(t)
	w.putAll(t, 2) // as after a failed sync: a chunk of before is gone
	w.n.publishOwed(id)
	if ev, ok := w.next(t).(swarm.ChunksLost); !ok || ev.Payload != id || !slices.Equal(ev.Indexes, []int{2}) {
		t.Errorf("%+v, want chunk 2 to be lost", ev)
	}
	if w.n.store.Published(id) || w.n.owed.owes(id) {
		t.Error("an incomplete payload is published, or still owed")
	}
}

// putAll begins the payload anew and stores all its chunks but some.
func (w *sourceWorld) putAll(t *testing.T, but ...int) {
	t.Helper()
	id, buf := w.m.ID(), make([]byte, w.m.ChunkBytes)
	if err := w.n.store.Drop(id); err != nil {
		t.Fatal(err)
	}
	if _, err := w.n.store.Begin(w.m); err != nil {
		t.Fatal(err)
	}
	for i := range w.m.Len() {
		if slices.Contains(but, i) {
			continue
		}
		n, err := w.stored.ReadChunk(id, i, buf)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.n.store.Put(id, i, buf[:n]); err != nil {
			t.Fatal(err)
		}
	}
}
