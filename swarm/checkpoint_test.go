package swarm

import (
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
)

// R-B8: a machine that is away needs the checkpoint still, although a newer update replaces it, where that one can only be
// laid over it; what is merely replaced it does not need.
func TestRB8TheCheckpointIsKeptForMachinesThatAreAway(t *testing.T) {
	for _, over := range []bool{false, true} {
		w := newWorld(t, 5, 1)
		n := w.nodes["m01"]
		w.step(n, PeerUp{Peer: "away", Site: "branch", HeadVersion: 1})
		w.step(n, PeerDown{Peer: "away"})
		w.publish("c1", 10)
		w.everybody("c1", 5, time.Minute)
		w.publish("c2", 10)
		d := w.descs[content.Sum([]byte("descriptor c2"))]
		d.Supersedes = []policy.UpdateID{"c1"}
		if over {
			d.Prerequisites = []policy.UpdateID{"c1"}
		}
		w.run(time.Minute)
		if got := n.core.absentNeed(n.core.byMap[payloadOf("c1")]) == 1; got != over {
			t.Errorf("laid over it %v: the machine that is away needs it %v", over, got)
		}
	}
}
