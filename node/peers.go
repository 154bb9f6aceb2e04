package node

import (
	"patchmesh/node/api"
	"patchmesh/node/transport"
	"patchmesh/swarm"
)

// peerRows tells about everybody who is connected, and then about the machines of the site that are away.
func (n *Node) peerRows(v *swarm.View) []api.PeerInfo {
	now := n.cfg.Now()
	sessions := map[string]transport.Peer{}
	list := n.host.Peers()
	for _, p := range list {
		sessions[p.ID] = p
	}
	n.contacts.sample(list, now)
	rtts := n.host.RTTs()
	rows := []api.PeerInfo{}
	for _, p := range v.Peers {
		c, s := n.contacts.of(string(p.ID)), sessions[string(p.ID)]
		row := api.PeerInfo{
			ID: string(p.ID), Name: c.Name, Site: string(p.Site), Addr: s.Addr, Seed: p.Seed, Egress: p.Egress, Cache: p.Cache, WiFi: p.WiFi,
			BytesIn: p.BytesIn, BytesOut: p.BytesOut, Standing: "good", State: "connected", Tier: c.booked(), ConnectedAt: c.since.UTC(),
			RTTSeconds: rtts[string(p.ID)].Seconds(), InBytesPerSec: c.in.bytesPerSec, OutBytesPerSec: c.out.bytesPerSec,
			AsksOpen: p.Asks, Silences: p.Silences, HeldPayloads: p.Payloads, HeldChunks: p.Chunks, FetchingPayloads: p.Wants,
			Gated: string(p.Gate), Gives: eligible(p.Gives), Takes: eligible(p.Takes),
		}
		if p.Shunned {
			row.Standing, row.ShunReason, row.ShunnedUntil = "shunned", string(p.Shun.Reason), p.Shun.Until.UTC()
		}
		rows = append(rows, row)
	}
	for _, a := range v.Absent {
		rows = append(rows, api.PeerInfo{
			ID: string(a.Peer), Name: n.contacts.of(string(a.Peer)).Name, Site: n.member.Site, State: "away", Standing: "good",
			SeenAt: a.SeenAt.UTC(), LackingPayloads: len(a.Lacks), Gives: awayPeer, Takes: awayPeer,
		})
	}
	return rows
}
