package transport

import (
	"errors"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	manet "github.com/multiformats/go-multiaddr/net"
)

// closeGrace separates the deadline that TLS sets for its last alert from yamux's general ones.
const closeGrace = 6 * time.Second

var errStrangerBytes = errors.New("a stranger sent too much")

// rawConn is the TCP connection under a link. It sees every byte, so it is where silence, stalled
// writes and the byte limit of strangers are measured.
type rawConn struct {
	manet.Conn
	clock *clock
	stall time.Duration

	readAt  atomic.Int64 // clock of the last byte in
	wroteAt atomic.Int64 // clock of the last byte out

	limited atomic.Bool // until the peer is admitted
	left    int64       // bytes a stranger may still send; owned by the reader

	deadlineAt atomic.Int64 // clock at which the write deadline was last moved
	closing    atomic.Bool  // TLS has set its own last deadline

	gather gather // owned by the reader, but for letGo
	out    batch
	handed handed

	closeOnce sync.Once
	onClose   func()
}

func newRawConn(c manet.Conn, clock *clock, stall time.Duration) *rawConn {
	r := &rawConn{Conn: c, clock: clock, stall: stall}
	if sc, ok := c.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			r.gather.sys = raw
			tuneSocket(raw)
		}
	}
	now := clock.now()
	r.readAt.Store(int64(now))
	r.wroteAt.Store(int64(now))
	r.deadlineAt.Store(int64(-stall))
	return r
}

// limit lets a stranger send n bytes, handshake included.
func (r *rawConn) limit(n int64) {
	r.left = n
	r.limited.Store(true)
}

func (r *rawConn) unlimit() { r.limited.Store(false) }

func (r *rawConn) Read(b []byte) (int, error) {
	limited := r.limited.Load()
	if limited {
		if r.left <= 0 {
			_ = r.Close()
			return 0, errStrangerBytes
		}
		b = b[:min(int64(len(b)), r.left)]
	}
	var n int
	var err error
	if limited {
		n, err = r.receive(b)
		r.left -= int64(n)
	} else {
		n, err = r.gather.read(r, b)
	}
	r.gather.tls.feed(b[:n])
	return n, err
}

// receive reads from the socket.
func (r *rawConn) receive(b []byte) (int, error) {
	n, err := r.Conn.Read(b)
	if n > 0 {
		r.heardNow()
	}
	return n, err
}

func (r *rawConn) heardNow() { r.readAt.Store(int64(r.clock.now())) }

// SetWriteDeadline takes only the near deadlines with which TLS bounds its closing alert.
func (r *rawConn) SetWriteDeadline(t time.Time) error {
	if t.IsZero() || time.Until(t) > closeGrace {
		return nil
	}
	r.closing.Store(true)
	return r.Conn.SetWriteDeadline(t)
}

// SetDeadline moves the read half; the write half has the stall limit.
func (r *rawConn) SetDeadline(t time.Time) error { return r.Conn.SetReadDeadline(t) }

func (r *rawConn) Close() error {
	var err error
	r.closeOnce.Do(func() {
		err = r.Conn.Close()
		if r.onClose != nil {
			r.onClose()
		}
	})
	return err
}

// clock is monotonic time since the host's start: a corrected wall clock must not end sessions.
type clock struct{ start time.Time }

func (c *clock) now() time.Duration { return time.Since(c.start) }
