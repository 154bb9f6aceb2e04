package swarm

import (
	"slices"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
)

// A plan is made of all approvals at once, so what it costs grows with their number. Where there are many, descriptions and
// looks at the machine come by the thousand too: at a start, with a scan, with a catalogue that is approved as a whole. To
// plan for each of them would cost the square. So what comes while more of it is under way waits a moment, and is taken up
// together: until then it counts as not come, in every respect. What comes alone, or where few updates are approved, is
// taken up at once.

const (
	// togetherFrom is how many approvals are few: a plan of them costs next to nothing.
	togetherFrom = 64
	// togetherFor is what may pass, for each approval, between two plans for what has come: several times what a plan
	// costs for each. For 10,000 approvals it is 100 ms.
	togetherFor = 10 * time.Microsecond
)

// togetherState is what has come and waits to be taken up.
type togetherState struct {
	descs  []DescriptorArrived
	found  []found
	looks  int       // at the machine that are under way for tasks
	due    time.Time // when all of it is taken up; zero: nothing waits
	lastAt time.Time // when something was taken up last
	plans  int       // made since the start
}

// found is what a look at the machine has shown of a task.
type found struct {
	task *task
	policy.Detection
}

// come plans for what has come, now or in a moment.
func (c *Core) come() {
	t := &c.together
	wait := time.Duration(0)
	if n := len(c.news.manifest.Approvals); n > togetherFrom && c.moreComes() {
		wait = time.Duration(n) * togetherFor
	}
	if due := t.lastAt.Add(wait); c.now.Before(due) {
		t.due = due
		c.wakeBy(due)
		return
	}
	c.replan()
}

// moreComes: something else is under way that would need a plan of its own.
func (c *Core) moreComes() bool { return c.together.looks > 0 || c.news.asked > 0 }

// dueAt: what has come has waited for long enough.
func (t *togetherState) dueAt(now time.Time) bool { return !t.due.IsZero() && !now.Before(t.due) }

// takeUp makes what has come count, and gives the payloads that descriptions brought. A plan is to follow.
func (c *Core) takeUp() []content.ID {
	t, n := &c.together, &c.news
	if len(t.descs) == 0 && len(t.found) == 0 {
		return nil
	}
	t.due, t.lastAt = time.Time{}, c.now
	var brought []content.ID
	for _, e := range t.descs {
		delete(n.wants, e.ID)
		n.descs[e.ID] = e.Descriptor
		c.addPayload(e.Payload)
		brought = append(brought, e.Payload.ID)
	}
	if len(t.descs) > 0 {
		n.dropCome()
		c.askAnew() // what it brings to whom was not known
	}
	for _, f := range t.found {
		f.task.detecting, f.task.detectedAt = false, f.At
		c.learn(f.task, f.Detection)
	}
	clear(t.descs)
	clear(t.found)
	t.descs, t.found = t.descs[:0], t.found[:0]
	return brought
}

// inStore is a payload of whose bytes there is news. A description of it that waits is taken up first: it tells what was in
// the store when it came, and would undo the news.
func (c *Core) inStore(id content.ID) *payload {
	if slices.ContainsFunc(c.together.descs, func(e DescriptorArrived) bool { return e.Payload.ID == id }) {
		c.replan()
	}
	return c.byMap[id]
}

// driveBrought moves payloads that have become known: neighbours may need them across the WAN even if this machine does not.
func (c *Core) driveBrought(ids []content.ID) {
	moved := false
	for _, id := range ids {
		if l := c.byMap[id]; l != nil {
			c.drive(l)
			moved = true
		}
	}
	if moved {
		c.driveLink()
	}
}
