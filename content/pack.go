package content

import (
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// The first sampleChunks chunks and every sampleEvery-th are tried; between them a chunk is compressed
// if the last one that was tried shrank by 1/minGain. So a disk image that begins with compressed files
// and goes on with plain ones still shrinks, and a compressed payload costs an eighth of the work.
const (
	sampleChunks = 4
	sampleEvery  = 8
	minGain      = 20 // 5 %
)

// Pack splits a payload of sizeBytes, hashes it, compresses chunks where that helps, and writes the
// stored form to w. io.ErrUnexpectedEOF if r ends early, ErrFormat if it goes on or if the size is not
// 1 to MaxPayloadBytes. The same bytes give the same map as long as the encoder is the same.
func Pack(r io.Reader, sizeBytes int64, w io.Writer) (*PayloadMap, error) {
	if sizeBytes <= 0 || sizeBytes > MaxPayloadBytes {
		return nil, fmt.Errorf("payload of %d bytes: %w", sizeBytes, ErrFormat)
	}
	p := packer{w: w, size: ChunkBytesFor(sizeBytes)}
	whole := NewHash()
	limited := io.TeeReader(io.LimitReader(r, sizeBytes+1), whole)
	if err := (Fixed{p.size}).Split(limited, p.add); err != nil {
		return nil, fmt.Errorf("pack payload: %w", err)
	}
	switch {
	case p.plain < sizeBytes:
		return nil, fmt.Errorf("pack payload: %d of %d bytes: %w", p.plain, sizeBytes, io.ErrUnexpectedEOF)
	case p.plain > sizeBytes:
		return nil, fmt.Errorf("pack payload: more than the %d bytes announced: %w", sizeBytes, ErrFormat)
	}
	return newMap(sizeBytes, p.size, [32]byte(whole.Sum(nil)), p.chunks)
}

// packer writes chunks as they come.
type packer struct {
	w      io.Writer
	size   int
	plain  int64
	chunks []Chunk
	enc    *zstd.Encoder
	buf    []byte
	gained bool // the last chunk that was tried shrank enough
}

func (p *packer) add(plain []byte) error {
	stored, err := p.squeeze(plain)
	if err != nil {
		return err
	}
	if _, err := p.w.Write(stored); err != nil {
		return err
	}
	p.plain += int64(len(plain))
	p.chunks = append(p.chunks, Chunk{ID: Sum(plain), StoredBytes: int32(len(stored))})
	return nil
}

// squeeze is the stored form of a chunk: a frame, or the chunk itself where a frame gains too little
// to be decoded on every machine. The result is valid until the next call.
func (p *packer) squeeze(plain []byte) ([]byte, error) {
	n := len(p.chunks)
	if n >= sampleChunks && n%sampleEvery != 0 && !p.gained {
		return plain, nil
	}
	if p.enc == nil {
		var err error
		if p.enc, err = newEncoder(); err != nil {
			return nil, err
		}
	}
	p.buf = p.enc.EncodeAll(plain, p.buf[:0])
	p.gained = len(p.buf)*minGain <= len(plain)*(minGain-1)
	if !p.gained {
		return plain, nil
	}
	return p.buf, nil
}
