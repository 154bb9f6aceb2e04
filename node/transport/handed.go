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

// sendChunkBytes writes bytes of a chunk. Those of a muxed stream have left the muxer when it returns, and the muxer's
// own stall limit, that of the socket, ends the link if they do not.
func (v *server) sendChunkBytes(b []byte) error {
	if !v.st.muxed() {
		return v.send(b)
	}
	out := &v.st.raw.handed
	for len(b) > 0 {
		n := min(len(b), muxPieceBytes)
		before := out.now()
		if err := v.send(b[:n]); err != nil {
			return err
		}
		if !out.reaches(before+int64(n), v.s.l.closed) {
			return ErrGone
		}
		b = b[n:]
	}
	return nil
}
