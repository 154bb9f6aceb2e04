package swarm

import (
	"testing"
	"time"

	"patchmesh/content"
)

// An install that is under way makes its own copy. One that begins to be made beside it would be waited for, with the
// turn of every other install, until a chunk that was lost meanwhile has come again, which may be never.
func TestNoEarlyCopyBeginsWhileItsInstallIsUnderWay(t *testing.T) {
	w := newWorld(t, 2, 0)
	w.publish("u1", 20)
	m := w.nodes["m01"]
	w.until(time.Minute, func() bool { return m.core.tasks.busy != nil })
	c := m.core
	if c.tasks.busy == nil {
		t.Fatal("nothing is being installed")
	}
	c.tasks.early.descriptor = c.news.manifest.Approvals[0].Descriptor
	c.driveEarly()
	if c.tasks.early.descriptor.IsZero() {
		t.Error("the copy that the install may be waiting for is taken from it")
	}
	c.tasks.early.descriptor = content.ID{}
	c.Step(w.now, ChunksLost{Payload: payloadOf("u1"), Indexes: []int{7}})
	if c.tasks.busy == nil || !c.tasks.early.descriptor.IsZero() {
		t.Error("a copy begins beside the install")
	}
}
