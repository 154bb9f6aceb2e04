package swarm

import (
	"math/rand/v2"
	"testing"
	"time"

	"patchmesh/content"
)

// One wired machine that lets the site wait costs the others nothing: only those whose turn has come and gone are taken
// for any other by a machine on Wi-Fi, or it would go for the WAN beside all of them for a day.
func TestOnlyTheWiredMachineWhoseTurnItWasIsPassedOver(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	c, err := New(DefaultConfig(), Self{Peer: "self", Site: "hq", Egress: true}, Snapshot{}, rand.New(rand.NewPCG(1, 2)), now)
	if err != nil {
		t.Fatal(err)
	}
	c.Step(now, ConditionsChanged{Conditions: Conditions{WiFi: true}})
	id := content.Sum([]byte("payload"))
	c.addPayload(PayloadInfo{ID: id, Chunks: 8, ChunkBytes: content.MinChunkBytes, StoredBytes: 8 * content.MinChunkBytes})
	for _, p := range []PeerID{"a", "b", "c", "d", "e"} {
		c.Step(now, PeerUp{Peer: p, Site: "hq", Egress: true})
		c.Step(now, HaveArrived{From: p, Payload: id, Want: true, Bits: content.NewBits(8)})
		c.Step(now, PeerSynced{Peer: p})
	}
	for _, x := range []struct {
		after time.Duration
		want  int
	}{{10 * time.Second, 0}, {25 * time.Second, 1}, {45 * time.Second, 2}, {65 * time.Second, 4}} {
		for end := now.Add(x.after); c.now.Before(end); {
			c.Step(c.now.Add(500*time.Millisecond), Tick{})
		}
		if got := len(c.cache.passed); got != x.want {
			t.Errorf("after %v %d wired machines are passed over, want %d", x.after, got, x.want)
		}
	}
}
