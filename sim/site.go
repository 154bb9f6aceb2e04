package sim

import (
	"math/rand/v2"
	"time"

	"patchmesh/swarm"
)

// site is the machines that share one WAN line, and all that happens to them. Between two windows it
// touches nothing of other sites: what leaves it goes through out.
type site struct {
	w       *World
	index   int
	name    string
	rng     *rand.Rand
	q       queue
	now     int64
	clock   time.Time // the true time at clockAt: it is asked for with every step
	clockAt int64
	gens    uint32 // of sessions
	out     []outgoing
	say     journal
	spare   []*gains

	machines []*machine
	byName   map[swarm.PeerID]*machine
	seats    int // given so far: none is given twice
	lan, wan Link
	down     pipe // from the WAN
	cpu      processor
	cut      bool // the WAN does not work
	carried  bool // sticks come here: news and bytes have a way into it
	dialMost int  // sessions that a machine dials by itself; 0: the program's own number

	wanBytes  int64 // payload bytes that crossed the line towards the site
	docBytes  int64 // documents, likewise
	pulling   bool  // a push and pull of gossip is planned
	nextPull  int
	counting  bool  // a count of members is planned
	delivered int64 // chunks stored

	begun []int64 // when installations began
	held  []int64 // when machines learned of the first hold
}

// outgoing waits for the end of the window.
type outgoing struct {
	to    *site
	entry entry
}

// seat takes a machine in.
func (s *site) seat(m *machine) {
	m.seat = s.seats
	s.seats++
	s.machines = append(s.machines, m)
	s.byName[m.id] = m
}

func (s *site) push(e entry) {
	e.at = max(e.at, s.now)
	s.q.push(&e)
}

// trueTime is now on the true clock.
func (s *site) trueTime() time.Time {
	if s.clockAt != s.now || s.clock.IsZero() {
		s.clock, s.clockAt = epoch0.Add(time.Duration(s.now)), s.now
	}
	return s.clock
}

// run does all that is due before end.
func (s *site) run(end int64) {
	for s.q.len() > 0 && s.q.next() < end {
		e := s.q.pop()
		s.now = e.at
		s.deliver(&e)
	}
	s.now = max(s.now, end-1)
}

func (s *site) deliver(e *entry) {
	m := e.m
	if e.kind == gainsHere {
		s.handOut(e)
		return
	}
	if m == nil {
		e.what.(func())()
		return
	}
	if e.from != nil {
		ses := m.session(e.from)
		if ses == nil || ses.gen != e.gen {
			return
		}
		if apart(m, e.from) || len(ses.held) > 0 {
			ses.held = append(ses.held, *e)
			return
		}
	} else if e.inc != m.inc && e.inc != anyInc {
		return
	}
	m.take(e)
}

// toSite sends an entry to a machine of any site. Between sites it takes the WAN's time at least.
func (s *site) toSite(to *site, e entry) {
	if to == s {
		s.push(e)
		return
	}
	s.out = append(s.out, outgoing{to, e})
}

// apart: no packet gets from one to the other now.
func apart(a, b *machine) bool {
	if a.site == b.site {
		return a.part != b.part && !a.bridges && !b.bridges
	}
	return a.wanCut() || b.wanCut()
}

// wanCut: nothing of this machine gets across the WAN.
func (m *machine) wanCut() bool { return m.site.cut || m.part != 0 && m.site.index == 0 }

// delay is how long a packet takes between two machines, without what the line is busy with.
func (s *site) delay(to *site) time.Duration {
	if to == s {
		return s.lan.Delay
	}
	return max(s.wan.Delay, to.wan.Delay)
}

// letter sends something over a session. It arrives after what was sent before; a packet lost on the
// way costs a retransmission.
func (m *machine) letter(ses *session, what any, extra time.Duration) {
	m.send(ses, entry{what: what}, extra)
}

// send is letter for what stands in an entry itself.
func (m *machine) send(ses *session, e entry, extra time.Duration) {
	e.at, e.m, e.from, e.gen = m.arrives(ses, extra), ses.peer, m, ses.gen
	m.site.toSite(ses.site, e)
}

// arrives is when a letter sent now is there.
func (m *machine) arrives(ses *session, extra time.Duration) int64 {
	s := m.site
	at := s.now + int64(s.delay(ses.site)+extra)
	if s.lan.Loss > 0 && s.rng.Float64() < s.lan.Loss {
		at += int64(retransmit)
	}
	ses.sentAt = max(at, ses.sentAt)
	return ses.sentAt
}

// bulk sends a chunk that takes until an instant on the line. Letters do not wait for it: they go between its
// frames, as streams of one connection do.
func (m *machine) bulk(ses *session, e entry, until int64) {
	s := m.site
	at := until + int64(s.delay(ses.site))
	if s.lan.Loss > 0 && s.rng.Float64() < s.lan.Loss {
		at += int64(retransmit)
	}
	e.at, e.m, e.from, e.gen = at, ses.peer, m, ses.gen
	s.push(e)
}

// tell sends an event to a peer, if there is a session.
func (m *machine) tell(to swarm.PeerID, ev swarm.Event) {
	if ses := m.sessionTo(to); ses != nil {
		m.letter(ses, ev, 0)
	}
}

// soon gives the machine something after a delay, unless it restarts meanwhile.
func (m *machine) soon(d time.Duration, what any) {
	m.site.push(entry{at: m.site.now + int64(d), m: m, inc: m.inc, what: what})
}
