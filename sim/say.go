package sim

import (
	"fmt"
	"slices"

	"patchmesh/swarm"
)

// say sends a peer what the core has to tell it.
func (m *machine) say(act swarm.Action) {
	switch a := act.(type) {
	case swarm.TellHave:
		m.tell(a.To, swarm.HaveArrived{From: m.id, Payload: a.Payload, Want: a.Want, Bits: a.Bits.Clone()})
	case swarm.TellSynced:
		m.tell(a.To, swarm.PeerSynced{Peer: m.id})
	case swarm.TellGained:
		m.tell(a.To, swarm.GainedArrived{From: m.id, Payload: a.Payload, Indexes: []int{a.Index}})
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
