package transport

import (
	"context"

	"patchmesh/swarm/wire"
)

// peerState is what is going on with one peer. Guarded by Host.mu. The rules below keep two machines
// that dial each other, restart or lose a connection on one side only at one session:
//
//  1. A newer hello of the same peer beats an older one. Hellos of one run of a program are ordered
//     by Seq; one of another run (Boot) is newer: the peer has restarted.
//  2. When two hellos cross, the link dialled by the smaller peer ID wins.
//  3. A hello is sent only if no other link to that peer has got that far.
//
// Deciding and numbering the next hello happen in one step under the lock, so that both ends see the
// same order.
type peerState struct {
	session  *session // established; may be closing until PeerDown has returned
	incoming *link    // its hello was taken, its Ready is awaited
	inHello  wire.Hello
	dial     *dial
	changed  chan struct{} // closed at the next change
}

// dial is one attempt of ours to have a session.
type dial struct {
	cancel    context.CancelFunc
	sentHello bool
	lost      bool // an incoming link takes over
}

func (h *Host) stateOf(id string) *peerState {
	p := h.peers[id]
	if p == nil {
		p = &peerState{changed: make(chan struct{})}
		h.peers[id] = p
	}
	return p
}

// changedLocked wakes whoever waits for news of the peer and forgets a peer without any.
func (h *Host) changedLocked(id string) {
	p := h.peers[id]
	if p == nil {
		return
	}
	close(p.changed)
	p.changed = make(chan struct{})
	if p.session == nil && p.incoming == nil && p.dial == nil {
		delete(h.peers, id)
	}
}

func older(a, than wire.Hello) bool { return a.Boot == than.Boot && a.Seq < than.Seq }

// nextSeq numbers our hellos.
func (h *Host) nextSeq() uint64 {
	h.seq++
	return h.seq
}

// offer decides about the admitted hello of an incoming link. ok: the link is reserved for the peer
// and seq numbers our hello; Ready must follow. Otherwise another link is or becomes the session.
func (h *Host) offer(l *link, hello wire.Hello) (seq uint64, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return 0, false
	}
	p := h.stateOf(l.id)
	defer h.changedLocked(l.id)
	switch {
	case p.session != nil && !p.session.isClosing() && older(hello, p.session.hello):
		return 0, false // sent before the session came up: the peer's other, crossing dial
	case p.incoming != nil && older(hello, p.inHello):
		return 0, false
	case p.dial != nil && p.dial.sentHello && h.id < l.id:
		return 0, false // crossing, and ours wins
	}
	if p.session != nil {
		h.replace(p.session)
	}
	if p.incoming != nil {
		h.spawn(p.incoming.close)
	}
	if p.dial != nil {
		p.dial.lost = true
		p.dial.cancel()
	}
	p.incoming, p.inHello = l, hello
	return h.nextSeq(), true
}

// withdraw gives up an incoming link whose Ready did not come.
func (h *Host) withdraw(l *link) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.peers[l.id]; p != nil && p.incoming == l {
		p.incoming = nil
		h.changedLocked(l.id)
	}
}

// speakFirst asks for leave to send our hello on a dialled link. Not ok: another link takes over.
func (h *Host) speakFirst(id string, d *dial) (seq uint64, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.peers[id]
	if h.closed || p == nil || p.dial != d || d.lost {
		return 0, false
	}
	d.sentHello = true
	return h.nextSeq(), true
}

// establish makes the link the session of its peer, after Ready (incoming) or the other side's
// hello (dialled, d not nil). Nil if another link has taken over meanwhile.
func (h *Host) establish(l *link, d *dial, p Peer, hello wire.Hello, st *stream) *session {
	h.mu.Lock()
	defer h.mu.Unlock()
	state := h.peers[l.id]
	if h.closed || state == nil {
		return nil
	}
	if d == nil && state.incoming != l || d != nil && (state.dial != d || d.lost) {
		return nil
	}
	if d == nil {
		state.incoming = nil
	} else {
		state.dial = nil // from here on a later hello is measured against the session
	}
	s := newSession(l, p, hello, st, state.session)
	if state.session != nil {
		h.replace(state.session)
	}
	state.session = s
	h.changedLocked(l.id)
	return s
}

// ended forgets a session after PeerDown.
func (h *Host) ended(s *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.peers[s.peer.ID]; p != nil && p.session == s {
		p.session = nil
		h.changedLocked(s.peer.ID)
	}
}

// sessionOf is the live session with a peer, or nil.
func (h *Host) sessionOf(id string) *session {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sessionLocked(id)
}

func (h *Host) sessionLocked(id string) *session {
	if p := h.peers[id]; p != nil && p.session != nil && !p.session.isClosing() {
		return p.session
	}
	return nil
}

// replace ends a session that a newer one follows. Called under the lock, so elsewhere.
func (h *Host) replace(old *session) { h.spawn(func() { old.shut(ErrReplaced, nil) }) }
