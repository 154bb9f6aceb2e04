package policy

import "time"

// activeHolds are the holds that stop something on one machine now, by update; those for every
// update stand under AllUpdates. Where several stop one update, the one that lasts longest is kept:
// it is the one to talk about, and the one to wait for.
type activeHolds map[UpdateID]Hold

// holdsFor picks the holds that address a machine in these groups, fit it, and have not expired.
func (m *Manifest) holdsFor(in map[string]int, mach Machine, now time.Time) activeHolds {
	active := activeHolds{}
	for _, h := range m.Holds {
		if _, addressed := in[h.Group]; h.Group != "" && !addressed {
			continue
		}
		if !h.Match.fits(mach) {
			continue
		}
		if !h.ExpiresAt.IsZero() && !now.Before(h.ExpiresAt) {
			continue
		}
		if old, double := active[h.Update]; !double || outlasts(h, old) {
			active[h.Update] = h
		}
	}
	return active
}

// on finds the hold that stops an update.
func (a activeHolds) on(u UpdateID) (Hold, bool) {
	h, held := a[u]
	every, all := a[AllUpdates]
	if all && (!held || outlasts(every, h)) {
		return every, true
	}
	return h, held
}

// outlasts compares ends; a hold without one never ends.
func outlasts(a, b Hold) bool {
	if b.ExpiresAt.IsZero() {
		return false
	}
	return a.ExpiresAt.IsZero() || a.ExpiresAt.After(b.ExpiresAt)
}
