package node

import (
	"patchmesh/swarm"
	"patchmesh/swarm/wire"
)

// sayTrail sends a neighbour what the core has to tell it beyond its own sessions; false: it is something else.
func (n *Node) sayTrail(act swarm.Action) bool {
	switch a := act.(type) {
	case swarm.TellTrail:
		t := wire.Trail{Payload: a.Payload, What: int(a.Trail.Kind), Holder: string(a.Trail.Holder), Seq: a.Trail.Seq, Hops: a.Trail.Hops}
		if a.Trail.Kind == swarm.TrailNone {
			t = wire.Trail{Payload: a.Payload}
		}
		n.tell(a.To, t)
	case swarm.AskRelay:
		n.tell(a.To, wire.Relay{Payload: a.Payload, On: a.On})
	case swarm.TellCard:
		n.tellCard(a)
	default:
		return false
	}
	return true
}

// trailMessage takes what a neighbour says of the kind.
func (n *Node) trailMessage(from string, m wire.Message) {
	id := swarm.PeerID(from)
	switch m := m.(type) {
	case wire.Trail:
		n.events.send(swarm.TrailHeard{From: id, Payload: m.Payload, Trail: swarm.Trail{
			Kind: swarm.TrailKind(m.What), Holder: swarm.PeerID(m.Holder), Seq: m.Seq, Hops: m.Hops,
		}})
	case wire.Role:
		if m.Cache {
			n.contacts.saidCache(from)
		}
		n.events.send(swarm.RoleHeard{Peer: id, Cache: m.Cache, WiFi: m.WiFi})
	case wire.Card:
		n.cardArrived(from, m)
	case wire.Relay:
		n.events.send(swarm.RelayAsked{From: id, Payload: m.Payload, On: m.On})
	}
}

// countSite tells the core how many machines gossip knows, when that has changed. told is what it was told last.
func (n *Node) countSite(told int) int {
	if now := n.gossip.Size(); now != told {
		n.events.send(swarm.SiteSized{Machines: now})
		return now
	}
	return told
}
