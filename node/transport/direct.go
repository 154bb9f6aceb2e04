package transport

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// protoData names a connection that carries one chunk stream right on TLS. TLS itself negotiates it, in
// the place of a muxer: who does not know it does not take the connection.
const protoData protocol.ID = "/patchmesh/data/1"

// direct is the muxer of data connections: it muxes nothing.
type direct struct{}

// NewConn implements network.Multiplexer.
func (direct) NewConn(c net.Conn, _ bool, _ network.PeerScope) (network.MuxedConn, error) {
	t, ok := c.(interface{ NetConn() net.Conn })
	if !ok {
		return nil, ErrProtocol
	}
	raw, ok := t.NetConn().(*rawConn)
	if !ok {
		return nil, ErrProtocol
	}
	return &directConn{frames: &frames{Conn: c, raw: raw}}, nil
}

// directConn is a connection that is its only stream.
type directConn struct {
	frames *frames
	given  atomic.Bool
	closed atomic.Bool
	once   sync.Once
}

func (c *directConn) stream() (network.MuxedStream, error) {
	if c.given.Swap(true) {
		return nil, io.EOF
	}
	return directStream{c}, nil
}

// OpenStream gives the one stream, once.
func (c *directConn) OpenStream(context.Context) (network.MuxedStream, error) { return c.stream() }

// AcceptStream gives the one stream, once.
func (c *directConn) AcceptStream() (network.MuxedStream, error) { return c.stream() }

func (c *directConn) IsClosed() bool { return c.closed.Load() }
func (c *directConn) As(any) bool    { return false }

// Close closes the socket and only then TLS, which would wait for a peer that does not read.
func (c *directConn) Close() error {
	var err error
	c.once.Do(func() {
		c.closed.Store(true)
		err = c.frames.raw.Close()
		_ = c.frames.Conn.Close()
	})
	return err
}

func (c *directConn) CloseWithError(network.ConnErrorCode) error { return c.Close() }

// directStream has no halves: whatever ends it ends the connection.
type directStream struct{ c *directConn }

// Read has the gatherer below TLS sleep only within a chunk. What offers little room reads ahead, and
// more than what is next may never come.
func (s directStream) Read(p []byte) (int, error) {
	if len(p) <= readBufferBytes {
		s.c.frames.raw.gather.want = 0
		return s.c.frames.Conn.Read(p)
	}
	return s.c.frames.Read(p)
}

func (s directStream) Write(p []byte) (int, error) { return s.c.frames.Write(p) }
func (s directStream) Close() error                { return s.c.Close() }
func (s directStream) CloseWrite() error           { return s.c.Close() }
func (s directStream) CloseRead() error            { return s.c.Close() }
func (s directStream) Reset() error                { return s.c.Close() }

func (s directStream) ResetWithError(network.StreamErrorCode) error { return s.c.Close() }

func (s directStream) SetDeadline(t time.Time) error     { return s.SetReadDeadline(t) }
func (s directStream) SetReadDeadline(t time.Time) error { return s.c.frames.raw.SetReadDeadline(t) }

// SetWriteDeadline does nothing: every write has the stall limit of the socket, and a record that left in
// part would be the end of TLS.
func (s directStream) SetWriteDeadline(time.Time) error { return nil }
