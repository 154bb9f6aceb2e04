package wire

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// MaxFrameBytes bounds any frame of the mesh stream: kind byte and body, without the length itself.
// Most kinds are bounded far tighter, before their body is read.
const MaxFrameBytes = 1<<20 + 64<<10

// Kind is the first byte of a frame. The numbers are wire format: they are only ever added to.
type Kind byte

// The kinds of messages.
const (
	KindHello Kind = iota + 1
	KindReady
	KindFlags
	KindHead
	KindHave
	KindGained
	KindLost
	KindSynced
	KindLease
	KindReport
	KindReportAck
	KindPeers
	KindPing
	KindGoodbye
	KindGossipKeyAsk
	KindGossipKey
	KindSpent
	KindGate
	KindTrail
	KindRelay
	KindCard
	KindSitePeers
	KindRole
)

// Message is one frame of the mesh stream. The types of this package implement it, as plain values.
type Message interface {
	Kind() Kind
	check() error
	appendBody(dst []byte) []byte
}

// kindInfo is what the decoder must know of a kind before it trusts a single byte of the body.
type kindInfo struct {
	name      string
	mostBytes int // of the body
	decode    func(d *decoder) Message
}

var kinds = [...]kindInfo{
	KindHello:     {"hello", maxHelloBody, decodeHello},
	KindReady:     {"ready", 0, func(*decoder) Message { return Ready{} }},
	KindFlags:     {"flags", 1, decodeFlags},
	KindHead:      {"head", MaxTimestampBytes + 4, decodeHead},
	KindHave:      {"have", maxHaveBody, decodeHave},
	KindGained:    {"gained", maxGainedBody, decodeGained},
	KindLost:      {"lost", 32, decodeLost},
	KindSynced:    {"synced", 0, func(*decoder) Message { return Synced{} }},
	KindLease:     {"lease", 33, decodeLease},
	KindReport:    {"report", maxReportBody, decodeReport},
	KindReportAck: {"report-ack", maxReportAckBody, decodeReportAck},
	KindPeers:     {"peers", maxPeersBody, decodePeers},
	KindPing:      {"ping", 0, func(*decoder) Message { return Ping{} }},
	KindGoodbye:   {"goodbye", maxGoodbyeBody, decodeGoodbye},

	KindGossipKeyAsk: {"gossip-key-ask", maxVarint, decodeGossipKeyAsk},
	KindGossipKey:    {"gossip-key", maxVarint + GossipKeyBytes, decodeGossipKey},

	KindSpent: {"spent", maxSpentBody, decodeSpent},
	KindGate:  {"gate", maxGateBody, decodeGate},
	KindTrail: {"trail", maxTrailBody, decodeTrail},
	KindRelay: {"relay", 33, decodeRelay},
	KindCard:  {"card", maxCardBody, decodeCard},

	KindSitePeers: {"site-peers", maxSitePeersBody, decodeSitePeers},
	KindRole:      {"role", 1, decodeRole},
}

// String is the name of the kind, for logs.
func (k Kind) String() string {
	if k.known() {
		return kinds[k].name
	}
	return fmt.Sprintf("kind-%d", byte(k))
}

func (k Kind) known() bool { return int(k) < len(kinds) && kinds[k].decode != nil }

// Encode appends the frame of m, length included, to dst. ErrTooLarge or ErrFormat if m holds what
// the other side would refuse; dst is then returned as it was.
func Encode(dst []byte, m Message) ([]byte, error) {
	if err := m.check(); err != nil {
		return dst, fmt.Errorf("encode %s: %w", m.Kind(), err)
	}
	start := len(dst)
	// The length goes in front of a body whose size is known only afterwards: leave room for the
	// longest length, then move it up against the body.
	const room = 4
	dst = append(dst, make([]byte, room)...)
	dst = append(dst, byte(m.Kind()))
	dst = m.appendBody(dst)
	size := len(dst) - start - room
	if most := kinds[m.Kind()].mostBytes; size-1 > most {
		return dst[:start], fmt.Errorf("encode %s of %d bytes: %w", m.Kind(), size, ErrTooLarge)
	}
	var head [binary.MaxVarintLen64]byte
	n := binary.PutUvarint(head[:], uint64(size))
	copy(dst[start+room-n:], head[:n])
	return append(dst[:start], dst[start+room-n:]...), nil
}

// Decode reads one whole frame, length included. Anything before or behind it is an error.
func Decode(b []byte) (Message, error) {
	d := decoder{b: b}
	size := d.int(MaxFrameBytes, "frame length")
	if d.err != nil {
		return nil, d.err
	}
	if size != len(d.b) {
		return nil, fmt.Errorf("frame of %d bytes, length says %d: %w", len(d.b), size, ErrFormat)
	}
	return decodeFrame(d.b)
}

// decodeFrame reads kind byte and body.
func decodeFrame(b []byte) (Message, error) {
	if len(b) == 0 {
		return nil, fmt.Errorf("empty frame: %w", ErrFormat)
	}
	k := Kind(b[0])
	if !k.known() {
		return nil, fmt.Errorf("message of %s: %w", k, ErrFormat)
	}
	if len(b)-1 > kinds[k].mostBytes {
		return nil, fmt.Errorf("%s of %d bytes: %w", k, len(b), ErrTooLarge)
	}
	d := &decoder{b: b[1:]}
	m := kinds[k].decode(d)
	if err := d.end(); err != nil {
		return nil, fmt.Errorf("decode %s: %w", k, err)
	}
	return m, nil
}

// ReadMessage reads the next message. When only is given, any other kind is ErrUnexpected, refused
// before its body is read: that is how strangers are kept to their hello. io.EOF only at the end
// between two frames. The reader must buffer at least 16 bytes.
func ReadMessage(r *bufio.Reader, only ...Kind) (Message, error) {
	size, err := readLength(r)
	if err != nil {
		return nil, err
	}
	first, err := r.ReadByte()
	if err != nil {
		return nil, unexpectedEnd(err)
	}
	k := Kind(first)
	switch {
	case !k.known():
		return nil, fmt.Errorf("message of %s: %w", k, ErrFormat)
	case len(only) > 0 && !contains(only, k):
		return nil, fmt.Errorf("%s at this time: %w", k, ErrUnexpected)
	case size-1 > kinds[k].mostBytes:
		return nil, fmt.Errorf("%s of %d bytes: %w", k, size, ErrTooLarge)
	}
	frame := make([]byte, size)
	frame[0] = first
	if _, err := io.ReadFull(r, frame[1:]); err != nil {
		return nil, unexpectedEnd(err)
	}
	return decodeFrame(frame)
}

// readLength reads the length of a frame from the reader's own buffer.
func readLength(r *bufio.Reader) (int, error) {
	size, shift := 0, 0
	for {
		b, err := r.ReadByte()
		if err != nil {
			if shift > 0 {
				err = unexpectedEnd(err)
			}
			return 0, err
		}
		size |= int(b&0x7f) << shift
		if b < 0x80 {
			if b == 0 { // empty, or not the shortest form
				return 0, fmt.Errorf("frame length: %w", ErrFormat)
			}
			break
		}
		if shift += 7; shift > 14+7 { // four bytes reach 2^28, far above the limit
			return 0, fmt.Errorf("frame length: %w", ErrTooLarge)
		}
	}
	if size > MaxFrameBytes {
		return 0, fmt.Errorf("frame of %d bytes: %w", size, ErrTooLarge)
	}
	return size, nil
}

func contains(list []Kind, k Kind) bool {
	for _, x := range list {
		if x == k {
			return true
		}
	}
	return false
}

// unexpectedEnd tells an end within a frame from one between frames.
func unexpectedEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// WriteMessage encodes m and writes it in one call.
func WriteMessage(w io.Writer, m Message) error {
	b, err := Encode(nil, m)
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}
