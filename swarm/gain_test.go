package swarm

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"patchmesh/content"
)

// Every word of a gained chunk wakes a machine, so what one machine hears in a second must not grow with its site:
// where each tells more others, each tells them less often. But no chunk waits much longer for it.
func TestMachinesOfALargeSiteTellTheirGainsLessOften(t *testing.T) {
	for _, c := range []struct{ peers, words int }{{4, 13}, {10, 13}, {20, 7}, {30, 5}, {200, 5}} {
		if words := toldWords(t, c.peers); words < c.words-1 || words > c.words {
			t.Errorf("among %d neighbours each was told %d times in 3 s, want %d", c.peers, words, c.words)
		}
	}
}

// toldWords is how often a neighbour hears of gains in three seconds in which the machine, still far from the end,
// gains a chunk every 20 ms that others have too.
func toldWords(t *testing.T, peers int) (words int) {
	t.Helper()
	const chunks = 4000
	now := time.Unix(1_800_000_000, 0)
	core, err := New(DefaultConfig(), Self{Peer: "self", Site: "hq"}, Snapshot{}, rand.New(rand.NewPCG(1, 2)), now)
	if err != nil {
		t.Fatal(err)
	}
	id, all := content.Sum([]byte("payload")), content.NewBits(chunks)
	for i := range chunks - 1 {
		all.Set(i)
	}
	core.addPayload(PayloadInfo{ID: id, Chunks: chunks, ChunkBytes: content.MinChunkBytes, StoredBytes: chunks * content.MinChunkBytes, Have: content.NewBits(chunks)})
	core.byMap[id].selfWant = true
	for i := range peers {
		p := PeerID(fmt.Sprintf("p%03d", i))
		core.Step(now, PeerUp{Peer: p, Site: "hq"})
		core.Step(now, HaveArrived{From: p, Payload: id, Want: true, Bits: all.Clone()})
	}
	tell := func(acts []Action) {
		for _, a := range acts {
			if g, ok := a.(TellGained); ok && len(g.To) == peers {
				words++
			}
		}
	}
	for i := range 150 {
		l := core.byMap[id]
		l.have.Set(i)
		core.acts, core.toldTo = core.acts[:0], core.toldTo[:0]
		core.tellGained(l, i)
		tell(core.acts)
		now = now.Add(20 * time.Millisecond)
		tell(core.Step(now, Tick{}))
	}
	return words
}
