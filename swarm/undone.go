package swarm

import (
	"time"

	"patchmesh/policy"
)

// undone is an installation whose health probe failed. The same revision is not tried again on the
// same approval: it would fail again, and each time take down what works. Approving it anew, or a new
// revision, ends that.
type undone struct {
	State      policy.State  `json:"state"` // rolled-back, or failed-rollback
	Reason     policy.Reason `json:"reason"`
	Detail     string        `json:"detail,omitempty"`
	ApprovedAt time.Time     `json:"approved_at,omitzero"`
}

// undo books a failed probe; false if the failure is of another kind.
func (c *Core) undo(k *task, e Failed) bool {
	u := &undone{Reason: e.Reason, Detail: e.Detail, ApprovedAt: c.approvedAt(k)}
	switch e.Reason {
	case policy.ReasonRolledBackAuto:
		u.State = policy.StateRolledBack
	case policy.ReasonProbeFailed:
		u.State = policy.StateFailedRollback
	default:
		return false
	}
	k.undone, k.failed = u, nil
	k.detectedAt = time.Time{} // what is there now is found by looking
	c.setState(k, u.State, u.Reason, u.Detail, e.Facts)
	return true
}

// keepUndone holds back an update that was rolled back under the approval that is in force.
func (c *Core) keepUndone(k *task) bool {
	if k.undone == nil {
		return false
	}
	if c.approvedAnew(k, k.undone.ApprovedAt) {
		k.undone, k.attempts, k.retryAt = nil, 0, time.Time{}
		return false
	}
	c.setState(k, k.undone.State, k.undone.Reason, k.undone.Detail, nil)
	return true
}

// stuckHere: the update is there, its probe has failed and it could not be rolled back. To call that
// installed would hide a machine that needs somebody.
func (c *Core) stuckHere(k *task) bool {
	return k.undone != nil && k.undone.State == policy.StateFailedRollback && c.keepUndone(k)
}

// approvedAnew: an admin has approved it again since what has failed was approved, which is his word to try once more.
func (c *Core) approvedAnew(k *task, failedUnder time.Time) bool {
	return c.approvedAt(k).After(failedUnder)
}

// approvedAt is when the winning approval of a task was given.
func (c *Core) approvedAt(k *task) time.Time {
	if m := c.news.manifest; m != nil && k.verdict.Approval < len(m.Approvals) && m.Approvals[k.verdict.Approval].Update == k.verdict.Update {
		return m.Approvals[k.verdict.Approval].At
	}
	return time.Time{}
}

// setBack lists the installs that did not work here, so that nothing else waits for them.
func (c *Core) setBack() map[policy.UpdateID]policy.SetBack {
	var out map[policy.UpdateID]policy.SetBack
	add := func(k *task, s policy.SetBack) {
		if out == nil {
			out = map[policy.UpdateID]policy.SetBack{}
		}
		s.Revision = k.verdict.Revision
		out[k.verdict.Update] = s
	}
	for _, k := range c.tasks.tasks {
		switch {
		case k.undone != nil:
			add(k, policy.SetBack{ApprovedAt: k.undone.ApprovedAt})
		case k.failed != nil && c.now.Before(k.retryAt):
			add(k, policy.SetBack{ApprovedAt: k.failed.ApprovedAt, Until: k.retryAt})
		}
	}
	return out
}
