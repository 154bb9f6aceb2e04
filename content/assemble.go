package content

import (
	"errors"
	"fmt"
	"io"
)

// ChunkReader reads the stored form of chunk index into buf and returns its length. An error that is
// ErrDamaged means that this chunk cannot be read back; any other says nothing about the bytes.
type ChunkReader func(index int, buf []byte) (int, error)

// PlainReader reads a payload as plain bytes, verifying chunk by chunk. It implements io.ReadCloser
// and io.WriterTo; not safe for concurrent use.
type PlainReader struct {
	m       *PayloadMap
	read    ChunkReader
	damaged func(index int) error
	copies  bool // the caller hashes the whole

	next        int
	stored      []byte
	plainBuffer []byte
	rest        []byte // plain bytes not handed out yet
	err         error  // sticky: a payload is read to its end or not at all
}

// NewPlainReader makes a reader over all chunks of m. damaged, which may be nil, hears of a chunk that
// does not match before Read returns ErrDamaged; what it returns is joined to that error.
func NewPlainReader(m *PayloadMap, read ChunkReader, damaged func(index int) error) *PlainReader {
	return &PlainReader{m: m, read: read, damaged: damaged, stored: make([]byte, m.ChunkBytes)}
}

// NewCopyReader is NewPlainReader for a caller that hashes the whole of what it copies and keeps it
// only if that matches: chunks are decoded within their bounds and not hashed on the way. After a
// mismatch Recheck tells which chunk is to blame.
func NewCopyReader(m *PayloadMap, read ChunkReader, damaged func(index int) error) *PlainReader {
	r := NewPlainReader(m, read, damaged)
	r.copies = true
	return r
}

// Recheck reads the whole payload once more, verifying every chunk; damaged hears of the first that
// does not match, as from Read. nil: all of them match now. It may follow Close.
func (r *PlainReader) Recheck() error {
	_, err := NewPlainReader(r.m, r.read, r.damaged).WriteTo(io.Discard)
	return err
}

// Read implements io.Reader. A chunk that does not match is ErrDamaged and, where bytes could be read
// at all, *CorruptError; nothing of it is handed out.
func (r *PlainReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if n, done, err := r.straight(p); done {
		return n, err
	}
	if err := r.fill(); err != nil {
		return 0, err
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// WriteTo implements io.WriterTo: whole chunks, without copying them.
func (r *PlainReader) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for {
		err := r.fill()
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		n, err := w.Write(r.rest)
		total += int64(n)
		r.rest = r.rest[n:]
		if err != nil {
			return total, err
		}
	}
}

// Whole says whether everything was read and nothing went wrong.
func (r *PlainReader) Whole() bool {
	return r.next == r.m.Len() && len(r.rest) == 0 && (r.err == nil || r.err == io.EOF)
}

// Close ends reading; later reads are ErrClosed.
func (r *PlainReader) Close() error {
	r.err, r.rest, r.stored, r.plainBuffer = ErrClosed, nil, nil, nil
	return nil
}

// straight reads a chunk into p itself where nothing has to be done to it and p has room.
func (r *PlainReader) straight(p []byte) (n int, done bool, err error) {
	if !r.copies || r.err != nil || len(r.rest) > 0 || r.next >= r.m.Len() {
		return 0, false, nil
	}
	if c := &r.m.Chunks[r.next]; c.Compressed() || len(p) < int(c.StoredBytes) {
		return 0, false, nil
	}
	if n, err = r.read(r.next, p); err != nil {
		return 0, true, r.blame(fmt.Errorf("read chunk %d: %w", r.next, err))
	}
	r.next++
	return n, true, nil
}

// blame ends reading. If it is the bytes of the next chunk that are wrong, damaged hears of it.
func (r *PlainReader) blame(err error) error {
	if errors.Is(err, ErrDamaged) && r.damaged != nil {
		err = errors.Join(err, r.damaged(r.next))
	}
	r.err = err
	return err
}

// fill makes sure that there are plain bytes at hand.
func (r *PlainReader) fill() error {
	if r.err != nil || len(r.rest) > 0 {
		return r.err
	}
	if r.next >= r.m.Len() {
		r.err = io.EOF
		return r.err
	}
	open := (*PayloadMap).OpenChunk
	if r.copies {
		open = (*PayloadMap).decodeChunk
	}
	plain, err := openFrom(r.m, r.read, open, r.next, r.stored, &r.plainBuffer)
	if err != nil {
		return r.blame(err)
	}
	r.rest = plain
	r.next++
	return nil
}

// opener is OpenChunk or decodeChunk.
type opener func(m *PayloadMap, i int, stored, dst []byte) ([]byte, error)

// openFrom reads and opens one chunk. What does not match is ErrDamaged. buf must hold a chunk;
// *plainBuffer is made when first needed and reused.
func openFrom(m *PayloadMap, read ChunkReader, open opener, i int, buf []byte, plainBuffer *[]byte) ([]byte, error) {
	n, err := read(i, buf)
	if err != nil {
		return nil, fmt.Errorf("read chunk %d: %w", i, err)
	}
	if *plainBuffer == nil && m.Chunks[i].Compressed() {
		*plainBuffer = make([]byte, m.ChunkBytes)
	}
	plain, err := open(m, i, buf[:n], *plainBuffer)
	if err != nil {
		return nil, fmt.Errorf("open chunk %d: %w: %w", i, ErrDamaged, err)
	}
	return plain, nil
}

// storedWhole says whether a payload that is stored plain hashes right as a whole: then every chunk is
// right too, and the usual case costs one pass of hashing instead of two.
func storedWhole(m *PayloadMap, read ChunkReader) (bool, error) {
	if m.StoredBytes() != m.PlainBytes {
		return false, nil
	}
	whole := NewHash()
	buf := make([]byte, m.ChunkBytes)
	for i := range m.Chunks {
		n, err := read(i, buf)
		if err != nil {
			return false, fmt.Errorf("read chunk %d: %w", i, err)
		}
		_, _ = whole.Write(buf[:n]) // a hash takes all bytes
	}
	return [32]byte(whole.Sum(nil)) == m.SHA256, nil
}

// Verify reads a whole payload and hashes every chunk and the whole. It returns the chunks that do not
// match, in order. *CorruptError means that every chunk matches and the whole does not: the map itself
// lies, and no fetching can heal that. Any other error means that reading did not work.
func Verify(m *PayloadMap, read ChunkReader) (bad []int, err error) {
	if whole, err := storedWhole(m, read); whole || err != nil {
		return nil, err
	}
	whole := NewHash()
	buf := make([]byte, m.ChunkBytes)
	var plainBuffer []byte
	for i := range m.Chunks {
		plain, err := openFrom(m, read, (*PayloadMap).OpenChunk, i, buf, &plainBuffer)
		switch {
		case errors.Is(err, ErrDamaged):
			bad = append(bad, i)
		case err != nil:
			return nil, err
		default:
			_, _ = whole.Write(plain) // a hash takes all bytes
		}
	}
	if len(bad) > 0 {
		return bad, nil
	}
	if got := [32]byte(whole.Sum(nil)); got != m.SHA256 {
		return nil, fmt.Errorf("payload %s as a whole: %w", m.ID().Short(),
			&CorruptError{Want: FromSHA256(m.SHA256), Got: FromSHA256(got), SizeBytes: int(m.PlainBytes)})
	}
	return nil, nil
}
