package transport

import (
	"bufio"
	"errors"
	"fmt"
	"sync"

	"patchmesh/swarm/wire"
)

// server is the answering end of a chunk stream: one goroutine reads asks, one writes answers.
type server struct {
	s    *session
	st   *stream
	wake Bell

	mu      sync.Mutex
	waiting map[uint64]uint64 // asked and unanswered: request to ref
	queue   []job
	closed  bool
}

// waitingAsk is an ask that the handler has been told of.
type waitingAsk struct {
	srv   *server
	req   uint64
	chunk chunkKey
}

// firstBytes are of one TLS record.
const firstBytes = 16 << 10

// job is one answer to be written.
type job struct {
	req       uint64
	chunk     chunkKey
	status    wire.Status
	sizeBytes int
	read      func(buf []byte) (int, error)
	done      func(err error)
}

// acceptChunks serves one chunk stream of a member.
func (s *session) acceptChunks(st *stream) {
	defer st.Reset()
	s.mu.Lock()
	ok := s.chunkStreams < maxChunkStreams && s.why == nil
	if ok {
		s.chunkStreams++
		s.wg.Add(1)
	}
	s.mu.Unlock()
	if !ok {
		return
	}
	defer s.wg.Done()
	srv := &server{s: s, st: st, wake: NewBell(), waiting: map[uint64]uint64{}}
	var writing sync.WaitGroup
	writing.Go(srv.write)
	err := srv.read(bufio.NewReaderSize(st, readBufferBytes))
	if errors.Is(err, wire.ErrFormat) || errors.Is(err, wire.ErrTooLarge) {
		_ = s.protocolError(err)
	}
	_ = st.Reset()
	srv.close()
	writing.Wait()
	s.mu.Lock()
	s.chunkStreams--
	s.mu.Unlock()
}

// read tells the handler of asks and cancels.
func (v *server) read(br *bufio.Reader) error {
	h, from := v.s.h, v.s.peer.ID
	for {
		q, err := wire.ReadQuestion(br)
		if err != nil {
			return err
		}
		switch q := q.(type) {
		case wire.Ask:
			ref, err := v.expect(q)
			if err != nil {
				return err
			}
			h.cfg.Handler.ChunkAsked(from, ref, q.Payload, int(q.Index))
		case wire.Cancel:
			v.mu.Lock()
			ref, ok := v.waiting[q.Req]
			v.mu.Unlock()
			// If the ask is no longer waiting its bytes are on their way, and that is the answer.
			if ok && h.takeRef(ref) != nil {
				v.push(job{req: q.Req, status: wire.StatusCancelled})
				h.cfg.Handler.ChunkCancelled(from, ref)
			}
		}
	}
}

// expect registers an ask and names it.
func (v *server) expect(q wire.Ask) (ref uint64, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, twice := v.waiting[q.Req]; twice {
		return 0, fmt.Errorf("ask %d twice: %w", q.Req, wire.ErrFormat)
	}
	if len(v.waiting)+len(v.queue) >= maxWaitingAsks {
		return 0, fmt.Errorf("more than %d asks: %w", maxWaitingAsks, wire.ErrTooLarge)
	}
	ref = v.s.h.addRef(&waitingAsk{srv: v, req: q.Req, chunk: chunkKey{q.Payload, int(q.Index)}})
	v.waiting[q.Req] = ref
	return ref, nil
}

// push queues an answer; false when the stream is over.
func (v *server) push(j job) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.waiting, j.req)
	if v.closed {
		return false
	}
	v.queue = append(v.queue, j)
	v.wake.Ring()
	return true
}

// close voids what waits. While the session lives the handler hears of each ask.
func (v *server) close() {
	v.mu.Lock()
	v.closed = true
	waiting := v.waiting
	v.waiting = map[uint64]uint64{}
	v.wake.Ring()
	v.mu.Unlock()
	for _, ref := range waiting {
		if v.s.h.takeRef(ref) != nil && !v.s.isClosing() {
			v.s.h.cfg.Handler.ChunkCancelled(v.s.peer.ID, ref)
		}
	}
}

// next gives the next answer; over when the stream has ended, with the jobs that remain.
func (v *server) next() (j job, ok, over bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.queue) == 0 {
		return job{}, false, v.closed
	}
	j = v.queue[0]
	v.queue[0] = job{}
	if v.queue = v.queue[1:]; len(v.queue) == 0 {
		v.queue = nil
	}
	return j, true, v.closed
}

// write sends answers one after the other and reports each.
func (v *server) write() {
	for {
		j, ok, over := v.next()
		switch {
		case !ok && over:
			return
		case !ok:
			<-v.wake
			continue
		}
		err := ErrGone
		if !over {
			err = v.answer(j)
		}
		if j.done != nil {
			j.done(err)
		}
	}
}

// answer writes one answer.
func (v *server) answer(j job) error {
	a := wire.Answer{Req: j.req, Status: j.status}
	if j.status != wire.StatusOK {
		var b [wire.AnswerBytes]byte
		wire.PutAnswer(b[:], a)
		return v.send(b[:])
	}
	a.Length = uint32(j.sizeBytes)
	if err := v.sendChunk(a, j); err != nil {
		return err
	}
	v.s.bytesOut.Add(int64(j.sizeBytes))
	v.s.h.bytesOut.Add(int64(j.sizeBytes))
	return nil
}

// sendChunk sends a chunk from memory if it is there; else it is read, and header and chunk leave from one buffer.
func (v *server) sendChunk(a wire.Answer, j job) error {
	if held := v.s.h.recent.take(j.chunk, j.sizeBytes, v.s.h.clock.now()); held != nil {
		defer held.free()
		return v.sendHeld(a, held.chunk(j.sizeBytes))
	}
	buf := takeBuffer(j.sizeBytes)
	defer buf.free()
	n, err := j.read(buf.chunk(j.sizeBytes))
	if err == nil && n != j.sizeBytes {
		err = fmt.Errorf("read %d of %d bytes: %w", n, j.sizeBytes, ErrNotFound)
	}
	if err != nil {
		a.Status, a.Length = wire.StatusNotFound, 0 // whatever is wrong here, the peer finds the chunk elsewhere
		wire.PutAnswer(buf.b, a)
		return errors.Join(err, v.send(buf.frame(0)))
	}
	wire.PutAnswer(buf.b, a)
	return v.sendPaced(buf.frame(j.sizeBytes))
}

// sendHeld sends a chunk from memory that others may be sending too: the header goes in front of a copy of
// its first bytes, so that it does not leave by itself.
func (v *server) sendHeld(a wire.Answer, chunk []byte) error {
	n := min(len(chunk), firstBytes-wire.AnswerBytes)
	first := takeBuffer(n)
	defer first.free()
	wire.PutAnswer(first.b, a)
	copy(first.chunk(n), chunk)
	if err := v.sendPaced(first.frame(n)); err != nil {
		return err
	}
	return v.sendPaced(chunk[n:])
}

func (v *server) send(b []byte) error {
	err := v.st.writeAll(b, v.s.h.t.Stall)
	switch {
	case errors.Is(err, ErrTooSlow):
		v.s.shut(err, nil) // it holds up a slot and a buffer, and takes nothing
	case err != nil:
		err = fmt.Errorf("%w: %w", ErrGone, err)
		_ = v.st.Reset()
	}
	return err
}

// SendChunk answers a waiting ask with a chunk. It never blocks: read fills the buffer later, on the
// goroutine that writes to that peer, or is not called if the chunk has just come and is in memory. done hears
// once how it ended; ErrGone if the ask is void.
func (h *Host) SendChunk(ref uint64, sizeBytes int, read func(buf []byte) (int, error), done func(err error)) {
	w := h.takeRef(ref)
	if w != nil && w.srv.push(job{req: w.req, chunk: w.chunk, status: wire.StatusOK, sizeBytes: sizeBytes, read: read, done: done}) {
		return
	}
	h.spawnAlways(func() { done(fmt.Errorf("send chunk: %w", ErrGone)) })
}

// RefuseChunk answers a waiting ask without a chunk. A void ref is ignored.
func (h *Host) RefuseChunk(ref uint64, status wire.Status) {
	if status == wire.StatusOK {
		status = wire.StatusRefused
	}
	if w := h.takeRef(ref); w != nil {
		w.srv.push(job{req: w.req, status: status})
	}
}

func (h *Host) addRef(w *waitingAsk) uint64 {
	h.refMu.Lock()
	defer h.refMu.Unlock()
	h.nextRef++
	h.refs[h.nextRef] = w
	return h.nextRef
}

// AskedBy is the peer that waits for an answer to an ask; empty if nobody does any more.
func (h *Host) AskedBy(ref uint64) string {
	h.refMu.Lock()
	defer h.refMu.Unlock()
	if w := h.refs[ref]; w != nil {
		return w.srv.s.peer.ID
	}
	return ""
}

// takeRef hands an ask to whoever answers it first; nil for everybody after.
func (h *Host) takeRef(ref uint64) *waitingAsk {
	h.refMu.Lock()
	defer h.refMu.Unlock()
	w := h.refs[ref]
	delete(h.refs, ref)
	return w
}
