package bundle

import (
	"encoding/binary"
	"fmt"
	"io"

	"patchmesh/content"
)

// Run is the block that stands before chunks in a volume and says which they are. The CID of a block
// names the chunk as it is stored, and only the run says where in the payload it belongs.
type Run struct {
	Payload content.ID
	First   int           // the chunk that bit 0 stands for
	Bits    *content.Bits // which chunks follow, in order
}

// The run block: magic, payload (32), first chunk (4), number of bits (4), bits.
const (
	runMagic  = "pmrun\x00\x01\n"
	runHeader = len(runMagic) + 32 + 4 + 4
	// MaxRunBytes bounds a run block.
	MaxRunBytes = runHeader + content.MaxChunks/8
)

// Encode writes the block.
func (r Run) Encode() []byte {
	sum := r.Payload.SHA256()
	b := append(make([]byte, 0, runHeader+(r.Bits.Len()+7)/8), runMagic...)
	b = append(b, sum[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(r.First))
	b = binary.BigEndian.AppendUint32(b, uint32(r.Bits.Len()))
	return append(b, r.Bits.Bytes()...)
}

// IsRun says whether a block begins like a run.
func IsRun(b []byte) bool { _, ok := cut(b, []byte(runMagic)); return ok }

// DecodeRun reads the block. ErrFormat.
func DecodeRun(b []byte) (Run, error) {
	if len(b) < runHeader || len(b) > MaxRunBytes || !IsRun(b) {
		return Run{}, fmt.Errorf("run block of %d bytes: %w", len(b), content.ErrFormat)
	}
	r := Run{Payload: content.FromSHA256([32]byte(b[len(runMagic):]))}
	first, n := binary.BigEndian.Uint32(b[len(runMagic)+32:]), binary.BigEndian.Uint32(b[len(runMagic)+36:])
	if r.Payload.IsZero() || first > content.MaxChunks || n == 0 || n > content.MaxChunks-first {
		return Run{}, fmt.Errorf("run of %d chunks from %d: %w", n, first, content.ErrFormat)
	}
	bits, err := content.BitsFromBytes(int(n), b[runHeader:])
	if err != nil {
		return Run{}, err
	}
	r.First, r.Bits = int(first), bits
	return r, nil
}

// Frame is one chunk on its way between a node and the program that reads or writes the medium.
type Frame struct {
	Payload content.ID
	Index   int
	Bytes   int
}

// FrameBytes is the length of a frame's head; the chunk as it is stored follows.
const FrameBytes = 32 + 4 + 4

// endIndex marks the end: a stream that was cut off has none.
const endIndex = 1<<32 - 1

// AppendFrame writes the head of a frame.
func AppendFrame(dst []byte, f Frame) []byte {
	sum := f.Payload.SHA256()
	dst = append(dst, sum[:]...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(f.Index))
	return binary.BigEndian.AppendUint32(dst, uint32(f.Bytes))
}

// AppendEnd writes the end of a stream of frames.
func AppendEnd(dst []byte) []byte { return AppendFrame(dst, Frame{Index: endIndex}) }

// ReadFrame reads the head of a frame. io.EOF at the marked end, io.ErrUnexpectedEOF without one, ErrFormat.
func ReadFrame(r io.Reader) (Frame, error) {
	var b [FrameBytes]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return Frame{}, fmt.Errorf("frame: %w", unexpected(err))
	}
	index, n := binary.BigEndian.Uint32(b[32:]), binary.BigEndian.Uint32(b[36:])
	if index == endIndex {
		return Frame{}, io.EOF
	}
	if index >= content.MaxChunks || n == 0 || n > content.MaxChunkBytes {
		return Frame{}, fmt.Errorf("frame of chunk %d with %d bytes: %w", index, n, content.ErrFormat)
	}
	return Frame{Payload: content.FromSHA256([32]byte(b[:])), Index: int(index), Bytes: int(n)}, nil
}
