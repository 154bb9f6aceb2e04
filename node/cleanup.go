package node

import (
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// A clean-up that silently does not run shows only when the disk is full. So it says when it last looked, what it could not do, and
// doctor, status and the metrics tell.

// storeCheckLate is how old the last look at the store may be: several were missed then.
const storeCheckLate = 6 * storeCheckEvery

// cleanTrouble says why the store is not cleaned up; nil: it is, or would be.
func (k *storekeeper) cleanTrouble() *trouble {
	if why := k.unmeasured.Load(); why != nil {
		return &trouble{reason: policy.ReasonDiskError, detail: "the store is not measured, so nothing in it is cleaned up: " + *why}
	}
	if why := k.unremoved.Load(); why != nil {
		return &trouble{reason: policy.ReasonDiskError, detail: "what has to go from the store could not be removed: " + *why}
	}
	return nil
}

// measured notes whether the look at the store succeeded, and over, how much has to go.
func (k *storekeeper) measured(now time.Time, over int64, err error) {
	if err != nil {
		why := err.Error()
		k.unmeasured.Store(&why)
		return
	}
	k.unmeasured.Store(nil)
	if over == 0 {
		k.unremoved.Store(nil)
	}
	k.checks.Add(1)
	k.checkedAt.Store(now.Unix())
}

// removed notes whether a payload that had to go went.
func (k *storekeeper) removed(freed int64, err error) {
	if err != nil {
		why := err.Error()
		k.unremoved.Store(&why)
		k.evictFailures.Add(1)
		return
	}
	k.unremoved.Store(nil)
	k.evicted.Add(1)
	k.evictedBytes.Add(freed)
}

// lookAtCleanup tells whether the clean-up of the store runs.
func (n *Node) lookAtCleanup(e *examination) {
	k := &n.keeper
	at := time.Unix(k.checkedAt.Load(), 0)
	age := n.cfg.Now().Sub(at)
	u := k.usage.Load()
	switch t := k.cleanTrouble(); {
	case t != nil:
		e.wrong(api.ScopeStore, "clean-up", t.reason, t.detail, nil, nil)
	case k.checkedAt.Load() == 0:
		e.fine(api.ScopeStore, "clean-up", "the store is looked at for the first time")
	case age > storeCheckLate:
		e.wrong(api.ScopeStore, "clean-up", policy.ReasonDiskError, "the store was last looked at "+api.Duration(age.Round(time.Second))+" ago, and should be every "+storeCheckEvery.String()+": nothing is cleaned up", nil, nil)
	case u != nil && u.OverBytes() > 0:
		e.wrong(api.ScopeStore, "clean-up", policy.ReasonDiskShort, api.Size(u.OverBytes())+" have to go and may not: 'patchmesh store list' tells what keeps them", map[string]int64{"over_bytes": u.OverBytes()}, nil)
	default:
		e.fine(api.ScopeStore, "clean-up", "the store was last looked at %s ago; %d payloads were evicted since the start", api.Duration(max(age, 0).Round(time.Second)), k.evicted.Load())
	}
}
