package node

import (
	"patchmesh/node/api"
	"patchmesh/policy"
)

// overrides tells what an approval may override, and what it leaves alone.
func overrides(a policy.Approval) string {
	windows, budget := "it keeps to maintenance windows", "its content keeps to the WAN budget of a site"
	if a.IgnoreWindows {
		windows = "it overrides maintenance windows"
	}
	if a.IgnoreBudget {
		budget = "its content may pass the WAN budget of a site"
	}
	return windows + "; " + budget
}

// explainHolds tells every hold of the update with its id, whose word it is, for whom and until when.
func (n *Node) explainHolds(e *explanation, m api.Machine) {
	man := n.believer.current().Manifest()
	if man == nil {
		return
	}
	for _, h := range man.Holds {
		if h.Update != policy.AllUpdates && string(h.Update) != e.Update {
			continue
		}
		e.add(h.At, "hold", "hold %s (%s, by %s) for %s%s: %s", h.ID, h.Kind, holdsBy(h), holdScopeText(h), n.holdStands(man, h, m), h.Reason)
	}
}
