package transport

import (
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// plainPipe is what yamux stands on, without TLS and sockets: what is written has left when the other end has read it.
type plainPipe struct {
	net.Conn
	raw *rawConn
}

func (p plainPipe) Write(b []byte) (int, error) { return (&frames{Conn: p.Conn, raw: p.raw}).Write(b) }

// A chunk that shares its connection counts as sent when it has left, not when the muxer has taken it: its slot would go
// to the next one, until megabytes lie in front of every word to that peer.
func TestChunkOnASharedConnectionCountsAsSentWhenItHasLeft(t *testing.T) {
	a, b := net.Pipe()
	defer b.Close()
	clk := &clock{start: time.Now()}
	raw := &rawConn{clock: clk, stall: time.Minute}
	mc, err := muxer(0).NewConn(plainPipe{a, raw}, false, &network.NullScope{})
	if err != nil {
		t.Fatal(err)
	}
	defer mc.Close()
	var read atomic.Int64
	go func() {
		buf := make([]byte, 1<<10)
		for {
			n, err := b.Read(buf)
			read.Add(int64(n))
			if err != nil {
				return
			}
		}
	}()
	ms, err := mc.OpenStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s := &session{h: &Host{t: Timing{Stall: time.Minute}}, l: &link{closed: make(chan struct{})}}
	srv := &server{s: s, st: &stream{MuxedStream: ms, raw: raw}}
	chunk := make([]byte, 4*muxPieceBytes)
	if err := srv.sendPaced(chunk); err != nil {
		t.Fatal(err)
	}
	if got := read.Load(); got < int64(len(chunk)) {
		t.Errorf("counted as sent when %d of %d bytes had left", got, len(chunk))
	}
}

// Whoever waits for a chunk to leave hears of the end of its link.
func TestWhatNeverLeavesEndsWithItsLink(t *testing.T) {
	var h handed
	stop := make(chan struct{})
	ended := make(chan bool)
	go func() { ended <- h.reaches(1, stop) }()
	close(stop)
	if <-ended {
		t.Error("a byte that never left is said to have left")
	}
	h.add(1)
	if !h.reaches(1, nil) {
		t.Error("a byte that has left is waited for")
	}
}
