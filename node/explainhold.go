package node

import (
	"fmt"
	"time"

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
		scope := "every machine"
		if h.Group != "" {
			scope = "group " + h.Group
		}
		if h.Match != nil {
			scope += " of " + h.Match.String()
		}
		if h.Revision() != 0 {
			scope += fmt.Sprintf(", revision %d", h.Revision())
		}
		if !h.ExpiresAt.IsZero() {
			scope += ", until " + h.ExpiresAt.UTC().Format(time.RFC3339)
		}
		e.add(h.At, "hold", "hold %s (%s, by %s) for %s: %s", h.ID, h.Kind, holdsBy(h), scope, h.Reason)
	}
}
