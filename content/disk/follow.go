package disk

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"patchmesh/content"
)

// followBytes are waited for at a time by who reads a payload while it comes: enough that being woken costs nothing,
// and that little is left to be read when the last chunk has come.
const followBytes = 4 << 20

// awaited are chunks that somebody waits for.
type awaited struct {
	from, to int
	come     chan struct{} // holds one token once they are all there, or something else has to be looked at
}

// Follow is OpenCopy for a payload of which chunks are still to come: reading waits for each of them, until ctx ends.
// It fails with ErrIncomplete once chunks have been lost, since what was read may have been of them, and where a chunk
// is missing after NoMore.
func (s *Store) Follow(ctx context.Context, id content.ID) (*Copy, error) {
	p, err := s.find(id)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	f := &following{p: p, losses: p.losses, over: make(chan struct{})}
	p.mu.Unlock()
	read := func(i int, buf []byte) (int, error) {
		if err := f.await(ctx, i); err != nil {
			return 0, err
		}
		return p.read(i, buf)
	}
	return &Copy{content.NewCopyReader(p.m, read, p.demote), p, f.losses, sync.OnceFunc(func() { close(f.over) })}, nil
}

// NoMore says that all of the payload is there as far as anybody knows: a chunk that is not is not waited for any
// longer, since it may never come. It may be called while the copy is read.
func (c *Copy) NoMore() {
	if c.over != nil {
		c.over()
	}
}

// following is how far a payload was found to have come.
type following struct {
	p      *payload
	losses uint64
	there  int           // all chunks before this one have come
	over   chan struct{} // closed when none is waited for any more
}

// await returns when chunk i is there. Who must stop stops where nothing is to be waited for, too: there may be much to read.
func (f *following) await(ctx context.Context, i int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for i >= f.there {
		w, err := f.look(i)
		if w == nil || err != nil {
			return err
		}
		last, err := f.waitFor(ctx, w)
		f.p.forget(w)
		if err != nil || last && f.p.has(i) {
			return err
		}
		if last {
			return fmt.Errorf("payload %s: a chunk is missing: %w", f.p.id.Short(), content.ErrIncomplete)
		}
	}
	return nil
}

// waitFor returns when something has to be looked at anew; last: it is not to be waited for again.
func (f *following) waitFor(ctx context.Context, w *awaited) (last bool, err error) {
	if err := f.p.present(); err != nil { // asked after it waits: an end from now on wakes it
		return false, err
	}
	select {
	case <-w.come:
		return false, nil
	case <-f.over:
		return true, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// look finds out whether the next chunks are there, and waits for them if not.
func (f *following) look(i int) (*awaited, error) {
	p := f.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.losses != f.losses {
		return nil, fmt.Errorf("payload %s: chunks were lost while it was read: %w", p.id.Short(), content.ErrIncomplete)
	}
	w := &awaited{from: i, to: min(i+max(followBytes/p.m.ChunkBytes, 1), p.m.Len()), come: make(chan struct{}, 1)}
	if w.allIn(p.have) {
		f.there = w.to
		return nil, nil
	}
	p.awaited = append(p.awaited, w)
	return w, nil
}

func (w *awaited) allIn(have *content.Bits) bool {
	missing := have.NextMissing(w.from)
	return missing < 0 || missing >= w.to
}

func (w *awaited) wake() {
	select {
	case w.come <- struct{}{}:
	default:
	}
}

// wake wakes those who wait for chunk i and have nothing else to wait for. The caller holds mu.
func (p *payload) wake(i int) {
	for _, w := range p.awaited {
		if i >= w.from && i < w.to && w.allIn(p.have) {
			w.wake()
		}
	}
}

// wakeAll has everybody look anew who waits for chunks.
func (p *payload) wakeAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.awaited {
		w.wake()
	}
}

func (p *payload) forget(w *awaited) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.awaited = slices.DeleteFunc(p.awaited, func(x *awaited) bool { return x == w })
}

// present says whether the payload is still one of the store's.
func (p *payload) present() error {
	p.io.RLock()
	defer p.io.RUnlock()
	return p.check()
}
