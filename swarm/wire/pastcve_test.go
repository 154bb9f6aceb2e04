package wire

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"testing"
)

// S-PASTCVE, messages: advisories of peer-to-peer protocols.
func TestPastCVEs(t *testing.T) {
	for _, c := range []struct {
		id, of, here string
		attack       func(t *testing.T)
	}{
		{"CVE-2021-21404", "Syncthing", "a length that is negative, or none, ends the relay", func(t *testing.T) {
			for _, n := range []uint64{0, 1 << 31, math.MaxInt32 + 1, 1 << 63, math.MaxUint64} {
				b := binary.AppendUvarint(nil, n)
				if m, err := ReadMessage(bufio.NewReader(bytes.NewReader(append(b, 1, 2, 3)))); err == nil {
					t.Errorf("length %d gave %T", n, m)
				}
			}
		}},
		{"CVE-2022-23492", "go-libp2p", "a stranger makes us take memory for what it only promises", func(t *testing.T) {
			b := binary.AppendUvarint(nil, 1<<30)
			r := &counting{r: bytes.NewReader(append(append(b, byte(KindHello)), make([]byte, 1<<20)...))}
			if _, err := ReadMessage(bufio.NewReaderSize(r, 64), KindHello); !errors.Is(err, ErrTooLarge) {
				t.Fatalf("%v, want ErrTooLarge", err)
			}
			if r.n > 64<<10 {
				t.Fatalf("%d bytes were read", r.n)
			}
		}},
		{"CVE-2023-40583", "go-libp2p", "signed addresses without end fill the memory", func(t *testing.T) {
			many := Peers{Peers: make([]PeerAddr, MaxPeerHints+1)}
			for i := range many.Peers {
				many.Peers[i] = PeerAddr{ID: "p", Addr: "192.0.2.1:7700"}
			}
			if _, err := Encode(nil, many); err == nil {
				t.Fatal("more addresses than allowed were sent")
			}
			many.Peers = many.Peers[:MaxPeerHints]
			b, err := Encode(nil, many)
			if err != nil {
				t.Fatal(err)
			}
			kind := bytes.IndexByte(b, byte(KindPeers))
			evil := bytes.Clone(b)
			for i := kind + 1; i < kind+3; i++ { // the count
				evil[i] = 0x7f
			}
			if _, err := Decode(evil); err == nil {
				t.Fatal("a count beyond the limit was taken")
			}
		}},
		{"CVE-2023-25568", "go-bitswap", "wants for things that do not exist pile up", func(t *testing.T) {
			for _, h := range []Have{{Payload: someID, Chunks: 0}, {Payload: someID, Chunks: 1 << 30, Bits: []byte{1}}, {Payload: someID, Chunks: 9, Bits: []byte{1}}} {
				if _, err := Encode(nil, h); err == nil {
					t.Errorf("%d chunks with %d bytes of bits were sent", h.Chunks, len(h.Bits))
				}
			}
		}},
		{"CVE-2025-59351", "Dragonfly", "a message cut short is used although decoding has failed", func(t *testing.T) {
			for _, m := range []Message{Hello{Version: 1, Port: 7700, Cert: []byte("c")}, Head{Timestamp: []byte("ts")}, Lease{Payload: someID, Held: true}, Report{Machine: "m", Seq: 1, Body: []byte("b")}} {
				b, err := Encode(nil, m)
				if err != nil {
					t.Fatal(err)
				}
				for i := range b {
					if got, err := Decode(b[:i]); err == nil || got != nil {
						t.Fatalf("%T cut to %d bytes: %v, %v", m, i, got, err)
					}
				}
			}
		}},
		{"CVE-2020-11651", "Salt", "a stranger calls what only members may call", func(t *testing.T) {
			for _, m := range []Message{Head{Timestamp: []byte("ts")}, Report{Machine: "m", Seq: 1, Body: []byte("b")}, Lease{Payload: someID}, Peers{Peers: []PeerAddr{{ID: "p", Addr: "192.0.2.1:1"}}}} {
				b, err := Encode(nil, m)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := ReadMessage(bufio.NewReader(bytes.NewReader(b)), KindHello); !errors.Is(err, ErrUnexpected) {
					t.Errorf("%T before hello: %v, want ErrUnexpected", m, err)
				}
			}
		}},
	} {
		t.Run(c.id+" "+c.of, func(t *testing.T) {
			t.Log(c.here)
			c.attack(t)
		})
	}
}

// counting counts what is read.
type counting struct {
	r io.Reader
	n int
}

func (c *counting) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += n
	return n, err
}
