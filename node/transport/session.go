package transport

import (
	"bufio"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"patchmesh/swarm/wire"
)

// session is a link on which both sides have admitted each other.
type session struct {
	h     *Host
	l     *link
	peer  Peer
	hello wire.Hello // theirs, which orders it among the peer's hellos
	mesh  *stream
	prev  *session // of the same peer; its PeerDown comes before our PeerUp
	out   outbox
	down  *Pace         // of chunks received
	docs  chan struct{} // a place for each document that is asked for

	closing chan struct{} // closed by shut
	done    chan struct{} // closed after PeerDown
	wg      sync.WaitGroup

	mu           sync.Mutex
	why          error // set once, by shut
	fetcher      *fetcher
	draining     map[*fetcher]struct{} // nothing new is asked on these
	data         dataEnd
	chunkStreams int // incoming

	bytesIn, bytesOut atomic.Int64 // of chunks
	ahead             atomic.Int64 // of chunks, that are expected to come
}

func newSession(l *link, p Peer, hello wire.Hello, st *stream, prev *session) *session {
	return &session{
		h: l.h, l: l, peer: p, hello: hello, mesh: st, prev: prev,
		out: outbox{wake: NewBell()}, closing: make(chan struct{}), done: make(chan struct{}), draining: map[*fetcher]struct{}{},
		down: l.h.cfg.Pacing.down(p), docs: make(chan struct{}, docStreams),
	}
}

// run is the life of the session: PeerUp, messages, PeerDown.
func (s *session) run(br *bufio.Reader) {
	h := s.h
	if s.prev != nil {
		<-s.prev.done
		s.prev = nil
	}
	s.l.join(s)
	s.shares(s.l)
	s.wg.Go(s.write)
	h.cfg.Handler.PeerUp(s.peer)
	close(s.l.admitted)
	s.shut(s.read(br), nil)
	s.l.close()
	s.endData()
	_ = s.mesh.Reset()
	s.wg.Wait() // chunk streams call the handler too: PeerDown comes after the last of them
	h.cfg.Handler.PeerDown(s.peer.ID, s.cause())
	h.ended(s)
	close(s.done)
}

// shares: what goes to a machine of the LAN, or to one that is as near, on a link of this session shares the line
// with the rest. How near it is, its first connection knows: others come while chunks queue before them.
func (s *session) shares(l *link) {
	first, c := s.l.raw.gather.sys, l.raw.gather.sys
	if c != nil && (s.peer.SameSubnet || first != nil && isShortWay(first)) {
		shareLine(c)
	}
}

// read delivers messages until the session ends and says why it did.
func (s *session) read(br *bufio.Reader) error {
	for {
		m, err := wire.ReadMessage(br)
		switch {
		case s.isClosing():
			return ErrGone // the cause is known already
		case errors.Is(err, wire.ErrFormat), errors.Is(err, wire.ErrTooLarge):
			return s.protocolError(err)
		case err != nil:
			return fmt.Errorf("%w: %w", ErrGone, err)
		}
		switch m := m.(type) {
		case wire.Ping:
		case wire.Goodbye:
			err := goodbyeError(m)
			if errors.Is(err, errDuplicate) {
				err = ErrGone
			}
			return err
		case wire.Hello, wire.Ready:
			return s.protocolError(fmt.Errorf("%s in a session", m.Kind()))
		default:
			s.h.cfg.Handler.Message(s.peer.ID, m)
		}
	}
}

// protocolError ends the session because of what the peer sent.
func (s *session) protocolError(err error) error {
	err = fmt.Errorf("%w: %w", ErrProtocol, err)
	bye := wire.NewGoodbye(wire.CodeProtocol, err.Error())
	s.shut(err, &bye)
	return err
}

// shut begins the end of the session; only the first call counts. With a goodbye, what is queued and
// the goodbye are still written and the peer is left a moment to read them.
func (s *session) shut(why error, bye *wire.Goodbye) {
	s.mu.Lock()
	if s.why != nil {
		s.mu.Unlock()
		return
	}
	s.why = why
	close(s.closing)
	s.mu.Unlock()
	if bye != nil && s.out.finish(*bye) {
		time.AfterFunc(s.h.t.Goodbye, s.l.close)
	} else {
		s.out.discard()
		s.h.spawnAlways(s.l.close)
	}
}

func (s *session) isClosing() bool {
	select {
	case <-s.closing:
		return true
	default:
		return false
	}
}

func (s *session) cause() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.why
}
