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

// A neighbour that flaps between cable and Wi-Fi, or says so, has all of this machine's work looked at anew: once in five
// seconds, however often it speaks. What it said last counts in the end.
func TestANeighboursLinkIsBelievedOnceInAWhile(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	c, err := New(DefaultConfig(), Self{Peer: "self", Site: "hq"}, Snapshot{}, rand.New(rand.NewPCG(1, 2)), now)
	if err != nil {
		t.Fatal(err)
	}
	c.Step(now, PeerUp{Peer: "a", Site: "hq"})
	p, changes := c.byID["a"], 0
	step := func(at time.Time, ev Event) {
		was := p.wifi
		c.Step(at, ev)
		if p.wifi != was {
			changes++
		}
	}
	for i := range 1001 {
		step(now.Add(time.Duration(i)*4*time.Millisecond), RoleHeard{Peer: "a", WiFi: i%2 == 0})
		if i == 0 && !p.wifi {
			t.Error("the first word is not believed at once")
		}
	}
	step(c.now, RoleHeard{Peer: "a"})
	if changes != 1 {
		t.Errorf("it was believed %d times within five seconds", changes)
	}
	for end := now.Add(6 * time.Second); c.now.Before(end); {
		step(c.now.Add(500*time.Millisecond), Tick{})
	}
	if p.wifi || changes != 2 {
		t.Errorf("in the end it is on Wi-Fi: %v, after %d changes", p.wifi, changes)
	}
}
