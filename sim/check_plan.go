package sim

import (
	"errors"
	"fmt"
	"slices"
)

// ErrTrace: the text is not a trace of this version.
var ErrTrace = errors.New("not a trace")

// What a set of documents means on a machine, in the checker's own words: the approval for a group
// that the machine is in stands before one for all; at the same depth install stands before remove,
// and remove before whatever else. A hold stops whatever it names.

func (m *checked) in(group string) bool { return group == "all" || slices.Contains(m.groups, group) }

// rank orders approvals that address one machine.
func (a checkedApproval) rank() int {
	r := map[string]int{"install": 3, "remove": 2}[a.action]
	if a.group != "all" {
		r += 10
	}
	return r
}

func (s *checkedSet) approval(m *checked, update string) (checkedApproval, bool) {
	var best checkedApproval
	found := false
	for _, a := range s.approvals {
		if a.update == update && m.in(a.group) && (!found || a.rank() > best.rank()) {
			best, found = a, true
		}
	}
	return best, found
}

func (s *checkedSet) hold(m *checked, update string, clock int64) (checkedHold, bool) {
	for _, h := range s.holds {
		if (h.update == update || h.update == "all") && (h.group == "-" || m.in(h.group)) && (h.expires == 0 || clock < h.expires) {
			return h, true
		}
	}
	return checkedHold{}, false
}

// may says why a machine must not do something to an update now; empty: it may.
func (c *Checker) may(m *checked, action, update string, rev, clock int64) string {
	s := m.knows
	if s == nil {
		return "it knows no approvals"
	}
	a, found := s.approval(m, update)
	switch {
	case !found:
		return fmt.Sprintf("epoch %d does not approve it for this machine", s.epoch)
	case a.action != action:
		return fmt.Sprintf("epoch %d says %s", s.epoch, a.action)
	case rev != 0 && a.rev != rev:
		return fmt.Sprintf("epoch %d approves revision %d, not %d", s.epoch, a.rev, rev)
	case a.notBefore > clock:
		return fmt.Sprintf("it is approved from %d on, the machine's clock says %d", a.notBefore, clock)
	case clock > s.expires:
		return fmt.Sprintf("what it knows expired at %d, its clock says %d", s.expires, clock)
	}
	if h, held := s.hold(m, update, clock); held {
		return fmt.Sprintf("hold %s of head %d stops it", h.id, s.head)
	}
	return s.shut(m, clock)
}

func (c *Checker) installLine(f fact) {
	m := c.machine(f)
	if m == nil {
		return
	}
	u, rev := f.str("u"), f.num("rev")
	c.turns(m)
	if why := c.may(m, "install", u, rev, f.num("clock")); why != "" {
		c.fault(m.id, "unapproved", "installs %s: %s", u, why)
	}
	if f.num("whole") != 1 {
		c.fault(m.id, "wrong-byte", "begins to install %s before its payload is whole", u)
	}
	c.complete(m, u)
	if m.installing != "" {
		c.fault(m.id, "one-at-a-time", "installs %s while it installs %s", u, m.installing)
	}
	if m.installed[u] == rev {
		c.fault(m.id, "twice", "installs %s, which it has", u)
	}
	if !m.up {
		c.fault(m.id, "trace", "installs while it is off")
	}
	c.race.begins(c, m, u)
	m.installing, m.spoiled = u, f.num("bad") > 0
}

func (c *Checker) installedLine(f fact) {
	m := c.machine(f)
	if m == nil {
		return
	}
	if m.installing != f.str("u") {
		c.fault(m.id, "unapproved", "has installed %s without having begun", f.str("u"))
	}
	if m.spoiled {
		c.fault(m.id, "wrong-byte", "has installed %s from bytes that are not what was signed", f.str("u"))
	}
	m.installing = ""
	m.installed[f.str("u")] = f.num("rev")
	m.doneAt = c.now
}

func (c *Checker) removeLine(f fact) {
	m := c.machine(f)
	if m == nil {
		return
	}
	if why := c.may(m, "remove", f.str("u"), 0, f.num("clock")); why != "" {
		c.fault(m.id, "unapproved", "removes %s: %s", f.str("u"), why)
	}
	if m.installing != "" {
		c.fault(m.id, "one-at-a-time", "removes %s while it changes %s", f.str("u"), m.installing)
	}
	if !m.up {
		c.fault(m.id, "trace", "removes while it is off")
	}
	m.installing = f.str("u")
}

// lacks says what a machine still lacks at the end; empty: nothing.
func (c *Checker) lacks(m *checked) string {
	s := c.newest
	if m.head != s.head {
		return fmt.Sprintf("knows head %d, the newest is %d", m.head, s.head)
	}
	for _, a := range s.approvals {
		best, _ := s.approval(m, a.update)
		if best != a || a.notBefore > c.now {
			continue
		}
		if _, held := s.hold(m, a.update, c.now); held || c.now > s.expires {
			continue
		}
		switch {
		case a.action == "install" && m.installed[a.update] != a.rev:
			return "lacks " + a.update
		case a.action == "remove" && m.installed[a.update] != 0:
			return "still has " + a.update
		}
	}
	return ""
}

// expectable is what a scenario may expect: WAN payload bytes of each site over the bytes of what it
// fetched, duplicate bytes over all, how long it takes after the last fault, when the last machine is
// done, and how many machines may be left over, in all sites with a line and in those without one,
// and within what time 99 in a hundred machines know of the first hold.
var expectable = []string{"wan", "duplicates", "settle", "within", "unfinished", "carried", "held"}
