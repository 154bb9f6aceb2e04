package policy

import "time"

// WindowFor asks for one machine what machines ask themselves (ruleWindow): when an update may begin there, now or
// later, for its run time to fit into a maintenance window. A reason: it never may. Windows that do not bind it let it
// begin now.
func (m *Manifest) WindowFor(mach Machine, a Approval, d *Descriptor, now time.Time) (time.Time, Reason) {
	in := m.belongs(mach).in
	set := m.settingsFor(in, mach)
	q := question{approval: a, desc: d, circumstances: &circumstances{machine: &mach, calendar: m.calendarFor(in, mach), settings: &set, now: now, manifest: m}}
	anytime := len(q.calendar.windows) == 0 && !q.settings.windowsRequired
	if anytime || a.IgnoreWindows || q.unbound() {
		return now, ""
	}
	open, never := q.calendar.fit(q.need(), now)
	return open.from, never
}

// DueOn is when an approval is due on a machine, as the machine itself works it out, but without the grace that it may
// have; zero: never, or nobody knows yet, since the deadline counts from when the machine's ring is opened.
func (m *Manifest) DueOn(mach Machine, a Approval, d *Descriptor) time.Time {
	in, rings := m.belongs(mach).in, m.RingPlan(a.RingPlan)
	if a.RingPlan != "" && a.Deadline.IsZero() && !a.Expedite {
		if rings == nil {
			return time.Time{}
		}
		if at := rings.ringOf(in); at < 0 || at >= len(a.RingsOpened) {
			return time.Time{}
		}
	}
	return deadlineOf(a.localized(mach.Zone), d, rings, in, m.settingsFor(in, mach))
}

// ByLocalClock says whether some window is read by each machine's own clock.
func (m *Manifest) ByLocalClock() bool {
	for i := range m.Windows {
		if m.Windows[i].Zone == ZoneLocal {
			return true
		}
	}
	return false
}
