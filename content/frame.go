package content

import (
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// A frame is any text packed on its own, for what travels beside payloads: one zstd frame that tells its plain size.

const (
	// MaxFramePlain bounds what a frame may hold.
	MaxFramePlain = 8 << 20
	// MaxFrameRatio is how many times larger than a frame its text may be. Rows of a table that differ in nothing but
	// their numbers pack to a fiftieth.
	MaxFrameRatio = 256
	frameWindow   = 1 << 19
)

var framePackers = sync.Pool{New: func() any {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false),
		zstd.WithWindowSize(frameWindow))
	if err != nil {
		panic(err) // constant options: cannot happen
	}
	return e
}}

// frameOpeners write into a buffer of the size that was told and checked, and never beyond it.
var frameOpeners = sync.Pool{New: func() any {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(MaxFramePlain), zstd.WithDecoderMaxMemory(MaxFramePlain), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		panic(err) // constant options: cannot happen
	}
	return d
}}

// AppendFrame packs a text of 256 to MaxFramePlain bytes behind dst. One that packs better than MaxFrameRatio, since it is
// the same words again and again, is filled up with a frame to be skipped, or nobody would open it.
func AppendFrame(dst, plain []byte) []byte {
	e := framePackers.Get().(*zstd.Encoder)
	defer framePackers.Put(e)
	head := len(dst)
	dst = e.EncodeAll(plain, dst)
	if lacks := len(plain)/MaxFrameRatio + 1 - (len(dst) - head); lacks > 0 {
		dst = binary.LittleEndian.AppendUint32(dst, skippedFrame)
		dst = binary.LittleEndian.AppendUint32(dst, uint32(lacks))
		dst = append(dst, make([]byte, lacks)...)
	}
	return dst
}

// skippedFrame is the mark of a frame that a zstd decoder skips (RFC 8878, 3.1.2); its size follows.
const skippedFrame = 0x184D2A50

// OpenFrame opens a frame from anybody. What it tells of its size is looked at before any of it is opened, and holds
// while it is. ErrFormat, and whatever the decoder finds.
func OpenFrame(frame []byte) ([]byte, error) {
	var h zstd.Header
	if err := h.Decode(frame); err != nil {
		return nil, err
	}
	size := h.FrameContentSize
	switch {
	case h.Skippable || !h.HasFCS || size == 0:
		return nil, fmt.Errorf("a frame that is not ours: %w", ErrFormat)
	case size > MaxFramePlain || size > MaxFrameRatio*uint64(len(frame)):
		return nil, fmt.Errorf("%d bytes would become %d: %w", len(frame), size, ErrFormat)
	}
	d := frameOpeners.Get().(*zstd.Decoder)
	defer frameOpeners.Put(d)
	plain, err := d.DecodeAll(frame, make([]byte, 0, size))
	if err != nil {
		return nil, err
	}
	if uint64(len(plain)) != size {
		return nil, fmt.Errorf("%d bytes instead of %d: %w", len(plain), size, ErrFormat)
	}
	return plain, nil
}
