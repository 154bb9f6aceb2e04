package node

import (
	"slices"
	"strings"

	"patchmesh/node/api"
	"patchmesh/policy"
	"patchmesh/swarm"
)

// namedSpenders gives the name of the machine that took most of a WAN budget, where it is known here: machines tell each
// other ids alone, and nobody knows a computer by its id.
func (n *Node) namedSpenders(updates []api.Update) []api.Update {
	updates = slices.Clone(updates)
	for i := range updates {
		u := &updates[i]
		if u.Reason != string(policy.ReasonWanBudgetSpent) {
			continue
		}
		if text, id, told := strings.Cut(u.Detail, swarm.MostTakenBy); told {
			if name := first(n.machineName(id), n.contacts.of(id).Name); name != "" {
				u.Detail = text + swarm.MostTakenBy + name
			}
		}
	}
	return updates
}
