package transport

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"patchmesh/content"
	"patchmesh/swarm/wire"
)

// fetch is one outstanding ask of ours.
type fetch struct {
	key       chunkKey
	sizeBytes int
	done      func(stored []byte, err error) Judgement
	cancelled bool
}

// Judgement is what became of a chunk that came.
type Judgement int

const (
	Unkept Judgement = iota // for no fault of who sent it
	Right                   // it may be sent to others from memory, see recent
	Wrong                   // not what was asked for: this peer's chunk streams end, whatever is under way on them
)

// fetcher is the asking end of the chunk stream to one peer: many asks outstanding, one goroutine
// that reads the answers and one that writes the asks. When the stream breaks every outstanding
// fetch ends with the cause, and the next FetchChunk opens another.
type fetcher struct {
	s      *session
	ctx    context.Context
	cancel context.CancelFunc
	open   func(context.Context) (*stream, error)
	data   *link // nil on a stream of the session's own link
	wake   Bell

	heardAt atomic.Int64 // clock of the last byte, or of the first ask after a pause
	inDone  atomic.Bool  // a callback runs: not reading is our own doing
	pausing atomic.Bool  // so is waiting for the pace

	mu      sync.Mutex
	pending map[uint64]*fetch
	retired bool // nothing new is asked, see retire
	next    uint64
	out     []byte // encoded asks and cancels
	cause   error  // once set, nothing is taken any more
}

// FetchChunk asks a peer for one chunk as it is stored, sizeBytes long by the payload map. It never
// blocks. done is called exactly once, on a goroutine of the stream; stored belongs to the transport
// again when done returns. Errors: ErrBusy, ErrNotFound, ErrRefused, ErrSilent, ErrGone, ErrCancelled, ErrProtocol,
// ErrWrongChunk. cancel withdraws the ask, any number of times and at any time; done then gets ErrCancelled, or the
// chunk if it was on its way already.
func (h *Host) FetchChunk(from string, payload content.ID, index, sizeBytes int, done func(stored []byte, err error) Judgement) (cancel func()) {
	if sizeBytes <= 0 || sizeBytes > content.MaxChunkBytes || index < 0 || index >= content.MaxChunks || payload.IsZero() {
		h.spawnAlways(func() {
			done(nil, fmt.Errorf("fetch chunk %d of %d bytes: %w", index, sizeBytes, wire.ErrFormat))
		})
		return func() {}
	}
	ask := wire.Ask{Payload: payload, Index: uint32(index)}
	for {
		s := h.sessionOf(from)
		if s == nil {
			break
		}
		f := s.fetching()
		if f == nil {
			break
		}
		if cancel := f.ask(ask, &fetch{key: chunkKey{payload, index}, sizeBytes: sizeBytes, done: done}); cancel != nil {
			return cancel
		}
	}
	h.spawnAlways(func() { done(nil, fmt.Errorf("fetch chunk %d from %s: %w", index, from, ErrGone)) })
	return func() {}
}

// fetching gives the fetcher of the session, a new one if the last has ended; nil when the session is over.
func (s *session) fetching() *fetcher {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.why != nil {
		return nil
	}
	if s.fetcher == nil {
		s.fetcher = s.newFetcher(func(ctx context.Context) (*stream, error) { return s.l.open(ctx, protoChunk) })
		s.wg.Go(s.fetcher.run)
	}
	return s.fetcher
}

func (s *session) newFetcher(open func(context.Context) (*stream, error)) *fetcher {
	ctx, cancel := context.WithCancel(s.h.ctx)
	f := &fetcher{s: s, ctx: ctx, cancel: cancel, open: open, wake: NewBell(), pending: map[uint64]*fetch{}}
	f.heardAt.Store(int64(s.h.clock.now()))
	return f
}

// ask queues an ask; nil when this fetcher has ended.
func (f *fetcher) ask(a wire.Ask, what *fetch) (cancel func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cause != nil || f.retired {
		return nil
	}
	if len(f.pending) == 0 {
		f.heardAt.Store(int64(f.s.h.clock.now()))
	}
	f.next++
	a.Req = f.next
	f.pending[a.Req] = what
	f.out = wire.AppendAsk(f.out, a)
	f.wake.Ring()
	return func() { f.withdraw(a.Req) }
}

func (f *fetcher) withdraw(req uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.pending[req]
	if p == nil || p.cancelled || f.cause != nil {
		return
	}
	p.cancelled = true
	f.out = wire.AppendCancel(f.out, wire.Cancel{Req: req})
	f.wake.Ring()
}

// run opens the stream and reads answers until it breaks.
func (f *fetcher) run() {
	if f.data != nil {
		defer f.data.close()
	}
	st, err := f.open(f.ctx)
	if err != nil {
		f.end(err)
		return
	}
	stop := context.AfterFunc(f.ctx, func() { _ = st.Reset() })
	var writing sync.WaitGroup
	writing.Go(func() { f.write(st) })
	err = f.read(bufio.NewReaderSize(heardReader{st, f}, readBufferBytes))
	stop()
	_ = st.Reset()
	f.cancel()
	writing.Wait()
	f.end(err)
}

// write sends asks and cancels, as many at a time as have gathered.
func (f *fetcher) write(st *stream) {
	var spare []byte
	for {
		select {
		case <-f.wake:
		case <-f.ctx.Done():
			return
		}
		f.mu.Lock()
		full := f.out
		f.out = spare[:0]
		f.mu.Unlock()
		if err := st.writeAll(full, f.s.h.t.Stall); err != nil {
			f.kill(fmt.Errorf("%w: %w", ErrGone, err))
			return
		}
		spare = full
	}
}

// heardReader notes when bytes come in.
type heardReader struct {
	io.Reader
	f *fetcher
}

func (r heardReader) Read(p []byte) (int, error) {
	n, err := r.f.pacedRead(r.Reader.Read, p)
	if n > 0 {
		r.f.heardAt.Store(int64(r.f.s.h.clock.now()))
	}
	return n, err
}

func (f *fetcher) read(br *bufio.Reader) error {
	for {
		a, err := wire.ReadAnswer(br)
		if err != nil {
			if errors.Is(err, wire.ErrFormat) || errors.Is(err, wire.ErrTooLarge) {
				return f.s.protocolError(err)
			}
			return fmt.Errorf("%w: %w", ErrGone, err)
		}
		p := f.expected(a)
		if p == nil {
			return f.s.protocolError(fmt.Errorf("answer to no ask of ours, or of %d bytes instead", a.Length))
		}
		if a.Status != wire.StatusOK {
			f.settle(a.Req, p, nil, statusError(a.Status))
			continue
		}
		buf := takeBuffer(p.sizeBytes)
		stored := buf.chunk(p.sizeBytes)
		if _, err := io.ReadFull(br, stored); err != nil {
			buf.free()
			return fmt.Errorf("%w within a chunk: %w", ErrGone, err)
		}
		f.s.bytesIn.Add(int64(p.sizeBytes))
		f.s.h.bytesIn.Add(int64(p.sizeBytes))
		judged := f.settle(a.Req, p, stored, nil)
		if judged == Right {
			f.s.h.recent.keep(p.key, p.sizeBytes, buf, f.s.h.clock.now())
		}
		buf.free()
		if judged == Wrong {
			f.s.endFetching()
			return ErrWrongChunk
		}
		if f.data == nil {
			f.s.wantData()
		}
	}
}

// expected finds the ask that an answer is for. A chunk of any other size than the payload map says
// is refused before a byte of it is read.
func (f *fetcher) expected(a wire.Answer) *fetch {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.pending[a.Req]
	if p == nil || a.Status == wire.StatusOK && int(a.Length) != p.sizeBytes {
		return nil
	}
	return p
}

// settle ends one fetch.
func (f *fetcher) settle(req uint64, p *fetch, stored []byte, err error) Judgement {
	f.mu.Lock()
	delete(f.pending, req)
	f.mu.Unlock()
	f.inDone.Store(true)
	judged := p.done(stored, err)
	f.heardAt.Store(int64(f.s.h.clock.now()))
	f.inDone.Store(false)
	f.endRetired()
	return judged
}

// endFetching ends the chunk streams from a peer that has sent a wrong chunk. What it still sends would be read, and
// paid for, before whoever decides has withdrawn the asks for it.
func (s *session) endFetching() {
	s.ahead.Store(0)
	for _, f := range s.fetchers() {
		f.kill(ErrWrongChunk)
	}
}

// fetchers are all of a session that have not ended.
func (s *session) fetchers() []*fetcher {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.AppendSeq([]*fetcher{}, maps.Keys(s.draining))
	if s.fetcher != nil {
		all = append(all, s.fetcher)
	}
	return all
}

// retire has nothing new asked here; the stream ends when what is outstanding has been answered. The
// session must have let go of f before.
func (f *fetcher) retire() {
	f.mu.Lock()
	f.retired = true
	f.mu.Unlock()
	f.endRetired()
}

func (f *fetcher) endRetired() {
	f.mu.Lock()
	over := f.retired && len(f.pending) == 0
	f.mu.Unlock()
	if over {
		f.kill(ErrGone)
	}
}

// idle says that nothing was outstanding for dataRetry.
func (f *fetcher) idle(now time.Duration) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.pending) == 0 && now-time.Duration(f.heardAt.Load()) > f.s.h.dataRetry
}

// kill breaks the stream with that cause; run then ends the fetches.
func (f *fetcher) kill(cause error) {
	f.mu.Lock()
	if f.cause == nil {
		f.cause = cause
	}
	f.mu.Unlock()
	f.unregister()
	f.cancel()
}

// unregister lets the next FetchChunk open another stream.
func (f *fetcher) unregister() {
	f.s.mu.Lock()
	if f.s.fetcher == f {
		f.s.fetcher = nil
	}
	delete(f.s.draining, f)
	f.s.mu.Unlock()
}

// end settles whatever is outstanding, in the order in which it was asked for.
func (f *fetcher) end(cause error) {
	f.cancel()
	f.unregister()
	f.mu.Lock()
	if f.cause == nil {
		f.cause = cause
	}
	cause = f.cause
	pending := f.pending
	f.pending = nil
	f.mu.Unlock()
	reqs := make([]uint64, 0, len(pending))
	for req := range pending {
		reqs = append(reqs, req)
	}
	slices.Sort(reqs)
	for _, req := range reqs {
		pending[req].done(nil, fmt.Errorf("fetch from %s: %w", f.s.peer.ID, cause))
	}
}

// keep breaks a stream on which answers are due and nothing comes.
func (f *fetcher) keep(now time.Duration) {
	f.mu.Lock()
	due := len(f.pending) > 0 && f.cause == nil
	f.mu.Unlock()
	// The order matters: a callback notes the time before it says that it has returned.
	if due && !f.inDone.Load() && !f.pausing.Load() && now-time.Duration(f.heardAt.Load()) > f.s.h.t.FetchSilent {
		f.kill(fmt.Errorf("%w: nothing for %s", ErrSilent, f.s.h.t.FetchSilent))
	}
}

func statusError(s wire.Status) error {
	switch s {
	case wire.StatusBusy:
		return ErrBusy
	case wire.StatusNotFound:
		return ErrNotFound
	case wire.StatusCancelled:
		return ErrCancelled
	}
	return ErrRefused
}
