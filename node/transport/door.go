package transport

import (
	"sync"
	"time"
)

// door holds the seats of strangers: accepted connections whose peer is not admitted yet. There are
// few, so that a machine without credentials costs little however often it connects. When all are
// taken, the oldest gives way once it had a second: honest peers need some milliseconds, so a flood
// of idle connections cannot lock them out.
type door struct {
	clock *clock
	life  time.Duration

	mu    sync.Mutex
	seats map[*rawConn]seat
}

type seat struct{ since, until time.Duration }

func newDoor(c *clock, life time.Duration) *door {
	return &door{clock: c, life: life, seats: map[*rawConn]seat{}}
}

// enter takes a seat, or says that there is none.
func (d *door) enter(c *rawConn) bool {
	now := d.clock.now()
	d.mu.Lock()
	var evicted *rawConn
	if len(d.seats) >= maxStrangers {
		if evicted = d.oldest(); now-d.seats[evicted].since < strangerEvictAge {
			d.mu.Unlock()
			return false
		}
		delete(d.seats, evicted)
	}
	d.seats[c] = seat{since: now, until: now + d.life}
	d.mu.Unlock()
	if evicted != nil {
		_ = evicted.Close()
	}
	return true
}

func (d *door) oldest() *rawConn {
	var out *rawConn
	for c, s := range d.seats {
		if out == nil || s.since < d.seats[out].since {
			out = c
		}
	}
	return out
}

// leave gives the seat back: the peer was admitted or the connection is closed.
func (d *door) leave(c *rawConn) {
	d.mu.Lock()
	delete(d.seats, c)
	d.mu.Unlock()
}

// stay prolongs a seat for an enrolment.
func (d *door) stay(c *rawConn, life time.Duration) {
	d.mu.Lock()
	if s, ok := d.seats[c]; ok {
		s.until = d.clock.now() + life
		d.seats[c] = s
	}
	d.mu.Unlock()
}

// expire closes what has overstayed.
func (d *door) expire() {
	now := d.clock.now()
	var over []*rawConn
	d.mu.Lock()
	for c, s := range d.seats {
		if now >= s.until {
			over = append(over, c)
		}
	}
	d.mu.Unlock()
	for _, c := range over {
		_ = c.Close()
	}
}
