package policy

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Approvals and the openings of rings are stamped when they are drafted, and approvers sign those stamps: where keys
// are elsewhere, days may go by until the last signature is made. Until then no machine could act. So what is counted
// from a stamp (soak, the turns of a spread ring, deadlines that are not an instant) counts from when the draft was
// published instead. That is nothing that approvers can sign. The seed that publishes says it in the roster, where it
// came noticeably after the stamps; every machine that holds the documents can read it, with no network. A thief on
// the seed could delay things by it, as he could by not publishing them at all: no more than that, and not for ever.

// Late says that what approvers have stamped from From on was published at At, and not before.
type Late struct {
	Role string    `json:"role,omitempty"` // whose draft it was; empty: the main approvers
	From time.Time `json:"from"`           // the earliest of its stamps
	At   time.Time `json:"at"`
}

// Limits of late publications. The oldest are forgotten; then their stamps count again.
const (
	MaxLate     = 64
	lateAfter   = time.Minute // the difference that is worth a line
	maxLateness = 90 * day
)

func (r *Roster) checkLate() error {
	if len(r.Late) > MaxLate {
		return fmt.Errorf("%d late publications: %w", len(r.Late), ErrTooLarge)
	}
	for i, l := range r.Late {
		if l.Role != "" {
			if err := checkName("role", l.Role); err != nil {
				return err
			}
		}
		if l.From.IsZero() || !l.At.After(l.From) || l.At.Sub(l.From) > maxLateness {
			return fmt.Errorf("published at %s, stamped from %s: %w", l.At.UTC().Format(time.RFC3339), l.From.UTC().Format(time.RFC3339), ErrFormat)
		}
		if i > 0 && r.Late[i-1].At.After(l.At) {
			return fmt.Errorf("late publication of %s is out of order: %w", l.At.UTC().Format(time.RFC3339), ErrFormat)
		}
	}
	return nil
}

// Publishes gives the roster that says when a draft is published on top of t, if that is worth a line.
func (r *Roster) Publishes(t *Trust, d *Draft, now time.Time) (*Roster, error) {
	is, err := d.approvals()
	if err != nil {
		return nil, err
	}
	was, issued := t.approvalsOf(d.role)
	from := earliestNew(was, is)
	now = stamp(now)
	if from.IsZero() || now.Sub(from) < lateAfter {
		return r, nil
	}
	// What was drafted before the last publication went with that one.
	from = later(later(from, issued), now.Add(-maxLateness))
	if !now.After(from) {
		return r, nil
	}
	next := *r
	next.Late = append(slices.Clone(r.Late), Late{Role: d.role, From: from.UTC(), At: now})
	slices.SortStableFunc(next.Late, func(a, b Late) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Role, b.Role)) })
	next.Late = next.Late[max(0, len(next.Late)-MaxLate):]
	return &next, nil
}

// approvals of a draft, whoever's it is.
func (d *Draft) approvals() ([]Approval, error) {
	if d.role != "" {
		m, err := DecodeRoleManifest(d.manifest)
		if err != nil {
			return nil, err
		}
		return m.Approvals, nil
	}
	m, err := DecodeManifest(d.manifest)
	if err != nil {
		return nil, err
	}
	return m.Approvals, nil
}

// approvalsOf is what a role, or the main approvers, had decided, and when the last of that was drafted.
func (t *Trust) approvalsOf(role string) ([]Approval, time.Time) {
	if role != "" {
		if r, ok := t.role(role); ok && r.Document != nil {
			return r.Document.Approvals, r.Document.IssuedAt
		}
		return nil, time.Time{}
	}
	if t.main == nil {
		return nil, time.Time{}
	}
	return t.main.Approvals, t.main.IssuedAt
}

// earliestNew is the earliest stamp that approvals have and those of before had not; zero: none.
func earliestNew(was, is []Approval) time.Time {
	old := map[[2]string][]time.Time{}
	for _, a := range was {
		old[[2]string{string(a.Update), a.Group}] = a.stamps()
	}
	var first time.Time
	for _, a := range is {
		known := old[[2]string{string(a.Update), a.Group}]
		for _, at := range a.stamps() {
			if i := slices.IndexFunc(known, at.Equal); i >= 0 {
				known = slices.Delete(known, i, i+1) // two may be of one second
				continue
			}
			first = earlier(first, at)
		}
	}
	return first
}

func (a Approval) stamps() []time.Time { return append([]time.Time{a.At}, a.RingsOpened...) }

// dated is the manifest in force with what the roster says of when it was published.
func (m *Manifest) dated(r *Roster) *Manifest {
	if m == nil || r == nil || len(r.Late) == 0 {
		return m
	}
	next := *m
	next.Approvals = slices.Clone(m.Approvals)
	for i := range next.Approvals {
		a := &next.Approvals[i]
		a.published = nil
		for _, at := range a.stamps() {
			a.published = append(a.published, r.published(a.role, at))
		}
	}
	return &next
}

// published is when a stamp was: drafts follow one another, so it went with the first that was published after it.
func (r *Roster) published(role string, at time.Time) time.Time {
	for _, l := range r.Late {
		if l.Role == role && !l.At.Before(at) {
			if l.From.After(at) {
				break
			}
			return l.At
		}
	}
	return at
}

// GivenAt is since when an approval could be acted on: when it was published, or stamped.
func (a Approval) GivenAt() time.Time {
	if len(a.published) > 0 {
		return a.published[0]
	}
	return a.At
}

// OpenedAt is since when a ring could be acted on: i counts the rings that are open, from 0.
func (a Approval) OpenedAt(i int) time.Time {
	if i+1 < len(a.published) {
		return a.published[i+1]
	}
	return a.RingsOpened[i]
}

// IssuedAt is when a draft was changed last, as it says itself.
func (d *Draft) IssuedAt() (time.Time, error) {
	_, at, err := d.decisions()
	return at, err
}
