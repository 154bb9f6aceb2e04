package policy

import "time"

// Kinds of holds. The last one is not found in documents of approvers: see Brake.
const (
	HoldPause     = "pause"
	HoldSafeguard = "safeguard"
	HoldFreeze    = "freeze"
	HoldBrake     = "brake"
)

// activeHolds are the holds that stop something on one machine now. Where several stop the same, the one that lasts
// longest is kept: it is the one to talk about, and the one to wait for.
type activeHolds struct {
	held map[heldKey]Hold
	open []Excepted // what exceptions keep from counting here
}

// heldKey is what a hold stops: one update, or AllUpdates; one revision of it, or 0 for all.
type heldKey struct {
	update   UpdateID
	revision int
}

// holdsFor picks the holds that address a machine in these groups, fit it, and have not expired. A hold counts where
// the machine may be meant, an exception only where it is.
func (m *Manifest) holdsFor(groups belonging, mach Machine, now time.Time) activeHolds {
	active := activeHolds{held: map[heldKey]Hold{}}
	in := groups.either()
	for _, h := range m.Holds {
		if _, addressed := in[h.Group]; h.Group != "" && !addressed {
			continue
		}
		if h.Over(now) || h.early(now) || !h.Match.fits(mach) {
			continue
		}
		if e, open := m.exceptionFor(h, groups.in, mach, now); open {
			active.open = append(active.open, e)
			continue
		}
		key := heldKey{h.Update, h.revision}
		if old, double := active.held[key]; !double || outlasts(h, old) {
			active.held[key] = h
		}
	}
	return active
}

// Over says whether the hold has ended by itself. It may stand in the document long after.
func (h Hold) Over(now time.Time) bool { return !h.ExpiresAt.IsZero() && !now.Before(h.ExpiresAt) }

// on finds the hold that stops a revision of an update.
func (a activeHolds) on(u UpdateID, revision int) (Hold, bool) {
	var best Hold
	found := false
	for _, key := range []heldKey{{u, 0}, {u, revision}, {AllUpdates, 0}} {
		if h, held := a.held[key]; held && (!found || outlasts(h, best)) {
			best, found = h, true
		}
	}
	return best, found
}

// outlasts compares ends; a hold without one never ends.
func outlasts(a, b Hold) bool {
	if b.ExpiresAt.IsZero() {
		return false
	}
	return a.ExpiresAt.IsZero() || a.ExpiresAt.After(b.ExpiresAt)
}
