package transport

import "sync"

// A muxer takes what is written to a stream at once and sends it later: 64 messages wait in yamux, which of chunks is
// megabytes. A serve slot would be free again before anything has left, and a word to the peer would wait behind all of
// it. So a chunk that shares its connection goes in pieces, each when the one before has been handed to the socket.

// muxPieceBytes of a chunk wait in a muxer at most.
const muxPieceBytes = 64 << 10

// handed counts what a muxer has handed down to TLS.
type handed struct {
	mu     sync.Mutex
	bytes  int64
	change chan struct{} // closed with the next bytes; nil: nobody waits
}

func (h *handed) add(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.bytes += int64(n)
	if h.change != nil {
		close(h.change)
		h.change = nil
	}
}

func (h *handed) now() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.bytes
}

// reaches waits until so many bytes have been handed down; false if stop was closed before.
func (h *handed) reaches(bytes int64, stop <-chan struct{}) bool {
	for {
		h.mu.Lock()
		if h.bytes >= bytes {
			h.mu.Unlock()
			return true
		}
		if h.change == nil {
			h.change = make(chan struct{})
		}
		change := h.change
		h.mu.Unlock()
		select {
		case <-change:
		case <-stop:
			return false
		}
	}
}

// muxed: the stream shares its connection with others.
func (s *stream) muxed() bool {
	_, alone := s.MuxedStream.(directStream)
	return !alone
}

// sendPiece writes a piece of a chunk, and returns once a muxer has handed it down.
func (v *server) sendPiece(b []byte, muxed bool) error {
	if !muxed {
		return v.send(b)
	}
	out := &v.st.raw.handed
	before := out.now()
	if err := v.send(b); err != nil {
		return err
	}
	if !out.reaches(before+int64(len(b)), v.s.l.closed) {
		return ErrGone
	}
	return nil
}
