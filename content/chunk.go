package content

import (
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// decoders are pooled: one holds about its window in memory. Each is limited to one chunk and to the
// room of the buffer it is given, so a frame that would grow beyond (a bomb) is an error, not memory.
var decoders = sync.Pool{New: func() any {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(MaxChunkBytes), zstd.WithDecoderMaxWindow(MaxChunkBytes),
		zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		panic(err) // constant options: cannot happen
	}
	return d
}}

// plainBuffers hold decoded bytes that only a hash looks at.
var plainBuffers = sync.Pool{New: func() any {
	b := make([]byte, MaxChunkBytes)
	return &b
}}

// OpenChunk checks one chunk as it was stored or received: exact length, bounded decoding, hash of
// the plain bytes. It returns the plain bytes: stored itself where the chunk is not compressed, else
// in dst if its capacity suffices, else in new memory; dst may be nil. *CorruptError if the bytes are
// not what the map says, ErrNotFound if the map has no chunk i.
func (m *PayloadMap) OpenChunk(i int, stored, dst []byte) ([]byte, error) {
	plain, err := m.decodeChunk(i, stored, dst)
	if err != nil {
		return nil, err
	}
	if want, got := m.Chunks[i].ID, Sum(plain); got != want {
		return nil, &CorruptError{Want: want, Got: got, SizeBytes: len(stored)}
	}
	return plain, nil
}

// decodeChunk is OpenChunk without the hash.
func (m *PayloadMap) decodeChunk(i int, stored, dst []byte) ([]byte, error) {
	if i < 0 || i >= len(m.Chunks) {
		return nil, fmt.Errorf("chunk %d of %d: %w", i, len(m.Chunks), ErrNotFound)
	}
	c := &m.Chunks[i]
	if len(stored) != int(c.StoredBytes) {
		return nil, &CorruptError{Want: c.ID, SizeBytes: len(stored)}
	}
	if c.StoredBytes >= c.PlainBytes {
		return stored, nil
	}
	plain, err := inflate(stored, dst, int(c.PlainBytes))
	if err != nil {
		return nil, &CorruptError{Want: c.ID, SizeBytes: len(stored)}
	}
	return plain, nil
}

// CheckChunk is OpenChunk for those who do not need the plain bytes. It does not allocate.
func (m *PayloadMap) CheckChunk(i int, stored []byte) error {
	if i >= 0 && i < len(m.Chunks) && m.Chunks[i].Compressed() {
		buf := plainBuffers.Get().(*[]byte)
		defer plainBuffers.Put(buf)
		_, err := m.OpenChunk(i, stored, *buf)
		return err
	}
	_, err := m.OpenChunk(i, stored, nil)
	return err
}

// inflate decodes one frame of exactly size bytes.
func inflate(frame, dst []byte, size int) ([]byte, error) {
	var h zstd.Header
	if err := h.Decode(frame); err != nil {
		return nil, err
	}
	// Pack writes the plain size into every frame. A frame that hides it, or says another one, is not
	// ours; refusing it here keeps the decoder from working towards a size nobody promised.
	if h.Skippable || !h.HasFCS || h.FrameContentSize != uint64(size) {
		return nil, ErrFormat
	}
	if cap(dst) < size {
		dst = make([]byte, size)
	}
	d := decoders.Get().(*zstd.Decoder)
	defer decoders.Put(d)
	out, err := d.DecodeAll(frame, dst[:0:size])
	if err != nil {
		return nil, err
	}
	if len(out) != size {
		return nil, ErrFormat
	}
	return out, nil
}
