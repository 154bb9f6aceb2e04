package swarm

import (
	"slices"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
)

// CopyEarly asks for the copy that an install makes of its payload to be made while the payload still comes, so that
// the machine is done soon after the last chunk. The zero ID: none is wanted, and what there is goes. It is a hint:
// nothing ends it, nothing waits for it, and Install looks at everything itself.
type CopyEarly struct{ Descriptor content.ID }

func (CopyEarly) isAction() {}

// earlyState is what is copied early.
type earlyState struct {
	descriptor content.ID // zero: nothing is
	bytes      int64      // of its payload that were here when more was last seen to come
	at         time.Time  // when that was
}

// driveEarly says which update is copied early, if that has changed: one at a time, and only what is to be installed as
// soon as it is whole. One that is under way is not given up for another, unless nothing more of it comes: whoever held
// it may have left for good, and its copy takes room. None begins beside its install, which makes its own and would wait
// for this one.
func (c *Core) driveEarly() {
	if c.self.Seed {
		return
	}
	var next *payload
	var descriptor content.ID
	for _, k := range c.tasks.tasks {
		l := c.copiesEarly(k)
		if l == nil {
			continue
		}
		if k.verdict.Descriptor == c.tasks.early.descriptor && (k == c.tasks.busy || c.comesOn(l)) {
			return
		}
		if !l.ready && k != c.tasks.busy && l.stoodStill != l.haveBytes+1 && (next == nil || l.place < next.place) {
			next, descriptor = l, k.verdict.Descriptor
		}
	}
	if descriptor == c.tasks.early.descriptor {
		return
	}
	c.tasks.early = earlyState{descriptor: descriptor}
	if next != nil {
		c.tasks.early.bytes, c.tasks.early.at = next.haveBytes, c.now
		c.wakeBy(c.now.Add(c.cfg.EarlyPatience))
	}
	c.act(CopyEarly{Descriptor: descriptor})
}

// comesOn: of the payload that is copied early, more has come lately. If not, its copy does not begin again before more
// of it has come.
func (c *Core) comesOn(l *payload) bool {
	e := &c.tasks.early
	if l.haveBytes != e.bytes {
		e.bytes, e.at = l.haveBytes, c.now
	}
	end := e.at.Add(c.cfg.EarlyPatience)
	if c.now.Before(end) {
		c.wakeBy(end)
		return true
	}
	l.stoodStill = l.haveBytes + 1
	return false
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
