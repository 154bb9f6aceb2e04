package swarm

import (
	"slices"

	"patchmesh/content"
	"patchmesh/policy"
)

// An update that must be installed alone holds all others back while it is due. One whose content is not whole here, or
// that waits for its slot in an orchestration, cannot begin, perhaps for ever: the others go on meanwhile, and it has its
// turn as soon as it can begin. Nothing goes on at the same time, since a machine changes one thing after the other.

// unready lists such updates by their descriptors.
func (c *Core) unready() map[content.ID]bool {
	out := map[content.ID]bool{}
	for _, a := range c.news.manifest.Approvals {
		if d := c.describe(a.Descriptor); d != nil && d.Exclusive == "yes" && a.Action != policy.ActionRemove {
			if l := c.byMap[d.Payload]; l == nil || !l.ready {
				out[a.Descriptor] = true
			}
		}
	}
	for _, k := range c.tasks.tasks {
		if k.state == policy.StateWaitingOrchestration {
			out[k.verdict.Descriptor] = true
		}
	}
	return out
}

// readyChanged says whether the plan was made when a payload that must be installed alone was here, and it is not any
// more, or the other way round.
func (c *Core) readyChanged(l *payload) bool {
	return slices.ContainsFunc(c.tasks.tasks, func(k *task) bool {
		d := c.describe(k.verdict.Descriptor)
		return d != nil && d.Payload == l.id && d.Exclusive == "yes" && k.state != policy.StateWaitingOrchestration &&
			k.verdict.Verb != policy.VerbRemove && c.self.Machine.Unready[k.verdict.Descriptor] == l.ready
	})
}
