package transport

import (
	"net"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
)

// eager is yamux, told how much it is waiting for.
type eager struct{ *yamux.Transport }

// NewConn implements network.Multiplexer.
func (e eager) NewConn(c net.Conn, isServer bool, scope network.PeerScope) (network.MuxedConn, error) {
	if t, ok := c.(interface{ NetConn() net.Conn }); ok {
		if raw, ok := t.NetConn().(*rawConn); ok {
			c = &frames{Conn: c, raw: raw}
		}
	}
	return e.Transport.NewConn(c, isServer, scope)
}

// frames is the plain side of TLS as yamux sees it. yamux reads a header, then the whole frame behind
// it, each with one io.ReadFull: the room that it offers is what it is waiting for.
type frames struct {
	net.Conn
	raw *rawConn
}

// Read is called by one goroutine, the one that comes to rawConn.Read below TLS.
func (f *frames) Read(p []byte) (int, error) {
	f.raw.gather.want = len(p)
	return f.Conn.Read(p)
}

// Write counts what is handed down. It is called by one goroutine where there is much to write.
func (f *frames) Write(p []byte) (int, error) {
	n, err := f.write(p)
	f.raw.handed.add(n)
	return n, err
}

// write is one system call for many records where there is much to write.
func (f *frames) write(p []byte) (int, error) {
	if len(p) <= recordBytes || f.raw.queued() {
		return f.Conn.Write(p)
	}
	f.raw.gatherWrites()
	n, err := f.Conn.Write(p)
	if sendErr := f.raw.sendGathered(); err == nil && sendErr != nil {
		return 0, sendErr
	}
	return n, err
}
