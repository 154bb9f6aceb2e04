package node

import (
	"slices"
	"strings"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/state"
	"patchmesh/policy"
)

// An update that stays in a state for longer than its budget is told as stalled, with the reason and the state that
// it is stalled in. That is worked out where it is told: on the machine, and on the seed too, since a machine
// that has fallen silent cannot say it of itself.

// stall is the budgets of one machine.
type stall policy.Budgets

// usualStall is that of machines that nobody has told anything.
var usualStall = stall((&policy.Manifest{}).Budgets(policy.Machine{}))

// tell marks an update that is stalled.
func (b stall) tell(u *api.Update, now time.Time) {
	st, known := policy.ParseState(u.State)
	if !known || !policy.Budgets(b).Stalled(st, u.Since, now) {
		return
	}
	detail := u.State + " for " + api.Duration(now.Sub(u.Since))
	if u.Detail != "" {
		detail += ": " + u.Detail
	}
	u.State, u.Detail = policy.StateStalled.String(), detail
}

// says: the manifest has budgets of its own.
func says(m *policy.Manifest) bool {
	return m != nil && slices.ContainsFunc(m.Settings, func(s policy.Setting) bool { return strings.HasPrefix(s.Name, "stalled-") })
}

// budgets are this machine's.
func (n *Node) budgets() stall {
	m := n.believer.current().Manifest()
	if !says(m) {
		return usualStall
	}
	return stall(m.Budgets(n.machineFacts()))
}

// budgets are those of a machine, as the seed knows it.
func (s *seed) budgets(k state.MemberRow) stall {
	m := s.believer.current().Manifest()
	if !says(m) {
		return usualStall
	}
	return stall(m.Budgets(policy.Machine{ID: k.ID, Name: k.Name, Site: k.Site, Groups: s.groupsOf(k)}))
}
