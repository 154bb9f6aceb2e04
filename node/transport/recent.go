package transport

import (
	"slices"
	"sync"
	"time"

	"patchmesh/content"
)

// recent holds the chunks that came last and were found right, in the memory they came in. Much of what a
// machine serves is what it got a moment ago: sent from here a chunk is neither read from the disk nor
// checked for what the disk has done to it. A chunk is what its payload ID says, so what is held cannot
// become wrong; whether it may be sent is decided before, for each ask.
type recent struct {
	mu    sync.Mutex
	bytes int
	held  []heldChunk // used last at the end
}

type chunkKey struct {
	payload content.ID
	index   int
}

type heldChunk struct {
	chunkKey
	sizeBytes int
	buf       *buffer
	usedAt    time.Duration
}

const (
	// recentBytes is what all of them may take: a moment's worth, and less than the buffers that the chunks
	// sent from here would need otherwise.
	recentBytes = 1 << 20
	// recentFor is how long one is held that nobody asks for.
	recentFor = 5 * time.Second
)

// keep holds a chunk, in place of those that were not used for longest.
func (r *recent) keep(key chunkKey, sizeBytes int, buf *buffer, now time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.find(key) >= 0 {
		return
	}
	buf.retain()
	r.held = append(r.held, heldChunk{key, sizeBytes, buf, now})
	r.bytes += buf.size()
	n := 0
	for left := r.bytes; left > recentBytes; n++ {
		left -= r.held[n].buf.size()
	}
	r.drop(n)
}

// take gives a chunk that is held, nil if it is not. Whoever took it frees it.
func (r *recent) take(key chunkKey, sizeBytes int, now time.Duration) *buffer {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := r.find(key)
	if i < 0 || r.held[i].sizeBytes != sizeBytes {
		return nil
	}
	c := r.held[i]
	c.usedAt = now
	r.held = append(slices.Delete(r.held, i, i+1), c)
	c.buf.retain()
	return c.buf
}

// expire lets go of what nobody has asked for.
func (r *recent) expire(now time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for n < len(r.held) && now-r.held[n].usedAt > recentFor {
		n++
	}
	r.drop(n)
}

// find and drop are called with the lock held.
func (r *recent) find(key chunkKey) int {
	return slices.IndexFunc(r.held, func(c heldChunk) bool { return c.chunkKey == key })
}

func (r *recent) drop(n int) {
	for _, c := range r.held[:n] {
		r.bytes -= c.buf.size()
		c.buf.free()
	}
	r.held = slices.Delete(r.held, 0, n)
}
