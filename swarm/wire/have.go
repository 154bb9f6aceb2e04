package wire

import (
	"encoding/binary"
	"fmt"

	"patchmesh/content"
)

// MaxGained bounds the indexes of one Gained.
const MaxGained = 4096

const (
	maxHaveBody   = 32 + 3 + 1 + 3 + content.MaxChunks/8
	maxGainedBody = 32 + 2 + MaxGained*3
)

// Have is the full list of what the sender has of a payload.
type Have struct {
	Payload content.ID
	Chunks  int    // of the whole payload, 1 to content.MaxChunks
	Want    bool   // the sender still fetches the missing ones
	Bits    []byte // wire form of content.Bits, exactly Chunks bits
}

// Kind is KindHave.
func (Have) Kind() Kind { return KindHave }

func (h Have) check() error {
	var c checks
	c.that(!h.Payload.IsZero(), "payload")
	c.that(h.Chunks >= 1, "chunks")
	c.size("chunks", h.Chunks, content.MaxChunks)
	if c.err != nil {
		return c.err
	}
	return checkBits(h.Chunks, h.Bits)
}

func (h Have) appendBody(dst []byte) []byte {
	dst = appendID(dst, h.Payload)
	dst = binary.AppendUvarint(dst, uint64(h.Chunks))
	return append(appendBool(dst, h.Want), h.Bits...)
}

func decodeHave(d *decoder) Message {
	h := Have{Payload: d.id("payload"), Chunks: d.int(content.MaxChunks, "chunks"), Want: d.bool("want flag")}
	h.Bits = append([]byte(nil), d.take((h.Chunks+7)/8, "have-bits")...)
	if d.err != nil {
		return nil
	}
	if h.Chunks == 0 {
		d.fail("have-list of no chunks", ErrFormat)
	} else if err := checkBits(h.Chunks, h.Bits); err != nil {
		d.fail("have-list", err)
	}
	return h
}

// checkBits wants exactly n bits: stray ones would make two encodings of one set.
func checkBits(n int, raw []byte) error {
	if len(raw) != (n+7)/8 || n%8 != 0 && raw[len(raw)-1]>>(n%8) != 0 {
		return fmt.Errorf("%d bytes of bits for %d chunks: %w", len(raw), n, ErrFormat)
	}
	return nil
}

// Gained says which chunks the sender has stored since its Have.
type Gained struct {
	Payload content.ID
	Indexes []int // 1 to MaxGained, each below content.MaxChunks
}

// Kind is KindGained.
func (Gained) Kind() Kind { return KindGained }

func (g Gained) check() error {
	var c checks
	c.that(!g.Payload.IsZero(), "payload")
	c.that(len(g.Indexes) > 0, "no indexes")
	c.size("indexes", len(g.Indexes), MaxGained)
	for _, i := range g.Indexes {
		c.size("index", i, content.MaxChunks-1)
	}
	return c.err
}

func (g Gained) appendBody(dst []byte) []byte {
	dst = binary.AppendUvarint(appendID(dst, g.Payload), uint64(len(g.Indexes)))
	for _, i := range g.Indexes {
		dst = binary.AppendUvarint(dst, uint64(i))
	}
	return dst
}

func decodeGained(d *decoder) Message {
	g := Gained{Payload: d.id("payload")}
	n := d.int(MaxGained, "indexes")
	if n == 0 || n > len(d.b) { // each index takes a byte or more: do not allocate for a mere claim
		d.fail("indexes", ErrFormat)
		return nil
	}
	g.Indexes = make([]int, n)
	for i := range g.Indexes {
		g.Indexes[i] = d.int(content.MaxChunks-1, "index")
	}
	return g
}

// Lost says that the sender no longer serves a payload.
type Lost struct{ Payload content.ID }

// Kind is KindLost.
func (Lost) Kind() Kind { return KindLost }

func (l Lost) check() error {
	var c checks
	c.that(!l.Payload.IsZero(), "payload")
	return c.err
}
func (l Lost) appendBody(dst []byte) []byte { return appendID(dst, l.Payload) }
func decodeLost(d *decoder) Message         { return Lost{Payload: d.id("payload")} }

// Synced says that the sender's first Haves are all sent.
type Synced struct{}

// Kind is KindSynced.
func (Synced) Kind() Kind                   { return KindSynced }
func (Synced) check() error                 { return nil }
func (Synced) appendBody(dst []byte) []byte { return dst }

// Lease claims or releases the WAN lease of a payload for the site.
type Lease struct {
	Payload content.ID
	Held    bool
}

// Kind is KindLease.
func (Lease) Kind() Kind { return KindLease }

func (l Lease) check() error {
	var c checks
	c.that(!l.Payload.IsZero(), "payload")
	return c.err
}
func (l Lease) appendBody(dst []byte) []byte { return appendBool(appendID(dst, l.Payload), l.Held) }
func decodeLease(d *decoder) Message {
	return Lease{Payload: d.id("payload"), Held: d.bool("held flag")}
}
