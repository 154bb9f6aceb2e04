package swarm

import (
	"math/rand/v2"
	"testing"
	"time"

	"patchmesh/content"
)

// What a stick brings is told to the neighbours at once, even of a payload that this machine does not need
// itself, and counted as coming from there.
func TestCarriedChunksAreOfferedAndCounted(t *testing.T) {
	now := time.Unix(1000, 0)
	c, err := New(DefaultConfig(), Self{Peer: "a", Site: "s"}, Snapshot{}, rand.New(rand.NewPCG(1, 1)), now)
	if err != nil {
		t.Fatal(err)
	}
	id, unknown := content.Sum([]byte("p")), content.Sum([]byte("q"))
	c.Step(now, ChunksCarried{Payload: id, Bytes: 5}) // while it was stopped: nothing is known of it yet
	c.addPayload(PayloadInfo{ID: id, Chunks: 4, ChunkBytes: 10, StoredBytes: 40})
	c.Step(now, PeerUp{Peer: "b", Site: "s"})
	c.Step(now, PeerUp{Peer: "z", Site: "elsewhere", Seed: true})
	have := content.NewBits(4)
	have.Set(1)
	have.Set(2)
	var told []PeerID
	for _, a := range c.Step(now, ChunksCarried{Payload: id, Have: have, Bytes: 20}) {
		if h, ok := a.(TellHave); ok && h.Payload == id {
			told = append(told, h.To)
			if h.Bits.Count() != 2 || !h.Bits.Has(1) || !h.Bits.Has(2) {
				t.Errorf("told of %d chunks", h.Bits.Count())
			}
		}
	}
	if len(told) != 1 || told[0] != "b" {
		t.Errorf("told %v", told)
	}
	c.Step(now, ChunksCarried{Payload: id, Have: content.NewBits(9), Bytes: 1}) // of another length: a bug elsewhere, no panic here
	c.Step(now, ChunksCarried{Payload: unknown, Have: have, Bytes: 3})
	v := c.View()
	if len(v.Payloads) != 1 || v.Payloads[0].Media != 26 || v.Payloads[0].HaveChunks != 2 {
		t.Errorf("%+v", v.Payloads)
	}
	var serve int
	for _, a := range c.Step(now, UploadAsked{From: "b", Ref: 1, Payload: id, Index: 2}) {
		if _, ok := a.(Serve); ok {
			serve++
		}
	}
	if serve != 1 {
		t.Error("the neighbour that asks is not served")
	}
}

// The store is asked what it has of a payload while a medium brings the rest: its answer is older than that, and the machine
// would wait for ever for chunks that it has.
func TestChunksCarriedWhileThePayloadIsOpenedAreNotForgotten(t *testing.T) {
	now := time.Unix(1000, 0)
	c, err := New(DefaultConfig(), Self{Peer: "a", Site: "s"}, Snapshot{}, rand.New(rand.NewPCG(1, 1)), now)
	if err != nil {
		t.Fatal(err)
	}
	id := content.Sum([]byte("p"))
	c.addPayload(PayloadInfo{ID: id, Chunks: 2, ChunkBytes: 10, StoredBytes: 20})
	l := c.byMap[id]
	l.selfWant = true
	opened := func(acts []Action) (req Req) {
		for _, a := range acts {
			if o, ok := a.(OpenPayload); ok {
				req = o.Req
			}
		}
		return req
	}
	first := opened(c.Step(now, ChunksCarried{Payload: id, Have: content.NewBits(2)}))
	whole := content.NewBits(2)
	whole.Set(0)
	whole.Set(1)
	c.Step(now, ChunksCarried{Payload: id, Have: whole, Bytes: 20})
	second := opened(c.Step(now, PayloadOpened{Req: first, Have: content.NewBits(2)}))
	if first == 0 || second == 0 {
		t.Fatalf("the store was asked with %d and then %d", first, second)
	}
	for _, a := range c.Step(now, PayloadOpened{Req: second, Have: whole}) {
		if _, ok := a.(Assemble); ok {
			return
		}
	}
	t.Error("what is whole is not assembled")
}
