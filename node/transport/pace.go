package transport

import (
	"sync"
	"sync/atomic"
	"time"

	"patchmesh/swarm/rate"
)

// Pace slows bytes down to a rate that all who share it have together. It never turns in a circle: who has
// to wait sleeps until the bytes before have been paid, or the rate changes. Safe for concurrent use; nil
// lets everything pass.
type Pace struct {
	limited atomic.Bool
	waited  atomic.Int64 // nanoseconds, over all who waited

	mu      sync.Mutex
	bucket  rate.Bucket
	changed chan struct{} // closed when the rate changes
	start   time.Time
}

// NewPace makes one without a limit.
func NewPace() *Pace {
	p := &Pace{start: time.Now(), changed: make(chan struct{})}
	p.bucket = rate.NewBucket(p.start, rate.Unlimited)
	return p
}

// Set changes the rate.
func (p *Pace) Set(r rate.Rate) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bucket.Rate() == r {
		return
	}
	p.bucket.Set(p.now(), r)
	p.limited.Store(r != rate.Unlimited)
	close(p.changed)
	p.changed = make(chan struct{})
}

// Rate is what was set last.
func (p *Pace) Rate() rate.Rate {
	if p == nil {
		return rate.Unlimited
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bucket.Rate()
}

// now is monotonic: a wall clock that is corrected must not stop or flood a line.
func (p *Pace) now() time.Time { return p.start.Add(time.Since(p.start)) }

// Waited is how long its users have waited, together.
func (p *Pace) Waited() time.Duration {
	if p == nil {
		return 0
	}
	return time.Duration(p.waited.Load())
}

// Wait blocks until more may pass; false if stop was closed before.
func (p *Pace) Wait(stop <-chan struct{}) bool {
	if p == nil || !p.limited.Load() {
		return true
	}
	began := time.Now()
	defer func() { p.waited.Add(int64(time.Since(began))) }()
	for {
		p.mu.Lock()
		ready, wait := p.bucket.Ready(p.now())
		changed := p.changed
		p.mu.Unlock()
		if ready {
			return true
		}
		if wait < 0 {
			wait = time.Hour // nothing may pass until the rate changes
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-changed:
		case <-stop:
		}
		t.Stop()
		select {
		case <-stop:
			return false
		default:
		}
	}
}

// Took pays for n payload bytes that have passed or are about to.
func (p *Pace) Took(n int) {
	if p == nil || n == 0 || !p.limited.Load() {
		return
	}
	p.mu.Lock()
	p.bucket.Take(p.now(), rate.OnWire(int64(n)))
	p.mu.Unlock()
}

// Pieces of a transfer that is slowed down: as much as the rate carries in pieceSpan, within these bounds.
const (
	pieceSpan = 20 * time.Millisecond
	minPiece  = 2 << 10
	maxPiece  = 64 << 10
)

// piece is how many of n bytes should go at once.
func (p *Pace) piece(n int) int {
	if p == nil || !p.limited.Load() {
		return n
	}
	return min(n, max(minPiece, min(maxPiece, int(float64(p.Rate())*pieceSpan.Seconds()))))
}

// smooth says whether receiving is slowed down piece by piece. Below smoothRate it is not: a chunk would
// be on its way for longer than a sender waits for a reader, and there the core alone keeps the rate,
// since it asks for the next chunk only when the one before is paid.
func (p *Pace) smooth() bool {
	if p == nil || !p.limited.Load() {
		return false
	}
	return p.Rate() >= smoothRate
}

// smoothRate carries the smallest chunk size of large payloads in four seconds.
const smoothRate = 64 << 10

// Pacing says how fast chunks go to and come from a peer. Nil functions and nil results: without limit. Up is asked anew for
// each chunk, since it may be another pace whose rate counts from now on; Down for each session.
type Pacing struct {
	Up   func(Peer) *Pace
	Down func(Peer) *Pace
}

func (c Pacing) up(p Peer) *Pace {
	if c.Up == nil {
		return nil
	}
	return c.Up(p)
}

func (c Pacing) down(p Peer) *Pace {
	if c.Down == nil {
		return nil
	}
	return c.Down(p)
}

// sendPaced writes bytes of a chunk piece by piece, as the pace and the muxer allow. Those of a muxed stream have left the
// muxer when it returns, see handed.go; the muxer's own stall limit, that of the socket, ends the link if they do not.
func (v *server) sendPaced(b []byte) error {
	up, muxed := v.s.h.cfg.Pacing.up(v.s.peer), v.st.muxed()
	for len(b) > 0 {
		if !up.Wait(v.s.l.closed) {
			return ErrGone
		}
		n := up.piece(len(b))
		if muxed {
			n = min(n, muxPieceBytes)
		}
		up.Took(n)
		if err := v.sendPiece(b[:n], muxed); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// pacedRead waits for the pace, reads, and pays. While it waits the stream is not silent, it is us who
// do not read.
func (f *fetcher) pacedRead(read func([]byte) (int, error), b []byte) (int, error) {
	down := f.s.down
	if !down.smooth() {
		return read(b)
	}
	f.pausing.Store(true)
	ok := down.Wait(f.ctx.Done())
	f.heardAt.Store(int64(f.s.h.clock.now()))
	f.pausing.Store(false)
	if !ok {
		return 0, ErrGone
	}
	n, err := read(b[:down.piece(len(b))])
	down.Took(n)
	return n, err
}
