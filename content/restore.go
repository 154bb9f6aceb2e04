package content

import (
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// encoders make frames of chunks that came as plain bytes.
var encoders = sync.Pool{New: func() any {
	e, err := newEncoder()
	if err != nil {
		panic(err) // constant options: cannot happen
	}
	return e
}}

func newEncoder() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false),
		zstd.WithWindowSize(MaxChunkBytes), zstd.WithSingleSegment(true))
}

// Restore makes the stored form of chunk i of its plain bytes, for sources that know the payload only as
// it is outside: the web host of its vendor. The bytes are verified first. The result is plain itself where
// the chunk is not compressed. *CorruptError if the bytes are not the chunk; ErrEncoder if a frame of the
// promised size cannot be made of them, since the seed packed with another encoder; ErrNotFound if the map
// has no chunk i.
func (m *PayloadMap) Restore(i int, plain []byte) (stored []byte, err error) {
	if i < 0 || i >= len(m.Chunks) {
		return nil, fmt.Errorf("chunk %d of %d: %w", i, len(m.Chunks), ErrNotFound)
	}
	c := &m.Chunks[i]
	if got := Sum(plain); len(plain) != int(c.PlainBytes) || got != c.ID {
		return nil, &CorruptError{Want: c.ID, Got: got, SizeBytes: len(plain)}
	}
	if !c.Compressed() {
		return plain, nil
	}
	e := encoders.Get().(*zstd.Encoder)
	defer encoders.Put(e)
	stored = e.EncodeAll(plain, nil)
	if len(stored) != int(c.StoredBytes) {
		return nil, fmt.Errorf("chunk %d packs to %d bytes instead of %d: %w", i, len(stored), c.StoredBytes, ErrEncoder)
	}
	return stored, nil
}

// PlainOffset is where chunk i begins in the plain payload.
func (m *PayloadMap) PlainOffset(i int) int64 { return int64(i) * int64(m.ChunkBytes) }
