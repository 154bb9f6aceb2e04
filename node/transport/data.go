package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// Data connections. Where much flows, whoever asks for chunks opens a second connection to the same peer,
// proven in the same way, that carries the frames of a chunk stream without a muxer: no windows, one copy
// less and fewer goroutines to wake. It belongs to the session and ends with it. Where it cannot be had,
// since the peer is older, or cannot be dialled because of a firewall, the stream stays what is used.
const (
	// dataAfterBytes of chunks are received, or expected beside what came, before. A connection costs its handshakes, some
	// 1.4 ms of both processors, and acknowledgements of its own, which else go along with chunks the other way; it saves
	// some 0.7 ms for each megabyte. Where each of 24 machines had 2.7 MB for each other, all of them together took a fifth
	// of the processors, most of it while the first chunks went round.
	dataAfterBytes = 4 << 20
	// dataRetry is how long nothing is tried after one was opened, and for how long one lies idle before it is given up.
	// After a failure it is dataAgain, twice as long after each more, until it is that long too: at the beginning of a
	// large site many dial one machine at once, and its door has few seats.
	dataRetry = time.Minute
	dataAgain = time.Second
	// dataReady is the first byte from the side that serves: it has found the session.
	dataReady = '+'

	// What is read at once on the side that fetches and on the one that only reads asks.
	dataGatherBytes = 128 << 10
	asksGatherBytes = 8 << 10
)

// dataEnd is one session's share in data connections. Guarded by session.mu.
type dataEnd struct {
	serving *link // that the peer has opened: its last
	trying  bool
	notYet  time.Duration // clock before which none is opened
	fails   int           // attempts in vain since the last one that was not
}

// pause is for how long nothing is tried after an attempt.
func (d *dataEnd) pause(h *Host, err error) time.Duration {
	if err == nil {
		d.fails = 0
		return h.dataRetry
	}
	pause := min(h.dataAgain<<d.fails, h.dataRetry)
	d.fails = min(d.fails+1, 16)
	return pause
}

// isData says whether a link is a data connection.
func (l *link) isData() bool { return l.conn.ConnState().StreamMultiplexer == protoData }

// single gives the one stream of a data connection.
func (l *link) single(dir network.Direction) (*stream, error) {
	scope, err := l.h.stack.rcmgr.OpenStream(l.peer, dir)
	if err != nil {
		return nil, err
	}
	ms, err := l.conn.AcceptStream()
	if err == nil {
		err = scope.SetProtocol(protoData)
	}
	if err != nil {
		scope.Done()
		return nil, err
	}
	return &stream{MuxedStream: ms, scope: scope, raw: l.raw}, nil
}

// serveData serves a data connection that was accepted, if there is a session with that very peer. It is
// said at once, so that the other side asks nothing before.
func (l *link) serveData() {
	defer l.close()
	s := l.h.sessionOf(l.id)
	if s == nil || !s.isUp() {
		l.h.log.Debug("data connection without a session", "peer", l.id)
		return
	}
	st, err := l.single(network.DirInbound)
	if err != nil {
		l.h.log.Debug("data connection not served", "peer", l.id, "err", err)
		return
	}
	defer st.Reset()
	if !s.serveOn(l) {
		return
	}
	defer s.servedOn(l)
	s.shares(l)
	l.h.door.leave(l.raw)
	l.raw.gather.resize(asksGatherBytes)
	l.raw.unlimit()
	if st.writeAll([]byte{dataReady}, l.h.t.Stall) == nil {
		s.acceptChunks(st)
	}
}

// isUp says whether PeerUp has returned: no ask comes before.
func (s *session) isUp() bool {
	select {
	case <-s.l.admitted:
		return true
	default:
		return false
	}
}

// serveOn makes l the data connection that is served; the one before ends, the peer has given it up.
func (s *session) serveOn(l *link) bool {
	s.mu.Lock()
	if s.why != nil {
		s.mu.Unlock()
		return false
	}
	before := s.data.serving
	s.data.serving = l
	s.mu.Unlock()
	if before != nil {
		before.close()
	}
	return true
}

func (s *session) servedOn(l *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.data.serving == l {
		s.data.serving = nil
	}
}

// Expect says about how many bytes of chunks will be asked of a peer from now on. Where that is much, chunks get a
// connection of their own once the first has come, so that what is said meanwhile waits behind none of them.
func (h *Host) Expect(from string, bytes int64) {
	if s := h.sessionOf(from); s != nil {
		s.ahead.Store(max(bytes, 0))
	}
}

// wantData begins to open a data connection once it is worth it, unless that was tried just now.
func (s *session) wantData() {
	if s.bytesIn.Load()+s.ahead.Load() < s.h.dataAfter {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	on := s.fetcher != nil && s.fetcher.data != nil
	if on || s.why != nil || s.data.trying || s.h.clock.now() < s.data.notYet {
		return
	}
	s.data.trying = true
	s.wg.Go(s.openData)
}

// openData opens a data connection and has what is asked from now on go there.
func (s *session) openData() {
	l, st, err := s.dialData()
	s.mu.Lock()
	s.data.trying = false
	s.data.notYet = s.h.clock.now() + s.data.pause(s.h, err)
	over := s.why != nil
	var before *fetcher
	if err == nil && !over {
		before = s.fetcher
		s.fetcher = s.newFetcher(func(context.Context) (*stream, error) { return st, nil })
		s.fetcher.data = l
		s.wg.Go(s.fetcher.run)
		if before != nil {
			s.draining[before] = struct{}{}
		}
	}
	s.mu.Unlock()
	switch {
	case err != nil:
		s.h.log.Debug("no data connection", "peer", s.peer.ID, "addr", s.peer.Addr, "err", err)
	case over:
		l.close()
		_ = st.Reset()
	case before != nil:
		before.retire()
	}
}

// dialData dials the peer where it listens. The connection is of use once the peer has said that it has
// found the session.
func (s *session) dialData() (*link, *stream, error) {
	ctx, cancel := context.WithCancel(s.h.ctx)
	defer cancel()
	ended := make(chan struct{})
	defer close(ended)
	s.h.spawnAlways(func() {
		select {
		case <-s.closing:
			cancel()
		case <-ended:
		}
	})
	l, err := s.h.dialWith(ctx, s.h.stack.data, s.peer.ID, s.peer.Addr)
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, l.close)
	st, err := l.awaitData()
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		l.close()
		if st != nil {
			_ = st.Reset()
		}
		return nil, nil, fmt.Errorf("data connection: %w", err)
	}
	return l, st, nil
}

func (l *link) awaitData() (*stream, error) {
	if !l.isData() {
		return nil, ErrProtocol
	}
	st, err := l.single(network.DirOutbound)
	if err != nil {
		return nil, err
	}
	_ = st.SetReadDeadline(time.Now().Add(l.h.t.Hello))
	var ready [1]byte
	_, err = io.ReadFull(st, ready[:])
	if err == nil && ready[0] != dataReady {
		err = ErrProtocol
	}
	l.raw.gather.resize(dataGatherBytes)
	return st, errors.Join(err, st.SetReadDeadline(time.Time{}))
}

// endData ends the data connections of a session that is over.
func (s *session) endData() {
	s.mu.Lock()
	var over []*link
	for f := range s.draining {
		over = append(over, f.data)
	}
	if s.fetcher != nil {
		over = append(over, s.fetcher.data)
	}
	over = append(over, s.data.serving)
	s.mu.Unlock()
	for _, l := range over {
		if l != nil {
			l.close()
		}
	}
}

// keepData is the keeper's round over them: a reader that sleeps for more than comes is woken, and one
// that lies idle is given up.
func (s *session) keepData(now time.Duration) {
	s.mu.Lock()
	serving, f := s.data.serving, s.fetcher
	s.mu.Unlock()
	if serving != nil {
		serving.raw.letGo(now)
	}
	if f == nil || f.data == nil {
		return
	}
	f.data.raw.letGo(now)
	if !f.idle(now) {
		return
	}
	s.mu.Lock()
	if s.fetcher == f {
		s.fetcher = nil // the next fetch opens a stream
		s.draining[f] = struct{}{}
	}
	s.mu.Unlock()
	f.retire()
}

// letGo wakes the reader for whatever there is, when nothing has come for some time.
func (r *rawConn) letGo(now time.Duration) {
	if now-time.Duration(r.readAt.Load()) > gatherStale {
		r.gather.letGo()
	}
}
