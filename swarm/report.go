package swarm

import (
	"slices"
	"time"

	"strings"
)

// reportState is what this node owes to the seed: its own reports and those of machines that have
// no way there themselves.
type reportState struct {
	seq      uint64
	lastAt   time.Time
	soon     bool // the state changed
	progress bool // only bytes moved
	making   bool // a Report is being made durable
	outbox   []owed
}

// owed is one report in the outbox, the newest of its machine.
type owed struct {
	machine PeerID
	seq     uint64
	sentTo  PeerID
	sentAt  time.Time
}

func (c *Core) reportSoon() {
	if c.self.Seed {
		return
	}
	c.reports.soon = true
	c.wakeBy(c.reportDue())
}

func (c *Core) reportProgress() {
	if c.self.Seed {
		return
	}
	c.reports.progress = true
	c.wakeBy(c.reportDue())
}

// reportDue is when the next own report is due.
func (c *Core) reportDue() time.Time {
	r := &c.reports
	switch {
	case r.soon:
		return r.lastAt.Add(c.reportGap())
	case r.progress:
		// Shared by the site: a big site reports progress more rarely, so that reports stay a
		// trickle on the WAN however many machines there are.
		n := 1
		c.toNeighbours(func(*peer) { n++ })
		return r.lastAt.Add(max(time.Second, time.Duration(n)*c.cfg.ProgressEvery, c.reportGap()))
	}
	return r.lastAt.Add(c.cfg.Heartbeat)
}

// reportGap is the least time between two reports. The first change after a while is told at once all the same.
func (c *Core) reportGap() time.Duration {
	return max(c.cfg.ReportMin, min(time.Duration(len(c.tasks.tasks))*c.cfg.ReportPerUpdate, c.cfg.ReportLatest))
}

// sweepReports makes an own report when one is due and passes on what the outbox holds.
func (c *Core) sweepReports() {
	if c.self.Seed {
		return
	}
	r := &c.reports
	if !r.making {
		if due := c.reportDue(); c.now.Before(due) {
			c.wakeBy(due)
		} else {
			// The number is the time in milliseconds, so that it grows across restarts even if the
			// last snapshot was lost; a clock that went back only adds one.
			r.seq = max(r.seq+1, uint64(max(c.now.UnixMilli(), 0)))
			r.lastAt, r.soon, r.progress, r.making = c.now, false, false, true
			// No number is used twice, not even by a machine whose clock went back while it was off; and
			// where the bytes came from outlives a kill, but for the last seconds.
			c.save()
			c.act(Report{Seq: r.seq})
		}
	}
	c.forwardReports()
}

// nextHop is whom reports are given to: a seed, else the uplink of the site.
func (c *Core) nextHop() *peer {
	if s := c.reportSeed(); s != nil {
		return s
	}
	return c.byID[c.uplink()] // nil if that is this machine: it waits for its link
}

func (c *Core) forwardReports() {
	hop := c.nextHop()
	if hop == nil {
		return
	}
	for i := range c.reports.outbox {
		o := &c.reports.outbox[i]
		if o.sentTo == hop.id && c.now.Before(o.sentAt.Add(c.cfg.ReportResend)) {
			c.wakeBy(o.sentAt.Add(c.cfg.ReportResend))
			continue
		}
		if o.machine == hop.id {
			continue // its own report does not go back to it
		}
		o.sentTo, o.sentAt = hop.id, c.now
		c.wakeBy(c.now.Add(c.cfg.ReportResend))
		c.act(Forward{To: hop.id, Machine: o.machine, Seq: o.seq})
	}
}

// reportQueued: a report, own or for relaying, is durable. A newer one replaces an older one.
func (c *Core) reportQueued(e ReportQueued) {
	r := &c.reports
	if e.Machine == c.self.Peer {
		r.making = false
	}
	i, found := c.findOwed(e.Machine)
	switch {
	case found && r.outbox[i].seq >= e.Seq:
	case found:
		r.outbox[i] = owed{machine: e.Machine, seq: e.Seq}
	case len(r.outbox) < c.cfg.MaxOutbox:
		r.outbox = slices.Insert(r.outbox, i, owed{machine: e.Machine, seq: e.Seq})
	}
	c.sweepReports()
}

func (c *Core) reportAcked(e ReportAcked) {
	if i, found := c.findOwed(e.Machine); found && c.reports.outbox[i].seq <= e.Seq {
		c.reports.outbox = slices.Delete(c.reports.outbox, i, i+1)
	}
}

func (c *Core) findOwed(m PeerID) (int, bool) {
	return slices.BinarySearchFunc(c.reports.outbox, m, func(o owed, m PeerID) int { return strings.Compare(string(o.machine), string(m)) })
}

// reportsPeerDown: what was sent there and not acknowledged goes out again.
func (c *Core) reportsPeerDown(id PeerID) {
	for i := range c.reports.outbox {
		if c.reports.outbox[i].sentTo == id {
			c.reports.outbox[i].sentTo = ""
		}
	}
}
