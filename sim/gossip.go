package sim

import (
	"math"
	"time"
)

// Numbers of memberlist as node uses it: its LAN defaults, but for the interval.
const (
	gossipInterval = 100 * time.Millisecond
	gossipNodes    = 3
	retransmitMult = 4
	pullInterval   = 30 * time.Second
)

// rumour is the head that a machine is passing on, and how often it still does.
type rumour struct {
	head  *docs
	left  int
	armed bool // a round is queued
}

type (
	// whisper is one packet with a rumour in it; gossipRound is when a machine sends some.
	whisper     struct{ head *docs }
	gossipRound struct{}
)

// transmits is how often one machine sends one rumour: memberlist's retransmitLimit.
func transmits(members int) int {
	return retransmitMult * int(math.Ceil(math.Log10(float64(members+1))))
}

// spread makes a machine pass a head on. A newer rumour takes the place of an older one.
func (m *machine) spread(d *docs) {
	if m.rumour.head != nil && m.rumour.head.version >= d.version {
		return
	}
	m.rumour.head, m.rumour.left = d, transmits(len(m.site.machines))
	if !m.rumour.armed {
		m.rumour.armed = true
		m.soon(time.Duration(m.site.rng.Int64N(int64(gossipInterval))), gossipRound{})
	}
	m.site.stirGossip()
}

// gossip sends the rumour to a few members drawn by lot. Packets get lost on bad lines and towards
// machines that are off or out of reach: whoever sends one does not know.
func (m *machine) gossip() {
	s := m.site
	m.rumour.armed = false
	if m.rumour.left <= 0 || len(s.machines) < 2 {
		return
	}
	first := s.rng.IntN(len(s.machines))
	step := 1 + s.rng.IntN(len(s.machines)-1)
	for k, sent := 0, 0; k < len(s.machines) && sent < gossipNodes && m.rumour.left > 0; k++ {
		p := s.machines[(first+k*step)%len(s.machines)]
		if p == m || m.revokedFor(p) {
			continue
		}
		sent++
		m.rumour.left--
		if s.lan.Loss > 0 && s.rng.Float64() < s.lan.Loss {
			continue
		}
		if p.on() && !apart(m, p) && p.head.version < m.rumour.head.version {
			s.push(entry{at: s.now + int64(s.lan.Delay), m: p, inc: p.inc, what: whisper{m.rumour.head}})
		}
	}
	if m.rumour.left > 0 {
		m.rumour.armed = true
		m.soon(gossipInterval, gossipRound{})
	}
}

// revokedFor: the machine is no member any more for one that knows it to be locked out.
func (m *machine) revokedFor(p *machine) bool { return !m.admits(p) || !p.admits(m) }

// stirGossip keeps push and pull going while the machines of a site know different heads. Between
// machines that know the same it changes nothing, so it rests then.
func (s *site) stirGossip() {
	if s.pulling || len(s.machines) < 2 {
		return
	}
	s.pulling = true
	s.push(entry{at: s.now + int64(pullEvery(len(s.machines)))/int64(len(s.machines)), what: s.pull})
}

// pullEvery is how often one machine exchanges state: memberlist's pushPullScale, which stretches it in
// sites of more than 32.
func pullEvery(members int) time.Duration {
	if members <= 32 {
		return pullInterval
	}
	return time.Duration(math.Ceil(math.Log2(float64(members))-5)+1) * pullInterval
}

// pull is one machine's turn: both sides show their heads.
func (s *site) pull() {
	s.pulling = false
	s.nextPull = (s.nextPull + 1) % len(s.machines)
	m, p := s.machines[s.nextPull], s.machines[s.rng.IntN(len(s.machines))]
	if m != p && m.on() && p.on() && !apart(m, p) && !m.revokedFor(p) {
		for _, e := range [2][2]*machine{{m, p}, {p, m}} {
			if to, from := e[0], e[1]; to.head.version < from.shown().version {
				s.push(entry{at: s.now + 2*int64(s.lan.Delay), m: to, inc: to.inc, what: whisper{from.shown()}})
			}
		}
	}
	newest := s.machines[0].head.version
	for _, m := range s.machines {
		if m.on() && m.head.version != newest {
			s.stirGossip()
			return
		}
	}
}
