package node

import (
	"slices"
	"strings"
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// An update that stays in a state for longer than its budget is told as stalled, with the reason and the state that
// it is stalled in. That is worked out where it is told and not reported: a machine that has fallen silent cannot say it
// of itself, and budgets that are signed later hold for what it said before as well.

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
	u.State, u.StalledIn, u.Detail = policy.StateStalled.String(), u.State, detail
}

// tellAll is tell for all that a machine reported. Of one that has fallen silent nothing can be waited for, so what it
// was doing is shown with that reason, for as long as it has said nothing else.
func (b stall) tellAll(m *api.Machine, now time.Time) {
	for i := range m.Updates {
		u := &m.Updates[i]
		if st, known := policy.ParseState(u.State); known && !m.Online && u.Reason == "" && st > 0 && st < policy.StateInstalled {
			u.Reason = string(policy.ReasonHostSilent)
			if m.Reason == string(policy.ReasonHostOffline) {
				u.Reason = m.Reason
			}
			if u.Detail == "" && !m.LastContact.IsZero() {
				u.Detail = "the last that was heard from it, " + api.Duration(now.Sub(m.LastContact)) + " ago"
			}
		}
		b.tell(u, now)
	}
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
