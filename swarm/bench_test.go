package swarm

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"patchmesh/content"
)

// BenchmarkPickerStep is the cost of one "a neighbour has one more chunk" while a payload is half there.
func BenchmarkPickerStep(b *testing.B) {
	for _, c := range []struct{ peers, chunks int }{{9, 256}, {23, 1024}} {
		b.Run(fmt.Sprintf("%dpeers-%dchunks", c.peers, c.chunks), func(b *testing.B) {
			core, id, now := benchCore(b, c.peers, c.chunks)
			full := content.NewBits(c.chunks)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				from, index := PeerID(fmt.Sprintf("p%02d", i%c.peers)), (i*7919)%c.chunks
				if i%(c.chunks/2) == 0 { // as if it had lost it all: there must be something to gain
					b.StopTimer()
					core.Step(now, HaveArrived{From: from, Payload: id, Want: true, Bits: full.Clone()})
					b.StartTimer()
				}
				core.Step(now, GainedArrived{From: from, Payload: id, Indexes: []int{index}})
			}
		})
	}
}

// benchCore is a machine that wants a payload of which it and its neighbours have random halves, with
// as many asks out as it may have.
func benchCore(b *testing.B, peers, chunks int) (*Core, content.ID, time.Time) {
	b.Helper()
	now, rng := time.Unix(1_800_000_000, 0), rand.New(rand.NewPCG(1, 2))
	core, err := New(DefaultConfig(), Self{Peer: "self", Site: "hq"}, Snapshot{}, rng, now)
	if err != nil {
		b.Fatal(err)
	}
	half := func() *content.Bits {
		bits := content.NewBits(chunks)
		for i := range chunks {
			if rng.IntN(2) == 0 {
				bits.Set(i)
			}
		}
		return bits
	}
	id := content.Sum([]byte("payload"))
	core.addPayload(PayloadInfo{ID: id, Chunks: chunks, ChunkBytes: content.MinChunkBytes, StoredBytes: int64(chunks) * content.MinChunkBytes, Have: half()})
	core.byMap[id].selfWant = true
	for i := range peers {
		p := PeerID(fmt.Sprintf("p%02d", i))
		core.Step(now, PeerUp{Peer: p, Site: "hq"})
		core.Step(now, HaveArrived{From: p, Payload: id, Want: true, Bits: half()})
	}
	if core.byMap[id].inFlight == 0 {
		b.Fatal("nothing is asked for: this measures nothing")
	}
	return core, id, now
}
