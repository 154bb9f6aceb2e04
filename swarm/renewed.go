package swarm

import (
	"time"

	"patchmesh/policy"
)

// The apply role judges by a clock and by floors of its own, so it may find documents too old that this
// machine still believes. Waiting for the next attempt does not help against that, and newer documents
// do: they end the wait.

// OldDocuments says whether a change was refused for the documents that it was asked with: newer ones end its wait.
func OldDocuments(r policy.Reason) bool {
	switch r {
	case policy.ReasonTrustStale, policy.ReasonTrustRollbackEpoch, policy.ReasonTrustFloorRebuilt:
		return true
	}
	return false
}

// headRenewed ends the wait of those that were refused for the documents of before.
func (c *Core) headRenewed() {
	for _, k := range c.tasks.tasks {
		if OldDocuments(k.reason) {
			k.retryAt = time.Time{}
		}
	}
}

// waitAfter is when a change that failed is tried again. One that was refused for documents which were
// replaced while it ran is tried with the new ones at once.
func (c *Core) waitAfter(k *task, r policy.Reason) time.Time {
	if OldDocuments(r) && c.news.version > k.askedWith {
		return time.Time{}
	}
	back := c.cfg.InstallRetryMin << min(k.attempts-1, 16)
	if r == policy.ReasonDiskShort {
		back = c.cfg.SpaceRetry
	}
	return c.now.Add(min(back, c.cfg.InstallRetryMax))
}
