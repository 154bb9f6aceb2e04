package transport

import (
	"sync"

	"patchmesh/content"
	"patchmesh/swarm/wire"
)

// Chunk buffers, by size class, with room for an answer's header in front.
var (
	bufferClasses = [...]int{64 << 10, content.MinChunkBytes, 512 << 10, content.MaxChunkBytes}
	bufferPools   [len(bufferClasses)]sync.Pool
)

// buffer is a pooled piece of memory for one answer and its chunk.
type buffer struct {
	class int
	b     []byte
}

// takeBuffer gives a buffer for a chunk of sizeBytes, at most content.MaxChunkBytes.
func takeBuffer(sizeBytes int) *buffer {
	for class, most := range bufferClasses {
		if sizeBytes > most {
			continue
		}
		if b, ok := bufferPools[class].Get().(*buffer); ok {
			return b
		}
		return &buffer{class: class, b: make([]byte, wire.AnswerBytes+most)}
	}
	panic("transport: chunk larger than any chunk may be")
}

// chunk is the part behind the header.
func (b *buffer) chunk(sizeBytes int) []byte {
	return b.b[wire.AnswerBytes : wire.AnswerBytes+sizeBytes : wire.AnswerBytes+sizeBytes]
}

// frame is header and chunk.
func (b *buffer) frame(sizeBytes int) []byte { return b.b[:wire.AnswerBytes+sizeBytes] }

func (b *buffer) free() { bufferPools[b.class].Put(b) }
