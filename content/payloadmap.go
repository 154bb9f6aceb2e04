package content

import (
	"encoding/binary"
	"fmt"
)

// Chunk is one entry of a payload map.
type Chunk struct {
	ID          ID    // of the plain bytes
	PlainBytes  int32 // without compression
	StoredBytes int32 // as stored and sent: equal means plain, less means one zstd frame
}

// Compressed says whether the stored form is a zstd frame.
func (c Chunk) Compressed() bool { return c.StoredBytes < c.PlainBytes }

// PayloadMap is the ordered list of the chunks of one payload. Immutable once made, and only made by
// Pack and DecodeMap, which check every invariant.
type PayloadMap struct {
	PlainBytes int64    // of the whole payload
	ChunkBytes int      // plain size of every chunk but the last
	SHA256     [32]byte // of the whole plain payload
	Chunks     []Chunk

	offsets []int64 // of the stored form; len(Chunks)+1
	id      ID
}

// Limits of a payload map.
const (
	MaxPayloadBytes = 1 << 40  // MaxChunks of MaxChunkBytes
	MaxMapBytes     = 40 << 20 // MaxChunks entries of 36 bytes and the header
)

// The map document: magic, version, plain size (8), chunk size (4), count (4), hash of the whole
// payload (32), then per chunk its hash (32) and stored size (4). Integers are big endian.
const (
	mapMagic   = "pmmap\x00\x01\n"
	mapHeader  = len(mapMagic) + 8 + 4 + 4 + 32
	entryBytes = 36
)

// newMap fills in what is derived, and checks every invariant. It takes over chunks.
func newMap(plain int64, chunk int, sum [32]byte, chunks []Chunk) (*PayloadMap, error) {
	m := &PayloadMap{PlainBytes: plain, ChunkBytes: chunk, SHA256: sum, Chunks: chunks}
	if plain <= 0 || plain > MaxPayloadBytes || chunk < MinChunkBytes || chunk > MaxChunkBytes {
		return nil, fmt.Errorf("payload map: %d bytes in chunks of %d: %w", plain, chunk, ErrFormat)
	}
	if want := (plain + int64(chunk) - 1) / int64(chunk); int64(len(chunks)) != want || want > MaxChunks {
		return nil, fmt.Errorf("payload map: %d chunks, %d expected: %w", len(chunks), want, ErrFormat)
	}
	m.offsets = make([]int64, len(chunks)+1)
	for i := range chunks {
		c := &chunks[i]
		c.PlainBytes = int32(min(int64(chunk), plain-int64(i)*int64(chunk)))
		if c.StoredBytes <= 0 || c.StoredBytes > c.PlainBytes || c.ID.IsZero() {
			return nil, fmt.Errorf("payload map: chunk %d stores %d of %d bytes: %w", i, c.StoredBytes, c.PlainBytes, ErrFormat)
		}
		m.offsets[i+1] = m.offsets[i] + int64(c.StoredBytes)
	}
	m.id = Sum(m.Encode())
	return m, nil
}

// Len is the number of chunks.
func (m *PayloadMap) Len() int { return len(m.Chunks) }

// ID names the payload: the ID of the encoded map.
func (m *PayloadMap) ID() ID { return m.id }

// StoredBytes is the size of the payload as stored and sent.
func (m *PayloadMap) StoredBytes() int64 { return m.offsets[len(m.Chunks)] }

// Offset is where chunk i begins in the stored form; i may be Len(), the end.
func (m *PayloadMap) Offset(i int) int64 { return m.offsets[i] }

// Encode writes the document.
func (m *PayloadMap) Encode() []byte {
	b := make([]byte, 0, mapHeader+entryBytes*len(m.Chunks))
	b = append(b, mapMagic...)
	b = binary.BigEndian.AppendUint64(b, uint64(m.PlainBytes))
	b = binary.BigEndian.AppendUint32(b, uint32(m.ChunkBytes))
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.Chunks)))
	b = append(b, m.SHA256[:]...)
	for _, c := range m.Chunks {
		b = append(b, c.ID.sum[:]...)
		b = binary.BigEndian.AppendUint32(b, uint32(c.StoredBytes))
	}
	return b
}

// DecodeMap reads a document. Everything in it is checked before anything is believed: ErrFormat.
func DecodeMap(b []byte) (*PayloadMap, error) {
	if len(b) < mapHeader || len(b) > MaxMapBytes || string(b[:len(mapMagic)]) != mapMagic {
		return nil, fmt.Errorf("payload map of %d bytes: %w", len(b), ErrFormat)
	}
	r := b[len(mapMagic):]
	plain := binary.BigEndian.Uint64(r)
	chunk := binary.BigEndian.Uint32(r[8:])
	count := binary.BigEndian.Uint32(r[12:])
	sum := [32]byte(r[16:48])
	r = r[48:]
	if plain > MaxPayloadBytes || chunk > MaxChunkBytes || count > MaxChunks || len(r) != int(count)*entryBytes {
		return nil, fmt.Errorf("payload map: %d chunks in %d bytes: %w", count, len(b), ErrFormat)
	}
	chunks := make([]Chunk, count)
	for i := range chunks {
		e := r[i*entryBytes:]
		stored := binary.BigEndian.Uint32(e[32:])
		if stored > MaxChunkBytes {
			return nil, fmt.Errorf("payload map: chunk %d of %d bytes: %w", i, stored, ErrFormat)
		}
		chunks[i] = Chunk{ID: ID{[32]byte(e[:32])}, StoredBytes: int32(stored)}
	}
	return newMap(int64(plain), int(chunk), sum, chunks)
}
