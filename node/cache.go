package node

import (
	"patchmesh/node/transport"
	"patchmesh/swarm"
	"patchmesh/swarm/wire"
)

// tellRole tells a peer that this machine is a cache of its site, before anything that follows from it. A peer whose
// program is older would take an unknown kind of message for an attack.
func (n *Node) tellRole(p transport.Peer) {
	if n.cfg.Cache && n.seed == nil && p.Version >= wire.VersionRoles {
		n.tell(swarm.PeerID(p.ID), wire.Role{Cache: true})
	}
}
