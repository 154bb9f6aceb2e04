package swarm

import (
	"slices"

	"patchmesh/content"
	"patchmesh/policy"
)

// CopyEarly asks for the copy that an install makes of its payload to be made while the payload still comes, so that
// the machine is done soon after the last chunk. The zero ID: none is wanted, and what there is goes. It is a hint:
// nothing ends it, nothing waits for it, and Install looks at everything itself.
type CopyEarly struct{ Descriptor content.ID }

func (CopyEarly) isAction() {}

// driveEarly says which update is copied early, if that has changed: one at a time, and only what is to be installed as
// soon as it is whole. One that is under way is not given up for another. None begins beside its install, which
// makes its own and would wait for this one.
func (c *Core) driveEarly() {
	if c.self.Seed {
		return
	}
	var next content.ID
	var place int
	for _, k := range c.tasks.tasks {
		l := c.copiesEarly(k)
		if l == nil {
			continue
		}
		if k.verdict.Descriptor == c.tasks.early {
			return
		}
		if !l.ready && k != c.tasks.busy && (next.IsZero() || l.place < place) {
			next, place = k.verdict.Descriptor, l.place
		}
	}
	if next != c.tasks.early {
		c.tasks.early = next
		c.act(CopyEarly{Descriptor: next})
	}
}

// copiesEarly gives the payload of an update that is to be installed as soon as it is whole, or is being installed;
// nil: it is not, or its payload does not come now. Who waits for a slot may wait long.
func (c *Core) copiesEarly(k *task) *payload {
	if !k.installsAtOnce() { // asked first: few are, and this is asked of every task with every chunk
		return nil
	}
	d := c.describe(k.verdict.Descriptor)
	if d == nil {
		return nil
	}
	l := c.byMap[d.Payload]
	if l == nil || k == c.tasks.busy {
		return l
	}
	if !l.selfWant || !l.opened && !l.ready || l.dropping || c.now.Before(l.blockedUntil) {
		return nil
	}
	if o := c.orchs.bound; o != nil && !o.policy.Bypasses(c.self.Machine, k.verdict) {
		return nil
	}
	return l
}

// installsAtOnce: as far as is known now, the update is installed as soon as its payload is whole. Not where that was
// tried before: what is wrong with it is then found out first.
func (k *task) installsAtOnce() bool {
	return k.verdict.Verb == policy.VerbInstall && k.attempts == 0 && k.undone == nil
}

// installsNext: some update with this payload is installed as soon as it is whole.
func (c *Core) installsNext(l *payload) bool {
	return slices.ContainsFunc(c.tasks.tasks, func(k *task) bool {
		if !k.installsAtOnce() {
			return false
		}
		d := c.describe(k.verdict.Descriptor)
		return d != nil && d.Payload == l.id
	})
}
