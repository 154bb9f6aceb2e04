package node

import (
	"fmt"
	"time"

	"patchmesh/node/state"
	"patchmesh/policy"
)

// tooLate warns of machines on which an update fits into no maintenance window that opens before the deadline of its
// approval: a deadline opens none, so that they will miss it. It is the question that the machines ask themselves.
func (s *seed) tooLate(a policy.Approval) []string {
	m := s.believer.current().Manifest()
	d := s.descriptor(a.Descriptor)
	if d == nil || a.IgnoreWindows || m == nil || a.Action != policy.ActionInstall && a.Action != policy.ActionRemove {
		return nil
	}
	members, err := s.db.Members()
	if err != nil {
		return nil
	}
	now := s.now()
	late, short, assumed := missing{}, missing{}, 0
	for _, k := range members {
		if k.ReplacedBy != "" || !m.InGroup(s.groupsOf(k), a.Group) {
			continue
		}
		facts, told := s.clockFacts(k)
		deadline := m.DueOn(facts, a, d)
		begins, never := m.WindowFor(facts, a, d, now)
		switch {
		case never == policy.ReasonWindowTooShort: // with a deadline or without
			short.add(k.Name, time.Time{})
		case deadline.IsZero() || never == "" && !begins.After(deadline):
			continue
		default:
			late.add(k.Name, begins)
		}
		if !told && m.ByLocalClock() {
			assumed++
		}
	}
	return windowWarnings(late, short, assumed)
}

// missing counts machines and names the first.
type missing struct {
	n    int
	name string
	next time.Time // its next window; zero: none
}

func (l *missing) add(name string, next time.Time) {
	if l.n++; l.n == 1 {
		l.name, l.next = name, next
	}
}

func windowWarnings(late, short missing, assumed int) (out []string) {
	if late.n > 0 {
		when := "no window of it opens again"
		if !late.next.IsZero() {
			when = "its next window opens at " + stampText(late.next)
		}
		out = append(out, fmt.Sprintf("no maintenance window of %d machine(s) opens before the deadline, which opens none itself (%s: %s): "+
			"they are told as %s; --ignore-windows installs it all the same", late.n, late.name, when, policy.ReasonWindowLate))
	}
	if short.n > 0 {
		out = append(out, fmt.Sprintf("no maintenance window of %d machine(s) is long enough for its run time (such as %s): they are told as %s; "+
			"a longer window or --ignore-windows lets it be installed", short.n, short.name, policy.ReasonWindowTooShort))
	}
	if assumed > 0 {
		out = append(out, fmt.Sprintf("%d of these have not told their time zone: their local windows were read by the clock of this seed", assumed))
	}
	return out
}

// clockFacts are what windows are asked for of a member; told: it has said where its clock hangs.
func (s *seed) clockFacts(k state.MemberRow) (facts policy.Machine, told bool) {
	facts = policy.Machine{ID: k.ID, Name: k.Name, Site: k.Site, Groups: s.groupsOf(k), Zone: time.Local}
	if k.ID == s.id() {
		return facts, true
	}
	v, _, _ := s.inventoryOf(k.ID)
	facts.Zone, told = v.ClockOf(time.Local)
	return facts, told
}
