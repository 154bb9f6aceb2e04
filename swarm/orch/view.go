package orch

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Status is an orchestration as one member sees it, for people.
type Status struct {
	Name    string
	Member  bool
	Phase   Phase
	Slots   int
	Place   int      // in line, from 1; 0: it is not in line
	Ahead   []string // members that go first
	Holders []string // of slots, in their order
	Passed  []string // members that came first and were waited for long enough
	Locked  bool     // nobody begins before the next reset
	// LockedBy is the member that failed; empty: the members took too long together.
	LockedBy      string
	Votes, Quorum int // of the roll that lacks most
	Members       int
	Silent        []string // members that were not heard lately
	Left          time.Duration
	Limit         time.Duration // how long a member may hold a slot
	GroupLeft     time.Duration // 0: no limit, or nothing is going on
}

// Status looks at an orchestration. now is by the counting clock.
func (m *Machine) Status(t Time) Status {
	m.clock(t)
	s := Status{Name: m.cfg.Name, Member: m.Member(), Phase: m.s.Phase, Slots: m.cfg.Slots, Locked: m.locked(), Members: len(m.cfg.roll()), Left: m.left(), Limit: m.cfg.Member}
	if s.Locked {
		s.LockedBy = m.s.Why
	}
	held := m.holders()
	for slot := range MaxSlots {
		if id, taken := held[slot]; taken {
			s.Holders = append(s.Holders, id)
		}
	}
	if s.Phase == Waiting || s.Phase == Asking {
		s.Ahead = m.inLine()
		s.Place = len(s.Ahead) + 1
	}
	for i, roll := range m.cfg.Rolls {
		n, q := 0, Quorum(len(roll), m.cfg.Liars)
		if s.Phase == Asking || s.Phase == Holding {
			n = m.tally(roll)
		}
		if i == 0 || q-n > s.Quorum-s.Votes {
			s.Votes, s.Quorum = n, q
		}
	}
	for _, id := range m.cfg.roll() {
		if h := m.cards[id]; id != m.self && (h == nil || m.now.Mono-h.at > 3*m.cfg.beat()) {
			s.Silent = append(s.Silent, id)
		}
		if m.passed[id] {
			s.Passed = append(s.Passed, id)
		}
	}
	if m.cfg.Group > 0 && m.s.Run > 0 {
		s.GroupLeft = max(0, m.cfg.Group-m.s.Run)
	}
	return s
}

// inLine are those that go first, without noting how long they were waited for.
func (m *Machine) inLine() []string {
	own := m.card()
	var out []string
	for _, id := range m.cfg.roll() {
		h := m.cards[id]
		c := Card{Member: id}
		if h != nil {
			c = h.Card
		}
		if id != m.self && !m.false[id] && !m.passed[id] && m.compare(c, own) < 0 && m.waitsBefore(h) {
			out = append(out, id)
		}
	}
	return out
}

// Why says in one line why a member waits; name gives the members names that people know.
func (s Status) Why(name func(string) string) string {
	of := "orchestration " + s.Name
	switch {
	case !s.Member:
		return "it is in the group of " + of + " and not on its signed list of members: 'patchmesh orchestration set' takes it up"
	case s.Locked && s.LockedBy != "":
		return of + " has stopped since " + name(s.LockedBy) + " failed or did not come back: 'patchmesh orchestration reset " + s.Name + "' lets it go on"
	case s.Locked:
		return of + " has stopped since its members took longer together than they may: 'patchmesh orchestration reset " + s.Name + "' lets it go on"
	case len(s.Holders) >= s.Slots:
		return fmt.Sprintf("%s: %d of %d slot(s) held by %s%s", of, len(s.Holders), s.Slots, list(s.Holders, name), s.line(name))
	case len(s.Ahead) > 0 && s.Phase != Asking:
		return of + s.line(name)
	case len(s.Silent) > 0:
		return fmt.Sprintf("%s: it has %d of the %d votes that it needs; of %d members %d were not heard lately: %s", of, s.Votes, s.Quorum, s.Members, len(s.Silent), list(s.Silent, name))
	}
	return fmt.Sprintf("%s: it has %d of the %d votes that it needs", of, s.Votes, s.Quorum)
}

func (s Status) line(name func(string) string) string {
	if len(s.Ahead) == 0 {
		return ""
	}
	return fmt.Sprintf(", %d in line before it: %s", len(s.Ahead), list(s.Ahead, name))
}

// list names members for people, a few of them.
func list(ids []string, name func(string) string) string {
	var names []string
	for _, id := range ids {
		names = append(names, name(id))
	}
	slices.Sort(names)
	if len(names) > 3 {
		return strings.Join(names[:3], ", ") + fmt.Sprintf(" and %d more", len(names)-3)
	}
	return strings.Join(names, ", ")
}
