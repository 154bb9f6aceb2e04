package node

import (
	"fmt"
	"time"

	"patchmesh/policy"
)

// tooLate warns of machines on which no maintenance window opens before the deadline of an approval: a deadline opens
// none, so that they will miss it.
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
	late, name, opens := 0, "", time.Time{}
	for _, k := range members {
		facts := policy.Machine{ID: k.ID, Name: k.Name, Site: k.Site, Groups: s.groupsOf(k), Zone: time.Local}
		if k.ReplacedBy != "" || !m.InGroup(facts.Groups, a.Group) {
			continue
		}
		deadline := a.Deadline
		if e, by := m.DeadlineBySeverity(d.Severity, facts); deadline.IsZero() && by && a.Action == policy.ActionInstall && !d.MayAsk() && a.RingPlan == "" {
			if life, err := policy.ParseSpan(e.Value); err == nil {
				deadline = now.Add(life)
				if a.NotBefore.After(now) {
					deadline = a.NotBefore.Add(life)
				}
			}
		}
		open, anytime := m.Openings(facts, now, 1)
		if deadline.IsZero() || anytime || len(open) > 0 && !open[0].Begins.After(deadline) {
			continue
		}
		if late++; late == 1 {
			name = k.Name
			if len(open) > 0 {
				opens = open[0].Begins
			}
		}
	}
	if late == 0 {
		return nil
	}
	when := "no window of it opens again"
	if !opens.IsZero() {
		when = "its next window opens at " + stampText(opens)
	}
	return []string{fmt.Sprintf("no maintenance window of %d machine(s) opens before the deadline, which opens none itself (%s: %s): "+
		"they are told as %s; --ignore-windows installs it all the same", late, name, when, policy.ReasonWindowLate)}
}
