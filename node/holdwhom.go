package node

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// holdScopeText says on which machines a hold counts.
func holdScopeText(h policy.Hold) string {
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
	return scope
}

// holdStands says why a hold does not stop a machine: it has ended, or the machine is not one of those that it is for.
func (n *Node) holdStands(man *policy.Manifest, h policy.Hold, m api.Machine) string {
	switch {
	case h.Over(n.cfg.Now()):
		return ", ended at " + h.ExpiresAt.UTC().Format(time.RFC3339)
	case h.Group != "" && !man.InGroup(m.Groups, h.Group):
		return ", which this machine is not in"
	case !h.ExpiresAt.IsZero():
		return ", until " + h.ExpiresAt.UTC().Format(time.RFC3339)
	}
	return ""
}

// unlookedFor warns of a predicate on an update that no approval names: machines look only for what one does, and count
// as meant where they have not looked.
func unlookedFor(h policy.Hold, man *policy.Manifest) string {
	if h.Match == nil || man == nil {
		return ""
	}
	var unseen []string
	for _, u := range h.Match.Present {
		if !slices.ContainsFunc(man.Approvals, func(a policy.Approval) bool { return a.Update == u }) {
			unseen = append(unseen, string(u))
		}
	}
	if len(unseen) == 0 {
		return ""
	}
	return "; WARNING: no approval names " + strings.Join(unseen, ", ") +
		", so machines do not look whether it is there and all are held: 'patchmesh approve UPDATE --action detect-only --group all' has them look"
}
