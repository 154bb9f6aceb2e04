package transport

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"patchmesh/swarm/wire"
)

// ourHello is the hello of this moment with the given number.
func (h *Host) ourHello(seq uint64) wire.Hello {
	m := h.cfg.Hello()
	if m.Port == 0 {
		m.Port = h.port
	}
	m.Boot, m.Seq = h.boot, seq
	return m
}

// admit asks the configuration about a hello and completes what it says of the peer.
func (l *link) admit(m wire.Hello) (Peer, error) {
	p, err := l.h.cfg.Admit(l.id, m)
	if err != nil {
		return Peer{}, fmt.Errorf("admit %s: %w", l.id, err)
	}
	p.ID, p.Addr, p.BytesIn, p.BytesOut = l.id, l.addr(m.Port), 0, 0
	p.SameSubnet = sameSubnet(p.Addr)
	return p, nil
}

// acceptMesh answers the hello of whoever dialled and, if both admit each other, runs the session.
func (l *link) acceptMesh(st *stream) {
	if !l.inbound || !l.beginHello() {
		_ = st.Reset()
		return
	}
	s, br, err := l.helloBack(st)
	if s == nil {
		l.h.log.Debug("no session", "peer", l.id, "addr", l.raw.RemoteAddr().String(), "err", err)
		l.close()
		_ = st.Reset()
		return
	}
	s.run(br)
}

func (l *link) helloBack(st *stream) (*session, *bufio.Reader, error) {
	h := l.h
	_ = st.SetDeadline(time.Now().Add(h.t.Hello))
	br := bufio.NewReaderSize(st, readBufferBytes)
	m, err := wire.ReadMessage(br, wire.KindHello)
	if err != nil {
		return nil, nil, err
	}
	theirs := m.(wire.Hello)
	peer, err := l.admit(theirs)
	if err != nil {
		l.refuse(st, wire.NewGoodbye(wire.CodeNotAdmitted, "not admitted"))
		return nil, nil, err
	}
	seq, ok := h.offer(l, theirs)
	if !ok {
		l.refuse(st, wire.NewGoodbye(wire.CodeDuplicate, "duplicate connection"))
		return nil, nil, errDuplicate
	}
	defer h.withdraw(l)
	l.raw.unlimit() // its certificate holds; right after its Ready it may send more than strangers may
	if err := wire.WriteMessage(st, h.ourHello(seq)); err != nil {
		return nil, nil, err
	}
	if m, err = wire.ReadMessage(br, wire.KindReady, wire.KindGoodbye); err != nil {
		return nil, nil, err
	}
	if bye, ok := m.(wire.Goodbye); ok {
		return nil, nil, goodbyeError(bye)
	}
	_ = st.SetDeadline(time.Time{})
	s := h.establish(l, nil, peer, theirs, st)
	if s == nil {
		return nil, nil, errDuplicate
	}
	return s, br, nil
}

// dialHello dials and speaks first; d may be lost to an incoming link at any time.
func (h *Host) dialHello(ctx context.Context, d *dial, id, addr string) (*session, error) {
	l, err := h.dialLink(ctx, id, addr)
	if err != nil {
		return nil, err
	}
	l.beginHello()
	h.spawn(l.serve)
	st, err := l.open(ctx, protoMesh)
	if err != nil {
		l.close()
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = st.Reset() })
	s, br, err := l.helloFirst(st, d)
	if !stop() && err != nil {
		err = errors.Join(err, context.Cause(ctx))
	}
	if s == nil {
		l.close()
		_ = st.Reset()
		return nil, err
	}
	h.spawn(func() { s.run(br) })
	return s, nil
}

func (l *link) helloFirst(st *stream, d *dial) (*session, *bufio.Reader, error) {
	h := l.h
	_ = st.SetDeadline(time.Now().Add(h.t.Hello))
	seq, ok := h.speakFirst(l.id, d)
	if !ok {
		return nil, nil, errDuplicate
	}
	if err := wire.WriteMessage(st, h.ourHello(seq)); err != nil {
		return nil, nil, err
	}
	br := bufio.NewReaderSize(st, readBufferBytes)
	m, err := wire.ReadMessage(br, wire.KindHello, wire.KindGoodbye)
	if err != nil {
		return nil, nil, fmt.Errorf("hello of %s: %w", l.id, errors.Join(ErrGone, err))
	}
	if bye, ok := m.(wire.Goodbye); ok {
		return nil, nil, goodbyeError(bye)
	}
	theirs := m.(wire.Hello)
	peer, err := l.admit(theirs)
	if err != nil {
		l.refuse(st, wire.NewGoodbye(wire.CodeNotAdmitted, "not admitted"))
		return nil, nil, err
	}
	s := h.establish(l, d, peer, theirs, st)
	if s == nil {
		return nil, nil, errDuplicate
	}
	_ = st.SetDeadline(time.Time{})
	if err := wire.WriteMessage(st, wire.Ready{}); err != nil {
		s.shut(fmt.Errorf("hello to %s: %w", l.id, errors.Join(ErrGone, err)), nil)
	}
	return s, br, nil
}

// refuse says why and leaves the other side a moment to read it: closing a connection at once would
// throw away what it has not read yet.
func (l *link) refuse(st *stream, bye wire.Goodbye) {
	grace := time.Now().Add(l.h.t.Goodbye)
	_ = st.SetDeadline(grace)
	if wire.WriteMessage(st, bye) == nil && st.CloseWrite() == nil {
		_, _ = io.CopyN(io.Discard, st, strangerBytes)
	}
}

// goodbyeError is what the other side's last message means here.
func goodbyeError(g wire.Goodbye) error {
	switch g.Code {
	case wire.CodeDuplicate:
		return errDuplicate
	case wire.CodeRevoked:
		return fmt.Errorf("%w: it says %q", ErrRevoked, g.Reason)
	case wire.CodeNotAdmitted:
		return fmt.Errorf("%w: it says %q", ErrNotAdmitted, g.Reason)
	case wire.CodeProtocol, wire.CodeTooSlow:
		return fmt.Errorf("%w: it complains of us: %q", ErrGone, g.Reason)
	}
	return fmt.Errorf("%w: it says %q", ErrGone, g.Reason)
}
