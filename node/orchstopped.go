package node

import (
	"context"
	"slices"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// stoppedBy is what the members of an orchestration have reported of it having stopped; empty: nobody says so. A seed
// takes no part in the vote, so that it knows from them alone.
func (n *Node) stoppedBy(ctx context.Context, o *policy.Orchestration) (string, error) {
	f, err := n.Status(ctx, api.StatusQuery{Group: o.Group})
	if err != nil {
		return "", err
	}
	for _, m := range f.Machines {
		i := slices.IndexFunc(m.Updates, func(u api.Update) bool { return u.Reason == string(policy.ReasonOrchStopped) })
		if i >= 0 && m.Site == o.Site {
			return api.Clean(m.Name + " says: " + m.Updates[i].Detail), nil
		}
	}
	return "", nil
}
