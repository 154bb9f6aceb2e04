package swarm

import (
	"time"

	"patchmesh/policy"
)

// Policy may let an update go that has waited for its maintenance windows for too long. Since when it waits is
// kept here, over restarts of the program: a machine that was off in its window must still know that it had
// something to do in it.

// waits are what the next plan is to know: of the tasks, and of those that the last run saved and this one has
// not met yet.
func (c *Core) waits() map[policy.UpdateID]policy.Wait {
	return c.since(func(s SavedTask) time.Time { return s.WaitsSince }, func(k *task) time.Time { return k.waitsSince })
}

// met is since when they are known, where policy counts it: a machine that was off while the others were given time
// to choose is given some too.
func (c *Core) met() map[policy.UpdateID]policy.Wait {
	return c.since(func(s SavedTask) time.Time { return s.MetAt }, func(k *task) time.Time { return k.metAt })
}

func (c *Core) since(saved func(SavedTask) time.Time, now func(*task) time.Time) map[policy.UpdateID]policy.Wait {
	var out map[policy.UpdateID]policy.Wait
	put := func(u policy.UpdateID, revision int, since time.Time) {
		if since.IsZero() {
			return
		}
		if out == nil {
			out = map[policy.UpdateID]policy.Wait{}
		}
		out[u] = policy.Wait{Revision: revision, Since: since}
	}
	for s := range c.unmet() {
		put(s.Update, s.Revision, saved(s))
	}
	for _, k := range c.tasks.tasks {
		put(k.verdict.Update, k.verdict.Revision, now(k))
	}
	return out
}

// noteWaits begins the wait of what a window keeps, and ends that of what somebody keeps: a hold that is lifted
// must not find windows that had nothing to wait for. What is begun ends it too, see startChange: an update that
// failed in its window has not missed it.
func (c *Core) noteWaits() {
	begun := false
	for _, k := range c.tasks.tasks {
		switch counts := c.tasks.plan.Habits.CountsMet; {
		case !counts || k.verdict.Listed: // it is meant for the machine only when somebody has approved it
			k.metAt = time.Time{}
		case k.metAt.IsZero():
			k.metAt, begun = c.now, true
		}
		switch {
		case kept(k.verdict) || !c.tasks.plan.Habits.CountsMissed:
			k.waitsSince = time.Time{}
		case k.verdict.Await == policy.StateWaitingWindow && k.waitsSince.IsZero():
			k.waitsSince, begun = c.now, true
		}
	}
	if begun {
		c.save() // the machine may be switched off at any moment
	}
}

// kept says whether people want the update not to be installed now. Everything else that may stand in its way,
// such as a description that is not here yet or approvals that were not renewed while the machine was off, leaves
// it to wait for its window.
func kept(v policy.Verdict) bool {
	switch v.Reason {
	case policy.ReasonPolicyHold, policy.ReasonPolicyBrake, policy.ReasonLocalHold, policy.ReasonRingNotReached:
		return true
	case policy.ReasonPolicyDeferred:
		return v.Verb == policy.VerbWait && v.Await == 0 // it is approved for later
	}
	return v.Verb == policy.VerbNone || v.Await == policy.StateWaitingUser
}
