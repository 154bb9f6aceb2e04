package sim

import (
	"fmt"
	"slices"

	"patchmesh/swarm"
)

// gains is one delta on its way: what a machine has gained of a payload since it spoke last. It goes to all
// neighbours at once, and most get it at the same instant: then it is one entry for all of them.
type gains struct {
	u       *update
	indexes []int
	to      []*session // of those whom it goes to
}

// tellGained sends a delta.
func (m *machine) tellGained(a swarm.TellGained) {
	s := m.site
	u := s.w.updateOf(a.Payload)
	g := s.newGains(u, a.Indexes)
	var at int64
	for _, ses := range m.audienceOf(a.To) {
		if ses == nil || ses.site != s {
			continue
		}
		there := m.arrives(ses, 0)
		if len(g.to) > 0 && there != at {
			o := s.newGains(u, a.Indexes)
			o.to = append(o.to, ses.twin)
			s.push(entry{at: there, from: m, kind: gainsHere, what: o})
			continue
		}
		at = there
		g.to = append(g.to, ses.twin)
	}
	if len(g.to) == 0 {
		s.spare = append(s.spare, g)
		return
	}
	s.push(entry{at: at, from: m, kind: gainsHere, what: g})
}

// audienceOf finds the sessions with some peers. As a rule they are those of the last time.
func (m *machine) audienceOf(to []swarm.PeerID) []*session {
	if m.heard == nil || !slices.Equal(to, m.audience) {
		m.audience, m.heard = append(m.audience[:0], to...), m.heard[:0]
		for _, id := range to {
			m.heard = append(m.heard, m.sessionTo(id))
		}
	}
	return m.heard
}

func (s *site) newGains(u *update, indexes []int) *gains {
	g := &gains{}
	if n := len(s.spare); n > 0 {
		g = s.spare[n-1]
		s.spare = s.spare[:n-1]
	}
	g.u, g.indexes, g.to = u, append(g.indexes[:0], indexes...), g.to[:0]
	return g
}

// handOut gives a delta to those whom it was sent to. Their cores keep nothing of it.
func (s *site) handOut(e *entry) {
	g, from := e.what.(*gains), e.from
	var ev swarm.Event = swarm.GainedArrived{From: from.id, Payload: g.u.info.ID, Indexes: g.indexes}
	for _, ses := range g.to {
		if ses.over {
			continue
		}
		m := ses.twin.peer
		if len(ses.held) > 0 || apart(m, from) {
			o := s.newGains(g.u, g.indexes)
			o.to = append(o.to, ses)
			ses.held = append(ses.held, entry{from: from, kind: gainsHere, what: o})
			continue
		}
		m.step(ev)
	}
	s.spare = append(s.spare, g)
}

// say sends a peer what the core has to tell it.
func (m *machine) say(act swarm.Action) {
	switch a := act.(type) {
	case swarm.TellGained:
		m.tellGained(a)
	case swarm.TellHave:
		m.tell(a.To, swarm.HaveArrived{From: m.id, Payload: a.Payload, Want: a.Want, Bits: a.Bits.Clone()})
	case swarm.TellSynced:
		m.tell(a.To, swarm.PeerSynced{Peer: m.id})
	case swarm.TellLease:
		m.tell(a.To, swarm.LeaseHeard{From: m.id, Payload: a.Payload, Held: a.Held})
	case swarm.TellTrail:
		m.tell(a.To, swarm.TrailHeard{From: m.id, Payload: a.Payload, Trail: a.Trail})
	case swarm.TellCard:
		for _, to := range a.To {
			signed := a.Signed
			if signed == nil {
				signed = []byte{1} // nobody forges here
			}
			m.tell(to, swarm.CardHeard{From: m.id, Card: a.Card, Signed: signed})
		}
	case swarm.AskRelay:
		m.tell(a.To, swarm.RelayAsked{From: m.id, Payload: a.Payload, On: a.On})
	case swarm.TellEgress:
		m.tell(a.To, swarm.PeerChanged{Peer: m.id, Egress: a.Egress})
	case swarm.TellLost:
		m.tell(a.To, swarm.LostArrived{From: m.id, Payload: a.Payload})
	case swarm.TellSpent:
		m.tell(a.To, swarm.SpentHeard{From: m.id, Entries: slices.Clone(a.Entries)})
	case swarm.TellGate:
		m.tell(a.To, swarm.PeerGated{Peer: m.id, Serve: a.Serve, WAN: a.WAN})
	default:
		panic(fmt.Sprintf("sim: unknown action %T", act))
	}
}
