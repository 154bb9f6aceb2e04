package swarm

import (
	"slices"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
)

// What is only listed (policy.Approval.Listed) is looked for at leisure: one look at a time, beside no other, and not
// while something is installed or on its way here for an install. The same holds for the look at everything that news
// ask for. So neither can put off what somebody has approved.

// leisurePause is how long such looks are put off while the machine has better things to do.
const leisurePause = 30 * time.Second

// atLeisure: nothing is being looked for, fetched or changed here, and nothing approved waits for its first look.
func (c *Core) atLeisure() bool {
	if c.tasks.busy != nil {
		return false
	}
	for _, k := range c.tasks.tasks {
		if k.detecting || !k.verdict.Listed && k.detectedAt.IsZero() && k.verdict.Compliance != policy.NotApplicable && c.describe(k.verdict.Descriptor) != nil {
			return false
		}
	}
	return !slices.ContainsFunc(c.payloads, func(l *payload) bool { return l.selfWant && !l.ready && (l.inFlight > 0 || l.assembly) })
}

// putOff says whether a look that is due has to wait.
func (c *Core) putOff(k *task) bool {
	if !k.verdict.Listed || c.atLeisure() {
		return false
	}
	c.wakeBy(c.now.Add(leisurePause))
	return true
}

// forgetListed drops what was found of updates that were only listed and are so no more: a plan must not know of
// them what it would not know without the list.
func (c *Core) forgetListed(old []*task) {
	for _, k := range old {
		if k.verdict.Listed && findTask(c.tasks.tasks, k.verdict.Update) == nil {
			delete(c.self.Machine.Detected, k.verdict.Update)
		}
	}
}

// listedLast puts the descriptors that nothing but a list names behind all others.
func listedLast(m *policy.Manifest, want []*descWant) {
	decided := map[content.ID]bool{}
	for _, a := range m.Approvals {
		decided[a.Descriptor] = decided[a.Descriptor] || !a.Listed()
	}
	slices.SortStableFunc(want, func(a, b *descWant) int { return choose(decided[a.id]) - choose(decided[b.id]) })
}
