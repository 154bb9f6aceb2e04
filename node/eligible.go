package node

import (
	"patchmesh/node/api"
	"patchmesh/policy"
	"patchmesh/swarm"
)

// eligible tells people whether chunks go one way now.
func eligible(e swarm.Eligible) api.Eligible {
	out := api.Eligible{OK: e.Reason == "", Reason: string(e.Reason), Detail: api.Clean(e.Detail)}
	if !e.Until.IsZero() {
		out.Until = e.Until.UTC()
	}
	if info, known := e.Reason.Info(); known {
		out.NextStep = info.NextStep
	}
	return out
}

// abilities are what this machine does now for its site and for itself, and what it does not.
func (n *Node) abilities(g swarm.GateView) []api.Ability {
	list := []api.Ability{{What: "serve", Eligible: eligible(g.Serve)}, {What: "far", Eligible: eligible(g.Far)}}
	if n.seed != nil { // it serves every site, and takes nothing
		return list
	}
	return append(list, api.Ability{What: "fetch", Eligible: eligible(g.Fetch)}, api.Ability{What: "wan", Eligible: eligible(g.Afar)}, api.Ability{What: "help", Eligible: eligible(g.Help)})
}

// awayPeer is what is to be had from a machine that is not connected.
var awayPeer = eligible(swarm.Eligible{Reason: policy.ReasonHostOffline, Detail: "it is away"})
