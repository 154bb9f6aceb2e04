package policy

import (
	"slices"
	"time"
)

// An approval may name its times by each machine's own clock: Monday at six in the evening, wherever that is. They are
// signed as that reading of the clock, and become instants where the plan is made.
//
// Only the machine knows where its clock hangs. Whoever can set its zone could put such a time off or bring it on, but
// no further than real zones reach: what a reading can mean anywhere spans 26 hours.

// How far real zones are ahead of and behind UTC.
const (
	zonesAhead  = 14 * time.Hour
	zonesBehind = 12 * time.Hour
)

// localInstant is when clocks of a zone show what wall shows in UTC. A reading that comes twice, as clocks are set back,
// is the first of the two; one that clocks leap over is read with the offset from before the leap, so that half past two
// is half past three. Zero stays zero.
func localInstant(wall time.Time, zone *time.Location) time.Time {
	if wall.IsZero() {
		return wall
	}
	if zone == nil {
		zone = time.UTC
	}
	wall = wall.UTC()
	minute := wall.Truncate(time.Minute)
	t := instant(civilOf(wall), minute.Hour(), minute.Minute(), zone).Add(wall.Sub(minute)).UTC()
	switch { // no zone that a machine was given reaches beyond the real ones
	case t.Before(wall.Add(-zonesAhead)):
		return wall.Add(-zonesAhead)
	case t.After(wall.Add(zonesBehind)):
		return wall.Add(zonesBehind)
	}
	return t
}

// localized is the manifest with all its times as instants of one zone. It is the same one where nothing is local.
func (m *Manifest) localized(zone *time.Location) *Manifest {
	if !slices.ContainsFunc(m.Approvals, func(a Approval) bool { return a.LocalTime }) {
		return m
	}
	c := *m
	c.Approvals = slices.Clone(m.Approvals)
	for i := range c.Approvals {
		c.Approvals[i] = c.Approvals[i].localized(zone)
	}
	return &c
}

// localized is the approval with its times as instants of a zone.
func (a Approval) localized(zone *time.Location) Approval {
	if a.LocalTime {
		a.NotBefore, a.Deadline, a.LocalTime = localInstant(a.NotBefore, zone), localInstant(a.Deadline, zone), false
	}
	return a
}

// EarliestDeadline is when the deadline comes that comes first: of one by the machines' own clocks, that of the zone
// that is furthest ahead; of one that counts along rings, that of the first ring. Zero: there is none.
func (a Approval) EarliestDeadline() time.Time {
	if a.DeadlineMinutes > 0 && len(a.RingsOpened) > 0 {
		return later(a.OpenedAt(0), a.NotBefore).Add(a.deadlineAfter())
	}
	if a.LocalTime && !a.Deadline.IsZero() {
		return a.Deadline.Add(-zonesAhead)
	}
	return a.Deadline
}

// deadlineAfter is how long after its ring was opened an approval is due; 0: it does not count from there.
func (a Approval) deadlineAfter() time.Duration {
	return time.Duration(a.DeadlineMinutes) * time.Minute
}

// latestStart is when the approval is available everywhere.
func (a Approval) latestStart() time.Time {
	if a.LocalTime && !a.NotBefore.IsZero() {
		return a.NotBefore.Add(zonesBehind)
	}
	return a.NotBefore
}

// TimeText writes one of the approval's times for people.
func (a Approval) TimeText(t time.Time) string {
	if a.LocalTime {
		return t.UTC().Format("2006-01-02T15:04:05") + " by each machine's own clock"
	}
	return t.UTC().Format("2006-01-02T15:04:05Z")
}
