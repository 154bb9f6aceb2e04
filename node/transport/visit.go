package transport

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"patchmesh/swarm/wire"
)

// Visiting is for whom a machine of another site may have a stream, outside any session: it carries things
// between sites. Nil functions: nobody.
type Visiting struct {
	// Admit judges a visitor by its proven identity and its hello. ID and Addr of the result are set here.
	Admit func(peerID string, h wire.Hello) (Peer, error)
	// Serve has the stream until it returns; it closes it.
	Serve func(p Peer, c net.Conn)
}

const (
	maxVisits  = 4                // at a time, from all machines together
	visitStall = 10 * time.Minute // without any byte: a gigabyte is synced to a slow disk in between, and read back
)

// Visit opens a stream to a machine of another site, or to a seed with which there is a session: then an address
// is not needed. judge looks at who answers. The caller closes the stream, and with it a link that was
// made for it. ErrNotAdmitted is the other side's refusal.
func (h *Host) Visit(ctx context.Context, id, addr string, judge func(peerID string, h wire.Hello) (Peer, error)) (net.Conn, Peer, error) {
	if id == h.id {
		return nil, Peer{}, ErrSelf
	}
	var l *link
	own := false
	if s := h.sessionOf(id); s != nil {
		l = s.l
	} else {
		var err error
		if l, err = h.dialLink(ctx, id, addr); err != nil {
			return nil, Peer{}, err
		}
		own = true
	}
	c, p, err := l.visit(ctx, own, judge)
	if err != nil && own {
		l.close()
	}
	return c, p, err
}

func (l *link) visit(ctx context.Context, own bool, judge func(string, wire.Hello) (Peer, error)) (net.Conn, Peer, error) {
	st, err := l.open(ctx, protoVisit)
	if err != nil {
		return nil, Peer{}, err
	}
	stop := context.AfterFunc(ctx, func() { _ = st.Reset() })
	defer stop()
	br, p, err := l.visitHello(st, judge)
	if err != nil {
		_ = st.Reset()
		return nil, Peer{}, fmt.Errorf("visit %s: %w", l.id, errors.Join(err, ctx.Err()))
	}
	return newVisit(l, st, br, p, own), p, nil
}

func (l *link) visitHello(st *stream, judge func(string, wire.Hello) (Peer, error)) (*bufio.Reader, Peer, error) {
	_ = st.SetDeadline(time.Now().Add(l.h.t.Hello))
	if err := wire.WriteMessage(st, l.h.ourHello(0)); err != nil {
		return nil, Peer{}, fmt.Errorf("%w: %w", ErrGone, err)
	}
	br := bufio.NewReaderSize(st, readBufferBytes)
	m, err := wire.ReadMessage(br, wire.KindHello, wire.KindGoodbye)
	if err != nil {
		return nil, Peer{}, docError(err)
	}
	if bye, ok := m.(wire.Goodbye); ok {
		return nil, Peer{}, goodbyeError(bye)
	}
	theirs := m.(wire.Hello)
	p, err := judge(l.id, theirs)
	if err != nil {
		return nil, Peer{}, err
	}
	p.ID, p.Addr = l.id, l.addr(theirs.Port)
	_ = st.SetDeadline(time.Time{})
	return br, p, nil
}

// acceptVisit judges a visitor and serves it. Until then it is a stranger at the door like any other; a link
// that nothing else holds ends with the visit.
func (l *link) acceptVisit(st *stream) {
	h := l.h
	defer st.Reset()
	stranger := l.waitMember() == nil // a session that is coming up on the link outlives the visit
	if stranger && l.inbound {
		defer l.close()
	}
	if h.cfg.Visiting.Admit == nil || h.cfg.Visiting.Serve == nil || stranger && !l.inbound || !l.beginVisit() {
		return
	}
	defer l.endVisit()
	_ = st.SetDeadline(time.Now().Add(h.t.Hello))
	br := bufio.NewReaderSize(st, readBufferBytes)
	m, err := wire.ReadMessage(br, wire.KindHello)
	if err != nil {
		return
	}
	theirs := m.(wire.Hello)
	p, err := h.cfg.Visiting.Admit(l.id, theirs)
	if err != nil {
		h.log.Debug("no visit", "peer", l.id, "addr", l.raw.RemoteAddr().String(), "err", err)
		l.refuse(st, wire.NewGoodbye(wire.CodeNotAdmitted, "not admitted"))
		return
	}
	p.ID, p.Addr = l.id, l.addr(theirs.Port)
	l.raw.unlimit()
	h.door.leave(l.raw)
	if wire.WriteMessage(st, h.ourHello(0)) != nil {
		return
	}
	_ = st.SetDeadline(time.Time{})
	c := newVisit(l, st, br, p, false)
	defer c.Close()
	h.cfg.Visiting.Serve(p, c)
}

// beginVisit lets one visit at a time run on a link, and few on all.
func (l *link) beginVisit() bool {
	if l.h.visits.Add(1) > maxVisits {
		l.h.visits.Add(-1)
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.visiting {
		l.h.visits.Add(-1)
		return false
	}
	l.visiting = true
	return true
}

func (l *link) endVisit() {
	l.mu.Lock()
	l.visiting = false
	l.mu.Unlock()
	l.h.visits.Add(-1)
}

// visit is the stream of a visit. It keeps to the rates that hold for the peer, and ends when no byte has
// moved for visitStall: deadlines belong to whoever uses it.
type visit struct {
	*stream
	l       *link
	own     bool // the link was made for it
	br      *bufio.Reader
	up      func() *Pace
	down    *Pace
	movedAt atomic.Int64 // of the host's clock

	once sync.Once
	over chan struct{}
}

func newVisit(l *link, st *stream, br *bufio.Reader, p Peer, own bool) *visit {
	v := &visit{stream: st, l: l, own: own, br: br, up: func() *Pace { return l.h.cfg.Pacing.up(p) }, down: l.h.cfg.Pacing.down(p), over: make(chan struct{})}
	v.moved(1)
	go v.watch()
	return v
}

func (v *visit) moved(n int) {
	if n > 0 {
		v.movedAt.Store(int64(v.l.h.clock.now()))
	}
}

// watch ends with the visit.
func (v *visit) watch() {
	t := time.NewTicker(visitStall / 8)
	defer t.Stop()
	for {
		select {
		case <-v.over:
			return
		case <-v.l.closed:
			_ = v.Reset()
			return
		case <-t.C:
		}
		if v.l.h.clock.now()-time.Duration(v.movedAt.Load()) > visitStall {
			_ = v.Reset()
			return
		}
	}
}

// Read takes what comes, as fast as the rate allows.
func (v *visit) Read(b []byte) (int, error) {
	if v.br.Buffered() == 0 && v.down.smooth() {
		if !v.down.Wait(v.over) {
			return 0, ErrGone
		}
		b = b[:v.down.piece(len(b))]
	}
	n, err := v.br.Read(b)
	v.down.Took(n)
	v.moved(n)
	return n, err
}

// Write sends b piece by piece as the rate allows.
func (v *visit) Write(b []byte) (sent int, err error) {
	for len(b) > 0 {
		up := v.up()
		if !up.Wait(v.over) {
			return sent, ErrGone
		}
		n, err := v.stream.Write(b[:up.piece(len(b))])
		up.Took(n)
		v.moved(n)
		sent, b = sent+n, b[n:]
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// Close ends the stream, and the link if it was made for it.
func (v *visit) Close() error {
	err := v.stream.Close()
	v.once.Do(func() {
		close(v.over)
		if v.own {
			v.l.close()
		}
	})
	return err
}
