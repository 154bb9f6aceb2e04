package swarm

import (
	"slices"
	"strconv"
	"time"

	"patchmesh/policy"
)

// News of approvals have the machine look at everything once more: what is there may have changed by other hands, and
// what people see beside the new approval should be as old as it. What the news bring in is looked for at once, and
// what is to be changed is looked at right before; so this look has time, and takes it: each machine begins
// at its own moment within the time that is signed for it, another one for each news, and only at leisure.

// scanForNews is called with the manifest that was in force before; nil: none.
func (c *Core) scanForNews(was *policy.Manifest) {
	t := &c.tasks
	within := t.plan.ScanAfterNews
	if c.self.Seed || was == nil || within <= 0 || !t.newsScanAt.IsZero() || sameDecisions(was, c.news.manifest) {
		return // one that is due already sees what this one would
	}
	t.newsScanAt = c.now.Add(c.self.share(within, strconv.FormatInt(c.news.version, 10)))
	c.wakeBy(t.newsScanAt)
}

// sameDecisions: the approvals say the same, and were at most signed anew.
func sameDecisions(a, b *policy.Manifest) bool {
	return a.Epoch == b.Epoch && slices.EqualFunc(a.Approvals, b.Approvals, func(x, y policy.Approval) bool {
		return x.Update == y.Update && x.Group == y.Group && x.Action == y.Action && x.Descriptor == y.Descriptor
	})
}

// sweepNewsScan has everything looked at that was not just now, if that is due.
func (c *Core) sweepNewsScan() {
	t := &c.tasks
	switch {
	case t.newsScanAt.IsZero():
		return
	case c.now.Before(t.newsScanAt):
		c.wakeBy(t.newsScanAt)
		return
	case !c.atLeisure():
		c.wakeBy(c.now.Add(leisurePause))
		return
	}
	t.newsScanAt = time.Time{}
	for _, k := range t.tasks {
		if !k.detectedAt.IsZero() && c.now.Sub(k.detectedAt) >= c.cfg.ScanFresh {
			k.lookDue = true
		}
	}
}
