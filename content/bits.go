package content

import (
	"fmt"
	"math/bits"
)

// MaxChunks bounds the chunks of one payload: 1 TiB in chunks of 1 MiB.
const MaxChunks = 1 << 20

// Bits is a set of chunk numbers 0 to Len()-1. Not safe for concurrent use; the zero value is an empty
// set of none.
type Bits struct {
	n, count int
	words    []uint64
}

// NewBits makes an empty set of n, which must not be negative.
func NewBits(n int) *Bits { return &Bits{n: n, words: make([]uint64, (n+63)/64)} }

// FullBits makes the set of all n.
func FullBits(n int) *Bits {
	b := NewBits(n)
	for w := range b.words {
		b.words[w] = ^uint64(0)
	}
	if n&63 != 0 {
		b.words[len(b.words)-1] = 1<<(n&63) - 1
	}
	b.count = n
	return b
}

// Len is the number of chunks that could be in the set.
func (b *Bits) Len() int { return b.n }

// Count is how many are in the set.
func (b *Bits) Count() int { return b.count }

// Full says whether all are in the set.
func (b *Bits) Full() bool { return b.count == b.n }

// Has says whether i is in the set; out of range is not.
func (b *Bits) Has(i int) bool {
	return i >= 0 && i < b.n && b.words[i>>6]&(1<<(i&63)) != 0
}

// Set adds i and says whether it was new. Out of range is ignored.
func (b *Bits) Set(i int) bool {
	if i < 0 || i >= b.n || b.Has(i) {
		return false
	}
	b.words[i>>6] |= 1 << (i & 63)
	b.count++
	return true
}

// Clear takes i out.
func (b *Bits) Clear(i int) {
	if b.Has(i) {
		b.words[i>>6] &^= 1 << (i & 63)
		b.count--
	}
}

// Clone copies the set.
func (b *Bits) Clone() *Bits {
	return &Bits{n: b.n, count: b.count, words: append([]uint64(nil), b.words...)}
}

// NextMissing is the first number from on that is not in the set; -1 if there is none.
func (b *Bits) NextMissing(from int) int {
	from = max(from, 0)
	for w := from >> 6; w < len(b.words); w++ {
		free := ^b.words[w]
		if w == from>>6 {
			free &= ^uint64(0) << (from & 63)
		}
		if free != 0 {
			if i := w<<6 + bits.TrailingZeros64(free); i < b.n {
				return i
			}
			return -1
		}
	}
	return -1
}

// Word is the part of the set from 64*w on, lowest number first; zero beyond the end.
func (b *Bits) Word(w int) uint64 {
	if w < 0 || w >= len(b.words) {
		return 0
	}
	return b.words[w]
}

// Bytes is the wire form: bit i of the set is bit i%8 of byte i/8.
func (b *Bits) Bytes() []byte {
	out := make([]byte, (b.n+7)/8)
	for i := range out {
		out[i] = byte(b.words[i>>3] >> (8 * (i & 7)))
	}
	return out
}

// BitsFromBytes reads the wire form of a set of n. It refuses a wrong length and bits beyond n:
// there is exactly one form of a set.
func BitsFromBytes(n int, raw []byte) (*Bits, error) {
	if n < 0 || n > MaxChunks {
		return nil, fmt.Errorf("have-bits for %d chunks: %w", n, ErrFormat)
	}
	if len(raw) != (n+7)/8 {
		return nil, fmt.Errorf("have-bits: %d bytes for %d chunks: %w", len(raw), n, ErrFormat)
	}
	b := NewBits(n)
	for i, x := range raw {
		b.words[i>>3] |= uint64(x) << (8 * (i & 7))
		b.count += bits.OnesCount8(x)
	}
	if n&63 != 0 && b.words[len(b.words)-1]>>(n&63) != 0 {
		return nil, fmt.Errorf("have-bits: stray bits beyond %d: %w", n, ErrFormat)
	}
	return b, nil
}
