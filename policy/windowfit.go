package policy

import "time"

// WindowFor asks for one machine what machines ask themselves (ruleWindow): when an update may begin there, now or
// later, for its run time to fit into a maintenance window. A reason: it never may. Windows that do not bind it let it
// begin now.
func (m *Manifest) WindowFor(mach Machine, a Approval, d *Descriptor, now time.Time) (time.Time, Reason) {
	in := m.belongs(mach).in
	q := question{approval: a, desc: d, machine: mach, calendar: m.calendarFor(in, mach), settings: m.settingsFor(in, mach), now: now, manifest: m}
	anytime := len(q.calendar.windows) == 0 && !q.settings.windowsRequired
	if anytime || a.IgnoreWindows || q.unbound() {
		return now, ""
	}
	open, never := q.calendar.fit(q.need(), now)
	return open.from, never
}

// DeadlineIn is the approval's own deadline for a machine whose clock hangs in a zone; zero: it names none.
func (a Approval) DeadlineIn(zone *time.Location) time.Time {
	if a.LocalTime {
		return localInstant(a.Deadline, zone)
	}
	return a.Deadline
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
