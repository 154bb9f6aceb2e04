package transport

import (
	"net/netip"
	"sync"
	"time"
)

// door holds the seats of strangers: accepted connections whose peer is not admitted yet. There are
// few, so that a machine without credentials costs little however often it connects. When all are
// taken, whoever holds more than its share gives way: an address with more seats than the newcomer's
// loses its oldest at once, so one machine cannot keep the others out. Among equals the oldest goes
// once it had a second: honest peers need some milliseconds, so idle connections lock nobody out.
type door struct {
	clock *clock
	life  time.Duration

	mu    sync.Mutex
	seats map[*rawConn]seat
}

type seat struct {
	since, until time.Duration
	from         netip.Prefix // IPv4: the address; IPv6: its /64, of which one machine has all
}

func newDoor(c *clock, life time.Duration) *door {
	return &door{clock: c, life: life, seats: map[*rawConn]seat{}}
}

// enter takes a seat, or says that there is none.
func (d *door) enter(c *rawConn) bool {
	now, from := d.clock.now(), fromOf(c)
	d.mu.Lock()
	var evicted *rawConn
	if len(d.seats) >= maxStrangers {
		if evicted = d.makeRoom(now, from); evicted == nil {
			d.mu.Unlock()
			return false
		}
		delete(d.seats, evicted)
	}
	d.seats[c] = seat{since: now, until: now + d.life, from: from}
	d.mu.Unlock()
	if evicted != nil {
		_ = evicted.Close()
	}
	return true
}

// makeRoom picks who gives way to a newcomer; nil: nobody.
func (d *door) makeRoom(now time.Duration, from netip.Prefix) *rawConn {
	held := map[netip.Prefix]int{}
	for _, s := range d.seats {
		held[s.from]++
	}
	most := from
	for p, n := range held {
		if n > held[most] || n == held[most] && most != from && d.oldest(p).before(d.oldest(most)) {
			most = p
		}
	}
	if o := d.oldest(most); held[most] > held[from]+1 {
		return o.conn
	}
	if o := d.oldest(netip.Prefix{}); now-o.since >= strangerEvictAge {
		return o.conn
	}
	return nil
}

type oldSeat struct {
	conn  *rawConn
	since time.Duration
}

func (o oldSeat) before(p oldSeat) bool { return p.conn == nil || o.since < p.since }

// oldest finds the oldest seat, of one address if a valid one is given.
func (d *door) oldest(from netip.Prefix) oldSeat {
	var out oldSeat
	for c, s := range d.seats {
		if o := (oldSeat{c, s.since}); (!from.IsValid() || s.from == from) && o.before(out) {
			out = o
		}
	}
	return out
}

func fromOf(c *rawConn) netip.Prefix {
	ap, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Prefix{}
	}
	ip, bits := ap.Addr().Unmap().WithZone(""), 32
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.Prefix(bits) // both lengths are valid for their family
	return p
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
