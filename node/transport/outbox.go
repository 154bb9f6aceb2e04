package transport

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"patchmesh/swarm/wire"
)

// outbox is the queue of encoded messages to one peer. Messages are encoded straight into the buffer
// that is written next, so that many small ones leave in one write.
type outbox struct {
	wake Bell

	mu     sync.Mutex
	buf    []byte
	count  int
	closed bool // nothing more is taken
	last   bool // the end of buf is the goodbye
}

// put queues a message. full: the peer does not keep up.
func (o *outbox) put(m wire.Message) (full bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return false, ErrGone
	}
	if o.count >= maxQueueMessages || len(o.buf) >= maxQueueBytes {
		return true, ErrTooSlow
	}
	if o.buf, err = wire.Encode(o.buf, m); err != nil {
		return false, err
	}
	o.count++
	o.wake.Ring()
	return false, nil
}

// finish queues the last message; false if the queue was closed before.
func (o *outbox) finish(bye wire.Goodbye) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return false
	}
	o.closed, o.last = true, true
	buf, err := wire.Encode(o.buf, bye)
	if err != nil {
		return false
	}
	o.buf = buf
	o.wake.Ring()
	return true
}

func (o *outbox) discard() {
	o.mu.Lock()
	o.closed, o.buf, o.count = true, nil, 0
	o.mu.Unlock()
}

// take swaps what is queued for an empty buffer.
func (o *outbox) take(empty []byte) (full []byte, last bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	full, o.buf, o.count = o.buf, empty[:0], 0
	return full, o.last
}

// write sends what is queued until the session ends.
func (s *session) write() {
	var spare []byte
	for {
		select {
		case <-s.out.wake:
		case <-s.l.closed:
			return
		}
		full, last := s.out.take(spare)
		if err := s.mesh.writeAll(full, s.h.t.Stall); err != nil {
			s.shut(fmt.Errorf("%w: %w", ErrGone, err), nil)
			return
		}
		if last {
			_ = s.mesh.CloseWrite()
			return
		}
		if spare = full; cap(spare) > keptQueueBytes {
			spare = nil // a burst is over: give its memory back
		}
	}
}

// Send queues a message. It never blocks. A peer that leaves too much unread loses its session with
// ErrTooSlow. ErrGone: no session. Encoding errors are wire's. m must not be changed afterwards.
func (h *Host) Send(to string, m wire.Message) error {
	s := h.sessionOf(to)
	if s == nil {
		return fmt.Errorf("send %s to %s: %w", m.Kind(), to, ErrGone)
	}
	full, err := s.out.put(m)
	if full {
		s.shut(fmt.Errorf("%w: %d messages unread", ErrTooSlow, maxQueueMessages), nil)
	}
	if err != nil {
		return fmt.Errorf("send %s to %s: %w", m.Kind(), to, err)
	}
	return nil
}

// Disconnect ends the session with a peer, after what was sent before. It never blocks; PeerDown
// follows with why.
func (h *Host) Disconnect(id string, why error) {
	s := h.sessionOf(id)
	if s == nil {
		return
	}
	if why == nil {
		why = ErrGone
	}
	code := wire.CodeClosing
	if errors.Is(why, ErrRevoked) {
		code = wire.CodeRevoked
	}
	bye := wire.NewGoodbye(code, why.Error())
	s.shut(why, &bye)
}

// ping keeps an idle session audible.
func (s *session) ping() {
	s.out.mu.Lock()
	idle := len(s.out.buf) == 0
	s.out.mu.Unlock()
	if idle {
		_, _ = s.out.put(wire.Ping{})
	}
}

// keep is the session's part of the keeper's round.
func (s *session) keep(now time.Duration) {
	raw, t := s.l.raw, &s.h.t
	silent := now - time.Duration(raw.readAt.Load())
	raw.letGo(now)
	if silent > t.PeerSilence {
		s.shut(fmt.Errorf("%w: not a byte for %s", ErrSilent, silent.Round(time.Second)), nil)
		return
	}
	if now-time.Duration(raw.wroteAt.Load()) > t.Ping {
		s.ping()
	}
	for _, f := range s.fetchers() {
		f.keep(now)
	}
	s.keepData(now)
}
