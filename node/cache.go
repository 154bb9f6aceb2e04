package node

import (
	"sync"

	"patchmesh/node/transport"
	"patchmesh/swarm"
	"patchmesh/swarm/wire"
)

// ownRole is what this machine tells its peers that it is to its site.
type ownRole struct {
	mu   sync.Mutex // held while it is told: what is told last is what holds
	wifi bool
}

// tellRole tells a peer that this machine is a cache of its site, or on Wi-Fi, before anything that follows from it. A
// peer whose program is older would take an unknown kind of message, or one of its kinds that says more than it knows, for
// an attack.
func (n *Node) tellRole(p transport.Peer) {
	n.role.mu.Lock()
	defer n.role.mu.Unlock()
	r := wire.Role{Cache: n.cfg.Cache, WiFi: n.role.wifi && p.Version >= wire.VersionLinks}
	if n.seed == nil && p.Version >= wire.VersionRoles && r != (wire.Role{}) {
		n.tell(swarm.PeerID(p.ID), r)
	}
}

// linkChanged notes whether this machine is on Wi-Fi, and tells those peers that understand it.
func (n *Node) linkChanged(wifi bool) {
	n.role.mu.Lock()
	defer n.role.mu.Unlock()
	if n.role.wifi == wifi {
		return
	}
	n.role.wifi = wifi
	n.limits.linkChanged(wifi)
	for _, p := range n.host.Peers() {
		if p.Site == n.member.Site && p.Version >= wire.VersionLinks {
			n.tell(swarm.PeerID(p.ID), wire.Role{Cache: n.cfg.Cache, WiFi: wifi})
		}
	}
}
