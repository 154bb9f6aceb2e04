package policy

import (
	"slices"
	"time"
)

// Addressed gives the effective approvals of a machine in these groups, sorted by update: what the
// conflict rule leaves of all that address it. Unlike MakePlan it asks for no facts about the machine,
// so it can be asked for one that is away.
func (m *Manifest) Addressed(groups []string, now time.Time) []Approval {
	var out []Approval
	for _, w := range effective(m, m.depths(groups), now) {
		out = append(out, m.Approvals[w.index])
	}
	return out
}

// Counting gives the approvals that count on a machine of which the facts are known, sorted by update: those that
// MakePlan goes by.
func (m *Manifest) Counting(mach Machine, now time.Time) []Approval {
	m = m.localized(mach.Zone)
	var out []Approval
	for _, w := range effective(m, m.belongs(mach).in, now) {
		out = append(out, m.Approvals[w.index])
	}
	return out
}

// Elsewhere gives the decisions about an update for groups that a machine is not in.
func (m *Manifest) Elsewhere(u UpdateID, mach Machine) (out []Approval) {
	in := m.belongs(mach).in
	for _, a := range m.Approvals {
		if _, addressed := in[a.Group]; a.Update == u && !addressed {
			out = append(out, a)
		}
	}
	return out
}

// lapsed: a delegated role has said it, and the role's signatures have ended: it is as if it had not.
func (a Approval) lapsed(now time.Time) bool { return !a.until.IsZero() && now.After(a.until) }

// Brings says whether an approval has machines fetch the payload: to install it, at once or on their
// user's word, or to have it ready.
func (a Approval) Brings(now time.Time) bool {
	if a.lapsed(now) {
		return false
	}
	return a.Action == ActionInstall || a.Action == ActionStageOnly || a.Action == ActionOptional
}

// Held says whether any hold in force names the update, on whatever machines.
func (m *Manifest) Held(u UpdateID, now time.Time) bool {
	return slices.ContainsFunc(m.Holds, func(h Hold) bool {
		return (h.Update == u || h.Update == AllUpdates) && !h.Over(now)
	})
}
