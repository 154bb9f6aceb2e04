package swarm

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"patchmesh/content"
)

// What is still missing is shared by those who have some of it, or fetch it: as much is to be expected of each.
func TestAnAskSaysHowMuchIsToBeExpected(t *testing.T) {
	const chunks, size = 100, content.MinChunkBytes
	now := time.Unix(1_800_000_000, 0)
	core, err := New(DefaultConfig(), Self{Peer: "self", Site: "hq"}, Snapshot{}, rand.New(rand.NewPCG(1, 2)), now)
	if err != nil {
		t.Fatal(err)
	}
	id, have, all := content.Sum([]byte("payload")), content.NewBits(chunks), content.NewBits(chunks)
	for i := range chunks {
		all.Set(i)
	}
	for i := range 20 {
		have.Set(i)
	}
	core.addPayload(PayloadInfo{ID: id, Chunks: chunks, ChunkBytes: size, StoredBytes: chunks * size, Have: have})
	core.byMap[id].selfWant = true
	var asks []FetchChunk
	say := func(p PeerID, want bool, bits *content.Bits) {
		core.Step(now, PeerUp{Peer: p, Site: "hq"})
		for _, a := range core.Step(now, HaveArrived{From: p, Payload: id, Want: want, Bits: bits}) {
			if a, is := a.(FetchChunk); is {
				asks = append(asks, a)
			}
		}
	}
	for i := range 3 {
		say(PeerID(fmt.Sprintf("fetching-%d", i)), true, content.NewBits(chunks))
	}
	say("idle", false, content.NewBits(chunks))
	say("whole", false, all)
	if len(asks) == 0 {
		t.Fatal("nothing is asked for")
	}
	for _, a := range asks {
		if a.From != "whole" || a.Ahead != 80*size/4 {
			t.Errorf("%d bytes expected of %s, want %d: three more fetch it", a.Ahead, a.From, 80*size/4)
		}
	}
}
