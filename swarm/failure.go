package swarm

import (
	"time"

	"patchmesh/policy"
)

// failure is how the last change of an update failed here. It is kept until one succeeds: while the machine waits
// for its next attempt, and under a hold that came since, what went wrong says more than that nothing is done.
type failure struct {
	State      policy.State     `json:"state"`
	Reason     policy.Reason    `json:"reason"`
	Detail     string           `json:"detail,omitempty"`
	Facts      map[string]int64 `json:"facts,omitempty"`
	ApprovedAt time.Time        `json:"approved_at,omitzero"`
}

// fail books a change that failed and is tried again.
func (c *Core) fail(k *task, e Failed) {
	k.failed = &failure{State: failedState(e.Reason), Reason: e.Reason, Detail: e.Detail, Facts: e.Facts, ApprovedAt: c.approvedAt(k)}
	c.showFailure(k)
}

func (c *Core) showFailure(k *task) {
	if f := k.failed; f != nil {
		c.setState(k, f.State, f.Reason, f.Detail, f.Facts)
	}
}

// backOff says that the next attempt is not due, unless it was approved anew.
func (c *Core) backOff(k *task) bool {
	if !c.now.Before(k.retryAt) {
		return false
	}
	if k.failed != nil && c.approvedAnew(k, k.failed.ApprovedAt) {
		k.failed, k.retryAt = nil, time.Time{}
		return false
	}
	c.showFailure(k)
	c.wakeBy(k.retryAt)
	return true
}

// againAt is when a change that failed is tried again, for people; zero if it is not, or not because of that.
func (c *Core) againAt(k *task) time.Time {
	due := k.verdict.Verb == policy.VerbInstall || k.verdict.Verb == policy.VerbRemove
	if k.failed == nil || k.state != k.failed.State || k.reason != k.failed.Reason || !due || !c.now.Before(k.retryAt) {
		return time.Time{}
	}
	return k.retryAt
}

// keepFailed keeps a failure that speaks against the update on show under the hold that followed from it: on a
// machine that only looked held nobody would search for what the update had done there.
func (c *Core) keepFailed(k *task) bool {
	if k.failed == nil || k.failures == 0 || !blames(k.failed.Reason) || c.approvedAnew(k, k.failed.ApprovedAt) {
		return false
	}
	c.showFailure(k)
	return true
}

// blames: a failure for this reason is not this machine's own trouble, such as a full disk, and something was tried.
func blames(r policy.Reason) bool {
	info, _ := r.Info()
	return info.Owner != "machine" && r != policy.ReasonDepMissing
}

// failedState is what an install that failed for this reason is called.
func failedState(r policy.Reason) policy.State {
	switch r {
	case policy.ReasonVerifyNotDetected, policy.ReasonTrustBadChunk:
		return policy.StateFailedVerify
	case policy.ReasonDepMissing: // nothing was begun: it waits for other software
		return policy.StateWaitingPrerequisite
	}
	return policy.StateFailedInstall
}
