package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"patchmesh/swarm/wire"
)

// EnrolWith sends a request to join to the machine at addr and gives its answer. An empty id is
// learned from whoever answers there, so the request must not hold a secret in the clear then. No
// session is needed or made, and one that ends under the request does not end it: it is sent once more,
// on a connection of its own, so the request must bear being heard twice. ErrRefused with the other machine's
// reason when it says no, ErrGone if the connection was lost.
func (h *Host) EnrolWith(ctx context.Context, id, addr string, request []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, h.t.Enrol)
	defer cancel()
	if id == "" {
		var err error
		if id, err = h.Probe(ctx, addr); err != nil {
			return nil, err
		}
	}
	if s := h.sessionOf(id); s != nil {
		answer, err := s.l.enrol(ctx, request)
		if !errors.Is(err, ErrGone) || ctx.Err() != nil {
			return answer, err
		}
		// The other side has restarted, or a newer session follows this one: neither is a no.
	}
	l, err := h.dialLink(ctx, id, addr)
	if err != nil {
		return nil, err
	}
	defer l.close()
	return l.enrol(ctx, request)
}

func (l *link) enrol(ctx context.Context, request []byte) ([]byte, error) {
	st, err := l.open(ctx, protoEnrol)
	if err != nil {
		return nil, err
	}
	defer st.Reset()
	stop := context.AfterFunc(ctx, func() { _ = st.Reset() })
	defer stop()
	_ = st.SetDeadline(time.Now().Add(l.h.t.Enrol))
	if err := wire.WriteEnrolRequest(st, request); err != nil {
		if !errors.Is(err, wire.ErrTooLarge) {
			err = docError(err)
		}
		return nil, fmt.Errorf("enrol with %s: %w", l.id, err)
	}
	answer, refusal, ok, err := wire.ReadEnrolAnswer(st)
	if err != nil {
		return nil, fmt.Errorf("enrol with %s: %w", l.id, errors.Join(docError(err), ctx.Err()))
	}
	if !ok {
		return nil, fmt.Errorf("enrol with %s: %w: it says %q", l.id, ErrRefused, refusal)
	}
	return answer, nil
}

// acceptEnrol answers one request to join. A stranger gets one per connection and loses the
// connection after it.
func (l *link) acceptEnrol(st *stream) {
	defer st.Reset()
	l.mu.Lock()
	stranger := l.session == nil
	again := stranger && l.enrolled
	l.enrolled = true
	l.mu.Unlock()
	if again || !l.inbound && stranger {
		return
	}
	if stranger {
		defer l.close()
		l.h.door.stay(l.raw, l.h.t.Enrol)
	}
	ctx, cancel := context.WithTimeout(l.h.ctx, l.h.t.Enrol)
	defer cancel()
	_ = st.SetDeadline(time.Now().Add(l.h.t.Enrol))
	request, err := wire.ReadEnrolRequest(st)
	if err != nil {
		return
	}
	answer, err := l.h.cfg.Handler.Enrol(ctx, l.id, l.raw.RemoteAddr().String(), request)
	refusal := ""
	if err != nil {
		answer, refusal = nil, err.Error()
	}
	if wire.WriteEnrolAnswer(st, answer, refusal) != nil || st.CloseWrite() != nil {
		return
	}
	_ = st.SetReadDeadline(time.Now().Add(l.h.t.Hello))
	_, _ = io.CopyN(io.Discard, st, strangerBytes) // until the other side has read it and hangs up
}

// DialGossip opens a stream for gossip to a peer, with a session at addr if there is none yet. The
// caller closes it.
func (h *Host) DialGossip(ctx context.Context, id, addr string) (net.Conn, error) {
	if id == h.id {
		return nil, ErrSelf
	}
	s, err := h.connect(ctx, id, addr)
	if err != nil {
		return nil, err
	}
	return s.l.open(ctx, protoGossip)
}
