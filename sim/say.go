package sim

import (
	"fmt"
	"slices"

	"patchmesh/swarm"
	"patchmesh/swarm/wire"
)

// gains is one delta on its way: what a machine has gained of a payload since it spoke last.
type gains struct {
	u       *update
	indexes []int
}

// tellGained sends the deltas that acts begins with in one letter, as node does, and says how many they were.
func (m *machine) tellGained(acts []swarm.Action) int {
	first, ok := acts[0].(swarm.TellGained)
	if !ok {
		return 0
	}
	s := m.site
	ses := m.sessionTo(first.To)
	g := s.newGains()
	g.u = s.w.updateOf(first.Payload)
	n := 0
	for ; n < len(acts); n++ {
		a, ok := acts[n].(swarm.TellGained)
		if !ok || a.To != first.To || a.Payload != first.Payload || n == wire.MaxGained {
			break
		}
		g.indexes = append(g.indexes, a.Index)
	}
	if ses == nil || ses.site != s {
		s.spare = append(s.spare, g)
	} else {
		m.letter(ses, g, 0)
	}
	return n
}

func (s *site) newGains() *gains {
	n := len(s.spare)
	if n == 0 {
		return &gains{}
	}
	g := s.spare[n-1]
	s.spare = s.spare[:n-1]
	g.indexes = g.indexes[:0]
	return g
}

// gained hands a delta to the core, which keeps nothing of it.
func (m *machine) gained(from *machine, g *gains) {
	m.step(swarm.GainedArrived{From: from.id, Payload: g.u.info.ID, Indexes: g.indexes})
	m.site.spare = append(m.site.spare, g)
}

// say sends a peer what the core has to tell it.
func (m *machine) say(act swarm.Action) {
	switch a := act.(type) {
	case swarm.TellHave:
		m.tell(a.To, swarm.HaveArrived{From: m.id, Payload: a.Payload, Want: a.Want, Bits: a.Bits.Clone()})
	case swarm.TellSynced:
		m.tell(a.To, swarm.PeerSynced{Peer: m.id})
	case swarm.TellLease:
		m.tell(a.To, swarm.LeaseHeard{From: m.id, Payload: a.Payload, Held: a.Held})
	case swarm.TellTrail:
		m.tell(a.To, swarm.TrailHeard{From: m.id, Payload: a.Payload, Trail: a.Trail})
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
