package swarm

import (
	"strings"
	"time"

	"patchmesh/policy"
)

// When the machine is looked at: once a task begins, which is after every restart too; from time to time; when
// somebody asks; and again where the last look is not fresh any more, before anything is fetched or changed,
// and before a failure is told.

// earlier is this machine's own share of a time, the same at every start: a fleet that was switched on together, or
// virtual machines of one host, do not all look at their disks together ever after.
func (s Self) earlier(most time.Duration) time.Duration { return s.share(most, "") }

// share is earlier for an occasion: another share for each, and the same one for the same.
func (s Self) share(most time.Duration, occasion string) time.Duration {
	sum := uint32(2166136261)
	for i := range len(s.Peer) {
		sum = (sum ^ uint32(s.Peer[i])) * 16777619
	}
	for i := range len(occasion) {
		sum = (sum ^ uint32(occasion[i])) * 16777619
	}
	for _, by := range []uint32{0x85ebca6b, 0xc2b2ae35} { // ids that differ at their end alone are to differ in front
		sum = (sum ^ sum>>15) * by
	}
	sum ^= sum >> 16
	return time.Duration(float64(most) * float64(sum) / (1 << 32))
}

// ScanAsked asks to look for every update now.
type ScanAsked struct{}

func (ScanAsked) isEvent() {}

func (c *Core) scanAsked() {
	for _, k := range c.tasks.tasks {
		k.lookDue = true
	}
	c.driveTasks()
}

// lookFirst asks for a look before a step, if the last one is too old; true while it is awaited.
func (c *Core) lookFirst(k *task) bool {
	if c.now.Sub(k.detectedAt) < c.cfg.ScanFresh {
		return false
	}
	k.lookDue = true
	c.detectDue(k)
	return true
}

// confirm looks at the machine before an installation or removal counts as failed: what its installer said is
// not what is there. false: nothing was begun, so there is nothing to look for.
func (c *Core) confirm(r *request, e Failed) bool {
	if r.confirmed || !mayHaveChanged(e.Reason) {
		return false
	}
	k := r.task // it stays the busy one
	c.setState(k, policy.StateVerifying, e.Reason, e.Detail, e.Facts)
	failure := e
	id := c.begin(request{kind: reqDetect, task: k, failure: &failure, changed: r.kind})
	c.act(Detect{Req: id, Descriptor: k.verdict.Descriptor})
	return true
}

// mayHaveChanged: an installer ran, or was cut off while it did.
func mayHaveChanged(r policy.Reason) bool {
	switch r {
	case policy.ReasonInstallerMissing, policy.ReasonInstallerDenied:
		return false
	case policy.ReasonVerifyNotDetected, policy.ReasonDiskError:
		return true
	}
	return strings.HasPrefix(string(r), "installer-")
}

// confirmedFailure ends such a look: with the machine as it was wanted, there was no failure.
func (c *Core) confirmedFailure(r *request, seen *Detected) {
	k := r.task
	if seen != nil && (seen.Foreign == "" || r.changed == reqRemove) && seen.Present == (r.changed == reqInstall) {
		id := c.begin(request{kind: r.changed, task: k})
		c.installed(Installed{Req: id, Version: seen.Version})
		return
	}
	if seen != nil {
		k.detectedAt = c.now
		c.learn(k, policy.Detection{Present: seen.Present, Version: seen.Version, At: c.now, Foreign: seen.Foreign, Detail: seen.Detail})
	}
	c.installFailed(&request{kind: r.changed, task: k, confirmed: true}, *r.failure)
}

// sinceOf is when a state began that is entered now: the same one before a restart of the program goes on.
func (c *Core) sinceOf(k *task, s policy.State) time.Time {
	if k.before.State == s && !k.before.Since.IsZero() {
		at := k.before.Since
		k.before = SavedTask{}
		return at
	}
	if s > k.before.State {
		k.before = SavedTask{} // beyond it
	}
	return c.now
}
