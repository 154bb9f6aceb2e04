package bundle

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"patchmesh/content"
)

// Limits of a CAR file: read no more, whatever it says of itself.
const (
	MaxRoots       = 1 << 16
	maxHeaderBytes = 4 << 20
	// MaxBlockBytes bounds one block: the largest document is a payload map.
	MaxBlockBytes = content.MaxMapBytes
)

// cidPrefix begins every CID here: version 1, raw, sha2-256, 32 bytes.
var cidPrefix = [4]byte{0x01, 0x55, 0x12, 0x20}

const cidBytes = len(cidPrefix) + 32

// BlockBytes is what a block of n bytes takes in a file.
func BlockBytes(n int) int64 {
	var b [binary.MaxVarintLen64]byte
	section := n + cidBytes
	return int64(binary.PutUvarint(b[:], uint64(section)) + section)
}

// HeaderBytes is what the header of a file with so many roots takes.
func HeaderBytes(roots int) int64 { return int64(len(appendHeader(nil, make([]content.ID, roots)))) }

// Writer writes one CAR file, version 1 (https://ipld.io/specs/transport/car/carv1/).
type Writer struct {
	w    io.Writer
	size int64
	head []byte
}

// NewWriter writes the header.
func NewWriter(w io.Writer, roots []content.ID) (*Writer, error) {
	if len(roots) > MaxRoots {
		return nil, fmt.Errorf("CAR file with %d roots: %w", len(roots), content.ErrFormat)
	}
	c := &Writer{w: w}
	return c, c.write(appendHeader(nil, roots))
}

// Put writes a block. The caller vouches for its ID: this is where bytes go out that were read and hashed
// a moment before, and whoever reads them hashes again.
func (c *Writer) Put(id content.ID, body []byte) error {
	if len(body) > MaxBlockBytes {
		return fmt.Errorf("block of %d bytes: %w", len(body), content.ErrFormat)
	}
	sum := id.SHA256()
	c.head = binary.AppendUvarint(c.head[:0], uint64(cidBytes+len(body)))
	c.head = append(append(c.head, cidPrefix[:]...), sum[:]...)
	if err := c.write(c.head); err != nil {
		return err
	}
	return c.write(body)
}

// Size is how many bytes were written.
func (c *Writer) Size() int64 { return c.size }

func (c *Writer) write(b []byte) error {
	n, err := c.w.Write(b)
	c.size += int64(n)
	return err
}

// appendHeader writes {"roots": [CID...], "version": 1} in dag-cbor, whose maps put short keys first,
// behind its length.
func appendHeader(dst []byte, roots []content.ID) []byte {
	b := append([]byte{0xa2, 0x65}, "roots"...)
	b = appendCBOR(b, 4, uint64(len(roots)))
	for _, id := range roots {
		sum := id.SHA256()
		b = append(b, 0xd8, 42) // tag 42: a CID, as bytes behind a zero
		b = appendCBOR(b, 2, uint64(1+cidBytes))
		b = append(append(append(b, 0), cidPrefix[:]...), sum[:]...)
	}
	b = append(append(b, 0x67), "version"...)
	b = append(b, 1)
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

// appendCBOR writes the head of a CBOR item in its shortest form.
func appendCBOR(dst []byte, major byte, n uint64) []byte {
	switch {
	case n < 24:
		return append(dst, major<<5|byte(n))
	case n < 1<<8:
		return append(dst, major<<5|24, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, major<<5|25), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, major<<5|26), uint32(n))
}

// Reader reads one CAR file of a stick, block by block, in memory of one block. It accepts exactly what
// Writer writes: raw blocks named by SHA-256.
type Reader struct {
	r     *bufio.Reader
	skip  io.Seeker // nil: what is skipped is read
	at    int64
	left  int // of the block that Next has found
	id    content.ID
	roots []content.ID
}

// readAhead is how much a Reader reads at once.
const readAhead = 256 << 10

// NewReader reads the header. ErrFormat if it is not one, io.ErrUnexpectedEOF if it is cut short.
func NewReader(r io.Reader) (*Reader, error) {
	c := &Reader{r: bufio.NewReaderSize(r, readAhead)}
	c.skip, _ = r.(io.Seeker)
	n, err := c.uvarint(maxHeaderBytes)
	if err != nil {
		return nil, fmt.Errorf("CAR header: %w", unexpected(err))
	}
	b := make([]byte, 0, min(n, readAhead)) // grows with what comes, not with what is promised
	for len(b) < n {
		part := make([]byte, min(n-len(b), readAhead))
		if _, err := io.ReadFull(c.r, part); err != nil {
			return nil, fmt.Errorf("CAR header: %w", unexpected(err))
		}
		b = append(b, part...)
	}
	c.at += int64(n)
	if c.roots, err = parseHeader(b); err != nil {
		return nil, err
	}
	return c, nil
}

// parseHeader takes a header in its one canonical form: it is written again and compared.
func parseHeader(b []byte) ([]content.ID, error) {
	bad := fmt.Errorf("CAR header of %d bytes: %w", len(b), content.ErrFormat)
	rest, ok := cut(b, append([]byte{0xa2, 0x65}, "roots"...))
	if !ok || len(rest) == 0 || rest[0]>>5 != 4 {
		return nil, bad
	}
	n, width := uint64(rest[0]&31), 1
	switch {
	case n == 24 && len(rest) > 1:
		n, width = uint64(rest[1]), 2
	case n == 25 && len(rest) > 2:
		n, width = uint64(binary.BigEndian.Uint16(rest[1:])), 3
	case n == 26 && len(rest) > 4:
		n, width = uint64(binary.BigEndian.Uint32(rest[1:])), 5
	case n > 23:
		return nil, bad
	}
	const each = 2 + 2 + 1 + cidBytes
	rest = rest[width:]
	if n > MaxRoots || uint64(len(rest)) < n*uint64(each) {
		return nil, bad
	}
	roots := make([]content.ID, n)
	for i := range roots {
		roots[i] = content.FromSHA256([32]byte(rest[i*each+each-32:]))
	}
	_, width = binary.Uvarint(appendHeader(nil, roots))
	if string(appendHeader(nil, roots)[width:]) != string(b) {
		return nil, bad
	}
	return roots, nil
}

func cut(b, prefix []byte) ([]byte, bool) {
	if len(b) < len(prefix) || string(b[:len(prefix)]) != string(prefix) {
		return nil, false
	}
	return b[len(prefix):], true
}

// Roots are the roots that the header names.
func (c *Reader) Roots() []content.ID { return c.roots }

// Offset is where in the file the reader stands.
func (c *Reader) Offset() int64 { return c.at }

// Next finds the next block, passing over what is left of the one before. io.EOF at the end of the file,
// io.ErrUnexpectedEOF if it ends within a block, ErrFormat.
func (c *Reader) Next() (id content.ID, size int, err error) {
	if err := c.pass(); err != nil {
		return id, 0, err
	}
	n, err := c.uvarint(MaxBlockBytes + cidBytes)
	if err != nil {
		if errors.Is(err, io.EOF) {
			return id, 0, io.EOF
		}
		return id, 0, fmt.Errorf("CAR block at %d: %w", c.at, err)
	}
	if n < cidBytes {
		return id, 0, fmt.Errorf("CAR block of %d bytes at %d: %w", n, c.at, content.ErrFormat)
	}
	var cid [cidBytes]byte
	if _, err := io.ReadFull(c.r, cid[:]); err != nil {
		return id, 0, fmt.Errorf("CAR block at %d: %w", c.at, unexpected(err))
	}
	if [len(cidPrefix)]byte(cid[:]) != cidPrefix {
		return id, 0, fmt.Errorf("CAR block at %d is not raw sha2-256: %w", c.at, content.ErrFormat)
	}
	c.at += int64(cidBytes)
	c.id, c.left = content.FromSHA256([32]byte(cid[len(cidPrefix):])), n-cidBytes
	return c.id, c.left, nil
}

// Body reads the block that Next has found into buf, which must hold it. The bytes are not hashed.
func (c *Reader) Body(buf []byte) ([]byte, error) {
	b := buf[:c.left]
	n, err := io.ReadFull(c.r, b)
	c.at += int64(n)
	if err != nil {
		return nil, fmt.Errorf("CAR block %s: %w", c.id.Short(), unexpected(err))
	}
	c.left = 0
	return b, nil
}

// pass goes on behind the present block.
func (c *Reader) pass() error {
	if c.left == 0 {
		return nil
	}
	if ahead := c.left - c.r.Buffered(); c.skip != nil && ahead > readAhead {
		// Seeking would go past the end of a file cut short without a word, so the last byte is read.
		_, _ = c.r.Discard(c.r.Buffered())
		if _, err := c.skip.Seek(int64(ahead-1), io.SeekCurrent); err != nil {
			return fmt.Errorf("CAR block %s: %w", c.id.Short(), err)
		}
		c.at += int64(c.left - 1)
		c.left = 1
	}
	n, err := c.r.Discard(c.left)
	c.at += int64(n)
	if err != nil {
		return fmt.Errorf("CAR block %s: %w", c.id.Short(), unexpected(err))
	}
	c.left = 0
	return nil
}

// uvarint reads a length of at most limit, in its shortest form. io.EOF only where nothing was read.
func (c *Reader) uvarint(limit int) (int, error) {
	var v uint64
	for i := range 5 { // 35 bits: more than any limit
		b, err := c.r.ReadByte()
		if err != nil {
			if i > 0 {
				err = unexpected(err)
			}
			return 0, err
		}
		c.at++
		v |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			if (i > 0 && b == 0) || v > uint64(limit) {
				return 0, fmt.Errorf("length %d, at most %d: %w", v, limit, content.ErrFormat)
			}
			return int(v), nil
		}
	}
	return 0, fmt.Errorf("length of too many bytes: %w", content.ErrFormat)
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
