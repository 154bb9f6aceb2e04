package sim

import (
	"errors"
	"time"

	"patchmesh/policy"
	"patchmesh/swarm"
)

// Documents travel over sessions: a head is told, the set behind it is asked for.
type (
	headTold struct{ head *docs }
	docsAsk  struct {
		req  swarm.Req
		head *docs // that the asker wants to get to
	}
	docsAnswer struct {
		req  swarm.Req
		head *docs
		from *policy.Trust
		good bool // false: a liar has changed a document
	}
	paperAsk struct {
		req swarm.Req
		u   *update
	}
	paperAnswer struct {
		req swarm.Req
		u   *update
		has bool
	}
)

// docTimeout bounds one document, chaseEvery the walks that unknown keys start, as in node.
const (
	docTimeout = 30 * time.Second
	chaseEvery = 20 * time.Second
	docSteps   = 6 // documents behind a head, one after the other
)

// hear is what a driver does with a head from gossip (from is nil) or from a peer: the core hears only
// of one whose signature holds.
func (m *machine) hear(from *machine, d *docs) {
	id := swarm.PeerID("")
	if from != nil {
		id = from.id
	}
	if d == m.head {
		if from != nil {
			m.step(swarm.Heard{From: id, Version: d.version, Root: m.trust.RootVersion()})
		}
		return
	}
	a := m.site.w.verify.checkHead(m.trust, d, m.now())
	switch {
	case errors.Is(a.err, policy.ErrRollback):
		return
	case errors.Is(a.err, policy.ErrUnknownKey) && len(m.sessions) > 0:
		if from == nil { // from gossip: anybody may have the root that explains it
			from = m.sessions[m.site.rng.IntN(len(m.sessions))].peer
		}
		m.chase(from, d)
		return
	case a.err != nil:
		m.site.say.say(m.site.now, "refused").str("m", string(m.id)).str("from", word(string(id))).str("reason", string(policy.ReasonOf(a.err))).end()
		return
	}
	if a.newer && a.version > m.head.version {
		m.head = d
	}
	m.step(swarm.Heard{From: id, Version: a.version, Root: m.trust.RootVersion()})
}

// chase follows a head of an unknown key to the root that may explain it. Walks take turns; see
// swarm.Unread, which node uses as well.
func (m *machine) chase(from *machine, d *docs) {
	if m.session(from) == nil {
		return
	}
	m.unread.Keep(from.id, d)
	if !m.chasing {
		m.chasing = true
		m.chaseNext()
	}
}

// chaseNext follows the next head that is kept, until none is.
func (m *machine) chaseNext() {
	for {
		id, d, ok := m.unread.Take()
		if !ok {
			m.chasing = false
			return
		}
		if ses := m.sessionTo(id); ses != nil {
			m.letter(ses, docsAsk{0, d}, 0)
			m.soon(chaseEvery, m.chaseNext)
			return
		}
	}
}

// reread looks again at the heads that were not understood under the keys of before.
func (m *machine) reread() {
	for _, k := range m.unread.TakeAll() {
		if ses := m.sessionTo(k.From); ses != nil {
			m.hear(ses.peer, k.Head)
		}
	}
}

// announce spreads the adopted head: as a rumour, and at once to every session but seeds elsewhere.
func (m *machine) announce() {
	d := m.shown()
	m.spread(d)
	for _, ses := range m.sessions {
		if !ses.peer.seed || ses.peer.site == m.site {
			m.letter(ses, headTold{d}, 0)
		}
	}
}

// askDocs asks a peer for the documents behind the newest head.
func (m *machine) askDocs(a swarm.AskManifest) {
	ses := m.sessionTo(a.From)
	if ses == nil {
		m.soon(0, swarm.Failed{Req: a.Req, Class: swarm.Retry, Reason: policy.ReasonNetTimeout})
		return
	}
	m.letter(ses, docsAsk{a.Req, m.head}, 0)
	m.expire(ses, a.Req)
}

// expire ends a question for a document that is not answered in time. The core knows best whether it
// is still open: one that is not, it ignores.
func (m *machine) expire(ses *session, req swarm.Req) {
	m.soon(docTimeout, swarm.Failed{Req: req, Class: swarm.Retry, Reason: policy.ReasonNetTimeout})
	_ = ses
}

func (m *machine) docsAsked(from *machine, x docsAsk) {
	if m.lies&lieSilent != 0 {
		return
	}
	ses := m.session(from)
	t := m.shown().trust
	f := t.Files()
	size := int64(len(f.Snapshot) + len(f.Targets) + len(f.RosterRole) + len(f.Roster) + len(f.Manifest))
	m.paper(ses, docsAnswer{x.req, x.head, t, m.lies&lieChunks == 0}, size, docSteps)
}

// paper sends documents: so many round trips, and their bytes over the lines.
func (m *machine) paper(ses *session, what any, size int64, steps int) {
	s := m.site
	wait := time.Duration(2*steps) * s.delay(ses.site)
	if ses.site != s {
		rate := ses.site.wan.Rate
		if rate > 0 {
			wait += time.Duration(float64(size) / rate * 1e9)
		}
	} else {
		wait += time.Duration(m.up.put(s.now, size) - s.now)
	}
	m.letter(ses, what, wait)
}

func (m *machine) docsAnswered(from *machine, x docsAnswer) {
	s := m.site
	if from.site != s {
		s.docBytes += int64(len(x.from.Files().Manifest) + len(x.from.Files().Targets))
	}
	if !x.good {
		m.step(swarm.Failed{Req: x.req, Class: swarm.Refuse, Reason: policy.ReasonTrustBadSignature})
		return
	}
	a := s.w.verify.walk(m.trust, x.from, x.head, s.w.org.roots, m.now())
	if a.err != nil {
		m.step(docFailure(x.req, a.err))
		return
	}
	m.adopt(a.d)
	m.step(m.manifestEvent(x.req))
}

func docFailure(req swarm.Req, err error) swarm.Failed {
	if errors.Is(err, errAbsent) {
		return swarm.Failed{Req: req, Class: swarm.Absent, Reason: policy.ReasonPeerNoneHolds}
	}
	return swarm.Failed{Req: req, Class: swarm.Refuse, Reason: policy.ReasonOf(err), Detail: err.Error()}
}

// adopt makes a verified set durable and what follows from it: who is locked out loses its session.
func (m *machine) adopt(d *docs) {
	newKeys := d.trust.RootVersion() > m.trust.RootVersion()
	m.disk.docs, m.trust = d, d.trust
	if d.version > m.head.version || d.trust.RootVersion() > m.head.trust.RootVersion() {
		m.head = d
	}
	if newKeys {
		m.soon(0, m.reread)
	}
	m.wants = -1
	if first := m.site.w.holdAt; first > 0 && !m.seed && len(d.trust.Manifest().Holds) > 0 && !m.knewHold {
		m.knewHold = true
		m.site.held = append(m.site.held, m.site.now)
	}
	if m.clock != nil {
		m.clock.c.Learn(d.trust)
	}
	m.site.say.say(m.site.now, "adopt").str("m", string(m.id)).num("epoch", int64(d.trust.Epoch())).
		num("head", d.version).num("root", d.trust.RootVersion()).end()
	if len(d.trust.Roster().Revoked) == 0 {
		return
	}
	var out []*machine
	for _, ses := range m.sessions {
		if !m.admits(ses.peer) {
			out = append(out, ses.peer)
		}
	}
	for _, p := range out {
		m.drop(p, true)
	}
}

// askPaper asks for a descriptor and its payload map: at home first.
func (m *machine) askPaper(a swarm.AskDescriptor) {
	u := m.site.w.byDesc[a.ID]
	if m.holds(u) {
		m.soon(time.Millisecond, m.paperEvent(a.Req, u))
		return
	}
	ses := m.sessionTo(a.From)
	if ses == nil {
		class := swarm.Retry
		if a.From == "" {
			class = swarm.Absent
		}
		m.soon(0, swarm.Failed{Req: a.Req, Class: class, Reason: policy.ReasonPeerNoneHolds})
		return
	}
	m.letter(ses, paperAsk{a.Req, u}, 0)
	m.expire(ses, a.Req)
}

func (m *machine) holds(u *update) bool {
	return u.index < len(m.disk.papers) && m.disk.papers[u.index]
}

// hold keeps a descriptor and its map.
func (m *machine) hold(u *update) {
	for len(m.disk.papers) <= u.index {
		m.disk.papers = append(m.disk.papers, false)
	}
	m.disk.papers[u.index] = true
}

func (m *machine) paperEvent(req swarm.Req, u *update) swarm.Event {
	info := u.info
	if f := m.disk.file(u); f != nil {
		info.Have, info.Published = f.have.Clone(), f.published
	}
	return swarm.DescriptorArrived{Req: req, ID: u.descID, Descriptor: u.desc, Payload: info}
}

func (m *machine) paperAsked(from *machine, x paperAsk) {
	if m.lies&lieSilent != 0 {
		return
	}
	ses := m.session(from)
	if !m.holds(x.u) {
		m.letter(ses, paperAnswer{x.req, x.u, false}, 0)
		return
	}
	m.paper(ses, paperAnswer{x.req, x.u, true}, x.u.paperBytes(), 2)
}

func (m *machine) paperAnswered(x paperAnswer) {
	if !x.has {
		m.step(swarm.Failed{Req: x.req, Class: swarm.Absent, Reason: policy.ReasonPeerNoneHolds})
		return
	}
	m.hold(x.u)
	m.step(m.paperEvent(x.req, x.u))
}
