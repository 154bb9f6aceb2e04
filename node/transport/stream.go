package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/multiformats/go-multistream"
)

// stream is one libp2p stream with its place in the resource manager. It is a net.Conn.
type stream struct {
	network.MuxedStream
	scope network.StreamManagementScope
	raw   *rawConn
	once  sync.Once
	until time.Time // the write deadline that writeAll has set last
}

// Close ends both halves; what was written still arrives.
func (s *stream) Close() error {
	err := s.MuxedStream.Close()
	s.once.Do(s.scope.Done)
	return err
}

// Reset ends both halves at once, at both ends.
func (s *stream) Reset() error {
	err := s.MuxedStream.Reset()
	s.once.Do(s.scope.Done)
	return err
}

// LocalAddr is the address of the connection below.
func (s *stream) LocalAddr() net.Addr { return s.raw.LocalAddr() }

// RemoteAddr is the address of the connection below.
func (s *stream) RemoteAddr() net.Addr { return s.raw.RemoteAddr() }

// writeAll writes b. It fails with ErrTooSlow once no byte has moved for stall, or a quarter longer: a deadline is
// a timer of the muxer, and to set one for each of many small messages costs more than to encode them.
func (s *stream) writeAll(b []byte, stall time.Duration) error {
	for len(b) > 0 {
		if now := time.Now(); s.until.Sub(now) < stall {
			s.until = now.Add(stall + stall/4)
			if err := s.SetWriteDeadline(s.until); err != nil {
				return err
			}
		}
		n, err := s.Write(b)
		b = b[n:]
		if err != nil && !(isTimeout(err) && n > 0) {
			if isTimeout(err) {
				return fmt.Errorf("%w: no byte taken for %s", ErrTooSlow, stall)
			}
			return err
		}
	}
	return nil
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}

// open opens a stream for proto on the link.
func (l *link) open(ctx context.Context, proto protocol.ID) (*stream, error) {
	ctx, cancel := context.WithTimeout(ctx, l.h.t.Hello)
	defer cancel()
	scope, err := l.h.stack.rcmgr.OpenStream(l.peer, network.DirOutbound)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", proto, err)
	}
	ms, err := l.conn.OpenStream(ctx)
	if err != nil {
		scope.Done()
		return nil, fmt.Errorf("open %s: %w: %w", proto, ErrGone, err)
	}
	st := &stream{MuxedStream: ms, scope: scope, raw: l.raw}
	stop := context.AfterFunc(ctx, func() { _ = st.Reset() })
	err = errors.Join(multistream.SelectProtoOrFail(proto, ms), scope.SetProtocol(proto))
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = st.Reset()
		if errors.Is(err, multistream.ErrNotSupported[protocol.ID]{}) {
			return nil, fmt.Errorf("open %s: %w: %w", proto, ErrProtocol, err)
		}
		return nil, fmt.Errorf("open %s: %w: %w", proto, ErrGone, err)
	}
	return st, nil
}
