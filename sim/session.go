package sim

import (
	"cmp"
	"slices"
	"time"

	"patchmesh/policy"
	"patchmesh/swarm"
)

// session is one end of an open session.
type session struct {
	peer    *machine
	site    *site // of the peer when the session began
	gen     uint32
	over    bool
	twin    *session  // the other end, within a site
	sentAt  int64     // when what was sent last arrives
	chunkAt int64     // when the last byte of a chunk came, or will have come
	held    []entry   // what waits for a broken line to heal, as TCP does
	asks    int       // outstanding there
	line    []arrival // chunks for a peer of another site that wait for its window
	unread  int64     // bytes of those that have left and were not read yet
	watched bool      // a look at its silence is planned
}

// The waits of node/transport and of the connector.
const (
	fetchSilent = 5 * time.Second
	peerSilence = 10 * time.Second
	dialTimeout = 3 * time.Second
	retryFirst  = 300 * time.Millisecond
	retryMost   = 20 * time.Second
	discovery   = 400 * time.Millisecond // until a machine that starts has learned of its site
	linkGrace   = 10 * time.Second       // how long an unwanted session with a seed stays
	maxDialled  = 64                     // node's maxNeighbours
)

type (
	// hello opens a session across the WAN, welcome answers it; within a site both ends are made at once.
	hello struct {
		from    *machine
		inc     uint32
		gen     uint32
		site    *site
		egress  bool
		head    *docs
		version int64
	}
	welcome struct {
		gen  uint32
		head *docs
	}
	// bye ends a session. farewell does where the other side may know of none.
	bye      struct{}
	farewell struct {
		from *machine
		gen  uint32
	}
)

func (m *machine) session(p *machine) *session {
	if p.site == m.site && p.seat < len(m.seats) && m.seats[p.seat] != nil {
		return m.seats[p.seat]
	}
	i, found := slices.BinarySearchFunc(m.sessions, p.index, func(s *session, i int) int { return cmp.Compare(s.peer.index, i) })
	if !found {
		return nil
	}
	return m.sessions[i]
}

// maxSeats bounds what a machine keeps to find the sessions of a site by seat.
const maxSeats = 256

// seatTo notes the session with a machine of the site where it is found at once.
func (m *machine) seatTo(p *machine, ses *session) {
	if p.site != m.site || p.seat >= maxSeats {
		return
	}
	if m.seats == nil {
		m.seats = make([]*session, min(m.site.seats, maxSeats))
	}
	for len(m.seats) <= p.seat {
		m.seats = append(m.seats, nil)
	}
	m.seats[p.seat] = ses
}

func (m *machine) sessionTo(id swarm.PeerID) *session {
	p := m.site.byName[id]
	if p == nil {
		p = m.site.w.byID[id]
	}
	if p == nil {
		return nil
	}
	return m.session(p)
}

func (m *machine) addSession(ses *session) {
	i, _ := slices.BinarySearchFunc(m.sessions, ses.peer.index, func(s *session, i int) int { return cmp.Compare(s.peer.index, i) })
	m.sessions = slices.Insert(m.sessions, i, ses)
	m.audience, m.heard = nil, nil
	m.seatTo(ses.peer, ses)
}

// redial plans a round of dialling.
func (m *machine) redial(d time.Duration) {
	if m.dialAt != 0 || m.core == nil || m.seed {
		return
	}
	m.dialAt = m.site.now + int64(d) + m.site.rng.Int64N(int64(retryFirst))
	m.site.push(entry{at: m.dialAt, m: m, inc: m.inc, what: dialMore{}})
}

// neighbours counts the sessions within the site.
func (m *machine) neighbours() int {
	n := 0
	for _, ses := range m.sessions {
		if ses.peer.site == m.site {
			n++
		}
	}
	return n
}

// dial opens sessions with machines of the site, in an order drawn by lot, as the connector of node
// does with what gossip tells it. Who is not there, or cannot be reached, is tried again by itself
// when that changes: see boot, heal and drop.
func (m *machine) dial() {
	m.dialAt = 0
	s := m.site
	most := s.dialled()
	have := m.neighbours()
	if have >= most {
		return
	}
	for _, i := range s.rng.Perm(len(s.machines)) {
		p := s.machines[i]
		if p == m || !p.on() || apart(m, p) || m.session(p) != nil || !m.admits(p) || !p.admits(m) {
			continue
		}
		s.gens++
		m.open(p, s.gens)
		if have++; have >= most {
			break
		}
	}
}

// admits: by its own documents this machine lets the other one in.
func (m *machine) admits(p *machine) bool {
	r := m.trust.Roster()
	return len(r.Revoked) == 0 || !r.IsRevoked(string(p.id))
}

// open makes both ends of a session within a site.
func (m *machine) open(p *machine, gen uint32) {
	up := m.site.now + 3*int64(m.site.lan.Delay) // nothing is read from a session before it is up
	here := &session{peer: p, site: p.site, gen: gen, sentAt: up}
	there := &session{peer: m, site: m.site, gen: gen, sentAt: up, twin: here}
	here.twin = there
	m.addSession(here)
	p.addSession(there)
	for _, e := range [2][2]*machine{{m, p}, {p, m}} {
		a, b := e[0], e[1]
		shown := b.shown()
		a.letterTo(b, swarm.PeerUp{
			Peer: b.id, Site: swarm.SiteID(b.site.name), Seed: b.seed, Egress: b.egress, SameSubnet: true, Groups: b.facts.Groups,
			HeadVersion: min(shown.version, a.head.version), Root: a.trust.RootVersion(),
		}, gen)
		if b.cache {
			a.letterTo(b, swarm.RoleHeard{Peer: b.id, Cache: true}, gen)
		}
	}
	m.exchange(p)
	p.exchange(m)
}

// letterTo gives a machine news of its own session with b, once the handshake is through.
func (m *machine) letterTo(b *machine, ev swarm.Event, gen uint32) {
	m.site.push(entry{at: m.site.now + 3*int64(m.site.lan.Delay), m: m, from: b, gen: gen, what: ev})
}

// exchange shows the peer this machine's head if the peer is behind, and tells a liar's story.
func (m *machine) exchange(p *machine) {
	ses := m.session(p)
	if mine := m.shown(); p.shown().version < mine.version {
		m.letter(ses, headTold{mine}, 3*m.site.lan.Delay)
	}
	m.lieTo(ses)
}

// shown is the set of documents that this machine says it has.
func (m *machine) shown() *docs {
	if m.lies&lieHeads != 0 {
		return m.site.w.org.first
	}
	return m.disk.docs
}

// drop ends this machine's end of a session. told: the other side is told too.
func (m *machine) drop(p *machine, tellIt bool) {
	ses := m.session(p)
	if ses == nil {
		return
	}
	if tellIt {
		m.letter(ses, bye{}, 0)
	}
	ses.over = true
	m.sessions = slices.DeleteFunc(m.sessions, func(s *session) bool { return s == ses })
	m.audience, m.heard = nil, nil
	m.seatTo(p, nil)
	m.unread.Forget(p.id)
	m.asks = slices.DeleteFunc(m.asks, func(a ask) bool { return a.peer == p })
	for i := len(m.refs) - 1; i >= 0; i-- {
		if r := m.refs[i]; r.to == p {
			m.refs = slices.Delete(m.refs, i, i+1)
			m.soon(0, swarm.UploadEnded{Ref: r.ref})
		}
	}
	if m.core != nil {
		m.soon(0, swarm.PeerDown{Peer: p.id})
		m.redial(retryFirst)
	}
}

// left: the other side of a session is gone; it may never have been open here.
func (m *machine) left(x farewell) {
	if ses := m.session(x.from); ses != nil && ses.gen == x.gen {
		m.drop(x.from, false)
	}
}

// silence: nothing comes over this session any more. The other side notices by the waits of the
// transport: first what it has asked fails, then the session ends. It is planned for the world as a
// whole, since it looks at both sides.
func (m *machine) silence(ses *session) {
	p, gen, w := ses.peer, ses.gen, m.site.w
	deaf := func() bool {
		o := p.session(m)
		if o == nil || o.gen != gen {
			return false
		}
		mine := m.session(p)
		return mine == nil || mine.gen != gen || apart(m, p)
	}
	w.after(fetchSilent, func() {
		if deaf() {
			p.failAsks(m)
		}
	})
	w.after(peerSilence+time.Duration(m.index%3)*time.Second, func() {
		if deaf() {
			p.drop(m, true)
		}
	})
}

// watch looks at a peer's silence as long as something is asked of it.
func (m *machine) watch(ses *session) {
	if ses.watched {
		return
	}
	ses.watched = true
	m.soon(max(time.Duration(ses.chunkAt-m.site.now)+fetchSilent, time.Second), func() {
		ses.watched = false
		if m.session(ses.peer) != ses || ses.asks == 0 {
			return
		}
		if m.site.now-ses.chunkAt >= int64(fetchSilent) {
			m.failAsks(ses.peer)
			return
		}
		m.watch(ses)
	})
}

// failAsks ends what is asked of a peer that has fallen silent.
func (m *machine) failAsks(p *machine) {
	var left []ask
	for _, a := range m.asks {
		if a.peer != p {
			left = append(left, a)
			continue
		}
		m.soon(0, swarm.Failed{Req: a.req, Class: swarm.Retry, Reason: policy.ReasonNetTimeout, Detail: "silent"})
	}
	m.asks = left
	if ses := m.session(p); ses != nil {
		ses.asks = 0
	}
}

// tryLink is a machine's attempt to reach a seed across the WAN.
func (m *machine) tryLink() {
	s, hq := m.site, m.site.w.hq
	if m.linking || m.session(hq) != nil {
		return
	}
	m.linking = true
	s.gens++
	gen := s.gens | 1<<31 // apart from those of the seed's own site
	m.linkGen = gen
	if !m.wanCut() {
		s.toSite(hq.site, entry{at: s.now + int64(s.delay(hq.site)), m: hq, inc: anyInc, what: hello{
			from: m, inc: m.inc, gen: gen, site: s, egress: m.egress, head: m.shown(), version: m.shown().version,
		}})
	}
	m.soon(dialTimeout, func() {
		if m.linking {
			m.linking = false
			m.step(swarm.LinkFailed{})
		}
	})
}

// greeted: a machine of another site wants a session with this seed.
func (m *machine) greeted(x hello) {
	if m.core == nil || m.part != 0 || !m.admits(x.from) {
		return
	}
	if m.session(x.from) != nil {
		m.drop(x.from, false)
	}
	ses := &session{peer: x.from, site: x.site, gen: x.gen}
	m.addSession(ses)
	m.site.toSite(x.site, entry{at: m.site.now + int64(m.site.delay(x.site)), m: x.from, inc: x.inc, what: welcome{gen: x.gen, head: m.disk.docs}})
	ses.sentAt = m.site.now + int64(m.site.delay(x.site)) + 1
	if x.version < m.disk.docs.version {
		m.letter(ses, headTold{m.disk.docs}, 0)
	}
	m.soon(0, swarm.PeerUp{Peer: x.from.id, Site: swarm.SiteID(x.site.name), Egress: x.egress, Groups: x.from.facts.Groups, HeadVersion: min(x.version, m.head.version), Root: m.trust.RootVersion()})
	if x.from.cache {
		m.soon(0, swarm.RoleHeard{Peer: x.from.id, Cache: true})
	}
}

// welcomed: the seed has answered.
func (m *machine) welcomed(_ *machine, x welcome) {
	hq := m.site.w.hq
	m.linking = false
	if m.session(hq) != nil {
		return
	}
	m.addSession(&session{peer: hq, site: hq.site, gen: x.gen})
	m.step(swarm.PeerUp{Peer: hq.id, Site: swarm.SiteID(hq.site.name), Seed: true, Egress: false, HeadVersion: min(x.head.version, m.head.version), Root: m.trust.RootVersion()})
	if x.head.version > m.head.version {
		m.hear(hq, x.head)
	}
	if !m.linkWant {
		m.unlinkLater()
	}
}

// unlinkLater closes a session with a seed that stays unwanted.
func (m *machine) unlinkLater() {
	m.soon(linkGrace, func() {
		if !m.linkWant && m.neighbours() > 0 {
			m.drop(m.site.w.hq, true)
		}
	})
}
