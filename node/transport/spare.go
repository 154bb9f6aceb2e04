package transport

import (
	"sync"
	"time"
)

// spares are buffers that nobody uses at the moment. They stay for spareFor whatever the collector does: a sync.Pool
// is emptied by two collections, and while dozens of links begin to carry chunks there are several in a second. What
// it had lost was made anew, which took most of what is allocated then, and so called for the next collection.
type spares[T any] struct {
	mu    sync.Mutex
	free  []*T // put back last at the end; never more than were in use at once
	least int  // of them that were there all the time since
	since time.Time
}

// spareFor is how long a buffer is kept that nobody needs.
const spareFor = 2 * time.Second

// take gives a buffer, nil if there is none.
func (s *spares[T]) take() *T {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.free) - 1
	if n < 0 {
		return nil
	}
	b := s.free[n]
	s.free[n] = nil
	s.free = s.free[:n]
	s.least = min(s.least, n)
	return b
}

func (s *spares[T]) put(b *T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free = append(s.free, b)
}

// expire lets go of those that nobody has needed for spareFor.
func (s *spares[T]) expire(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.since) < spareFor {
		return
	}
	n := copy(s.free, s.free[s.least:])
	clear(s.free[n:])
	s.free = s.free[:n]
	s.least, s.since = n, now
}

// expireSpares is a round over all spares; they are shared by all hosts.
func expireSpares(now time.Time) {
	for i := range bufferPools {
		bufferPools[i].expire(now)
	}
	for _, s := range gatherPools {
		s.expire(now)
	}
	batchPool.expire(now)
}
