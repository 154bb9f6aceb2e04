package node

import (
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
	"patchmesh/swarm"
)

// explainRetry says when an update that failed is tried again, and what makes that come sooner.
func explainRetry(e *explanation, u api.Update, now time.Time) {
	if !u.RetryAt.After(now) {
		return
	}
	sooner := "approving it anew ('patchmesh approve " + api.Clean(u.Update) + " --group GROUP') has it tried at once"
	switch r := policy.Reason(u.Reason); {
	case swarm.OldDocuments(r):
		sooner = "newer documents of the mesh have it tried at once"
	case r == policy.ReasonDepMissing:
		sooner = "so it is as soon as another update was installed that may bring what is missing"
	}
	e.add(u.RetryAt, "install", "tried again then (in %s), if approvals and windows still allow it; %s", api.Duration(u.RetryAt.Sub(now).Round(time.Second)), sooner)
}

// savedRetry is when an update is tried again, as the last run left it; zero: nothing waits for that.
func savedRetry(v policy.Verdict, s swarm.SavedTask, now time.Time) time.Time {
	due := v.Verb == policy.VerbInstall || v.Verb == policy.VerbRemove
	if s.Failed == nil || s.State != s.Failed.State || !due || !s.RetryAt.After(now) {
		return time.Time{}
	}
	return s.RetryAt.UTC()
}
