package apply

import (
	"slices"
	"time"

	"patchmesh/policy"
)

// failures is a journal that remembers how the last work on a revision ended.
type failures interface {
	// JournalFailed says whether it failed, and when.
	JournalFailed(update string, revision int) (at time.Time, failed bool, err error)
}

// failedRemovals lists the removals that failed, as this role's own journal tells it, so that no install waits for them; what cannot
// be read failed nowhere. Of installs it lists none: one that is due but not ordered is not waited for at all
// (policy.Machine.Ordered). Which one goes first where several may go is left to whoever orders. That one knows which of them
// failed, has its content here, is held by the machine's own people or does not apply; to refuse on less than that would keep a
// good update away for one that never comes. What is there counts (see mitigated): nothing is laid over what
// replaces it, nothing goes before what it needs, and one change at a time is made.
func (r *Role) failedRemovals(m *policy.Manifest, facts policy.Machine, ordered policy.UpdateID) map[policy.UpdateID]policy.SetBack {
	j, reads := r.cfg.Journal.(failures)
	out := map[policy.UpdateID]policy.SetBack{}
	if !slices.ContainsFunc(m.Approvals, func(a policy.Approval) bool { return a.Action == policy.ActionRemove }) {
		return out
	}
	for _, a := range m.Counting(facts, r.cfg.Now()) { // what is said for other machines has another revision, or another age
		if !reads || a.Update == ordered || a.Action != policy.ActionRemove {
			continue
		}
		if at, failed, err := j.JournalFailed(string(a.Update), a.Revision); err == nil && failed {
			out[a.Update] = policy.SetBack{Revision: a.Revision, ApprovedAt: at}
		}
	}
	return out
}
