package content

import (
	"errors"
	"io"
)

// Chunk sizes: no chunk of a payload but the last is smaller than MinChunkBytes, none larger than MaxChunkBytes.
const (
	MinChunkBytes = 256 << 10
	MaxChunkBytes = 1 << 20
)

// ChunkBytesFor is the chunk size for a payload: small chunks spread sooner, large ones keep the map
// and the bookkeeping small.
func ChunkBytesFor(payloadBytes int64) int {
	switch {
	case payloadBytes <= 128<<20:
		return MinChunkBytes
	case payloadBytes <= 1<<30:
		return 512 << 10
	}
	return MaxChunkBytes
}

// Splitter cuts a stream into chunks, in order and without gaps. The bytes given to emit are valid
// until it returns; an error of emit or of the stream ends the work and is returned.
type Splitter interface {
	Split(r io.Reader, emit func(plain []byte) error) error
}

// Fixed cuts every SizeBytes, which must be positive; the last chunk may be shorter.
type Fixed struct{ SizeBytes int }

// Split implements Splitter.
func (f Fixed) Split(r io.Reader, emit func(plain []byte) error) error {
	buf := make([]byte, f.SizeBytes)
	for {
		n, err := io.ReadFull(r, buf)
		if n > 0 {
			if err := emit(buf[:n]); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return err
		}
	}
}
