package transport

import (
	"context"
	"errors"
	"fmt"
	"time"

	"patchmesh/swarm/wire"
)

// FetchDoc asks a peer for one document. ErrNotFound if it does not have it; never more than
// ask.MaxBytes are read. The bytes are whatever the peer sent: check them.
func (h *Host) FetchDoc(ctx context.Context, from string, ask wire.DocAsk) ([]byte, error) {
	frame, err := wire.AppendDocAsk(nil, ask)
	if err != nil {
		return nil, err
	}
	s := h.sessionOf(from)
	if s == nil {
		return nil, fmt.Errorf("document from %s: %w", from, ErrGone)
	}
	b, err := s.fetchDoc(ctx, ask.MaxBytes, frame)
	if err != nil {
		return nil, fmt.Errorf("document from %s: %w", from, errors.Join(err, ctx.Err()))
	}
	return b, nil
}

func (s *session) fetchDoc(ctx context.Context, maxBytes int, frame []byte) ([]byte, error) {
	select {
	case s.docs <- struct{}{}:
		defer func() { <-s.docs }()
	case <-s.closing:
		return nil, ErrGone
	case <-ctx.Done():
		return nil, ErrCancelled
	}
	st, err := s.l.open(ctx, protoDoc)
	if err != nil {
		return nil, err
	}
	defer st.Reset()
	stop := context.AfterFunc(ctx, func() { _ = st.Reset() })
	defer stop()
	if err := st.writeAll(frame, s.h.t.Stall); err != nil {
		return nil, err
	}
	r := stallReader{st, s.h.t.Stall}
	a, err := wire.ReadDocAnswer(r, maxBytes)
	if err != nil {
		return nil, docError(err)
	}
	if !a.Found {
		return nil, ErrNotFound
	}
	b, err := wire.ReadBody(r, a.Length)
	return b, docError(err)
}

// docError sorts a failed read: a broken frame is the peer's fault, anything else a lost stream.
func docError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, wire.ErrFormat), errors.Is(err, wire.ErrTooLarge):
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	case isTimeout(err):
		return fmt.Errorf("%w: %w", ErrSilent, err)
	}
	return fmt.Errorf("%w: %w", ErrGone, err)
}

// acceptDoc answers one question of a member.
func (s *session) acceptDoc(st *stream) {
	_ = st.SetReadDeadline(time.Now().Add(s.h.t.Hello))
	ask, err := wire.ReadDocAsk(st)
	if err != nil {
		_ = st.Reset()
		return
	}
	b, ok := s.h.cfg.Handler.DocAsked(s.peer.ID, ask)
	ok = ok && len(b) <= ask.MaxBytes
	if !ok {
		b = nil
	}
	err = st.writeAll(wire.AppendDocAnswer(nil, wire.DocAnswer{Found: ok, Length: len(b)}), s.h.t.Stall)
	if err == nil {
		err = st.writeAll(b, s.h.t.Stall)
	}
	if err != nil {
		_ = st.Reset()
		return
	}
	_ = st.Close()
}

// stallReader gives every read its own deadline.
type stallReader struct {
	st    *stream
	stall time.Duration
}

func (r stallReader) Read(p []byte) (int, error) {
	if err := r.st.SetReadDeadline(time.Now().Add(r.stall)); err != nil {
		return 0, err
	}
	return r.st.Read(p)
}
