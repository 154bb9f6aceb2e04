package transport

import (
	"sync/atomic"

	"patchmesh/content"
	"patchmesh/swarm/wire"
)

// Chunk buffers, by size class, with room for an answer's header in front.
var (
	bufferClasses = [...]int{64 << 10, content.MinChunkBytes, 512 << 10, content.MaxChunkBytes}
	bufferPools   [len(bufferClasses)]spares[buffer]
)

// buffer is a pooled piece of memory for one answer and its chunk. It goes back to its pool once all who hold
// it have let go; while it is held more than once nobody writes to it.
type buffer struct {
	class int
	b     []byte
	holds atomic.Int32
}

// takeBuffer gives a buffer for a chunk of sizeBytes, at most content.MaxChunkBytes.
func takeBuffer(sizeBytes int) *buffer {
	for class, most := range bufferClasses {
		if sizeBytes > most {
			continue
		}
		b := bufferPools[class].take()
		if b == nil {
			b = &buffer{class: class, b: make([]byte, wire.AnswerBytes+most)}
		}
		b.holds.Store(1)
		return b
	}
	panic("transport: chunk larger than any chunk may be")
}

// chunk is the part behind the header.
func (b *buffer) chunk(sizeBytes int) []byte {
	return b.b[wire.AnswerBytes : wire.AnswerBytes+sizeBytes : wire.AnswerBytes+sizeBytes]
}

// frame is header and chunk.
func (b *buffer) frame(sizeBytes int) []byte { return b.b[:wire.AnswerBytes+sizeBytes] }

// size is the largest chunk that it holds.
func (b *buffer) size() int { return bufferClasses[b.class] }

func (b *buffer) retain() { b.holds.Add(1) }

func (b *buffer) free() {
	if b.holds.Add(-1) == 0 {
		bufferPools[b.class].put(b)
	}
}
