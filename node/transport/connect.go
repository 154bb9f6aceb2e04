package transport

import (
	"context"
	"errors"
	"fmt"
)

// Connect makes sure that there is a session with the peer at addr ("ip:port") and gives its ID. An
// empty id is learned from whoever answers there. It returns at once if a session is up. Errors of
// Config.Admit come through; ErrNotAdmitted is the peer's refusal.
func (h *Host) Connect(ctx context.Context, id, addr string) (peerID string, err error) {
	if id == "" {
		if id, err = h.Probe(ctx, addr); err != nil {
			return "", err
		}
	}
	if id == h.id {
		return id, ErrSelf
	}
	_, err = h.connect(ctx, id, addr)
	return id, err
}

// connect dials unless a session is up or somebody else is about to make one.
func (h *Host) connect(ctx context.Context, id, addr string) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, h.t.Dial+2*h.t.Hello)
	defer cancel()
	for {
		s, d, wait, err := h.claimDial(ctx, id)
		switch {
		case err != nil:
			return nil, err
		case s != nil:
			return s, nil
		case d != nil:
			s, err := h.dialSession(d.ctx, d.dial, id, addr)
			if s != nil || !errors.Is(err, errDuplicate) {
				return s, err
			}
			if s := h.awaitSession(ctx, id); s != nil {
				return s, nil
			}
			return nil, fmt.Errorf("connect to %s: %w", id, err)
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, fmt.Errorf("connect to %s: %w", id, ctx.Err())
		case <-h.ctx.Done():
			return nil, ErrClosed
		}
	}
}

type claimedDial struct {
	*dial
	ctx context.Context
}

// claimDial gives the session, or the right to dial, or what to wait for.
func (h *Host) claimDial(ctx context.Context, id string) (*session, *claimedDial, <-chan struct{}, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, nil, nil, ErrClosed
	}
	if s := h.sessionLocked(id); s != nil {
		return s, nil, nil, nil
	}
	p := h.stateOf(id)
	if p.dial != nil || p.incoming != nil {
		return nil, nil, p.changed, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	p.dial = &dial{cancel: cancel}
	return nil, &claimedDial{p.dial, ctx}, nil, nil
}

// dialSession runs one attempt and gives the claim back.
func (h *Host) dialSession(ctx context.Context, d *dial, id, addr string) (*session, error) {
	stop := context.AfterFunc(h.ctx, d.cancel)
	defer stop()
	s, err := h.dialHello(ctx, d, id, addr)
	h.mu.Lock()
	defer h.mu.Unlock()
	d.cancel()
	if d.lost {
		err = errDuplicate // whatever became of it: the incoming link decides
	}
	if p := h.peers[id]; p != nil && p.dial == d {
		p.dial = nil
		h.changedLocked(id)
	}
	if h.closed && err != nil {
		err = ErrClosed
	}
	return s, err
}

// awaitSession waits for the link that took over.
func (h *Host) awaitSession(ctx context.Context, id string) *session {
	ctx, cancel := context.WithTimeout(ctx, h.t.Dial)
	defer cancel()
	for {
		h.mu.Lock()
		s := h.sessionLocked(id)
		wait := h.stateOf(id).changed
		h.mu.Unlock()
		if s != nil {
			return s
		}
		select {
		case <-wait:
			continue
		case <-ctx.Done():
		case <-h.ctx.Done():
		}
		h.mu.Lock()
		h.changedLocked(id) // forgets the peer if nothing else is known of it
		h.mu.Unlock()
		return nil
	}
}
