package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// HoldException is a signed opt-out: until a time, one hold does not count on one machine, or on those of a group.
// It opens a safeguard, whose authors cannot know every machine, a seed's own brake and the halt of a ring plan, which
// come of counting failures. What an admin has paused or frozen stays so: that is released, not gone around.
type HoldException struct {
	ID      string    `json:"id"`
	Hold    string    `json:"hold"`              // of a safeguard, of a halt, or of a brake (Brake.ID)
	Machine string    `json:"machine,omitempty"` // peer id; names are labels that a seed gives out
	Group   string    `json:"group,omitempty"`
	Reason  string    `json:"reason"`
	At      time.Time `json:"at"`
	Until   time.Time `json:"until"`

	role string
}

// Role is the delegated role that an exception comes from; empty for the main approvers.
func (e HoldException) Role() string { return e.role }

// Limits of exceptions. One that never ended would be a hold that nobody remembers to release.
const (
	MaxExceptionLife = 90 * day
	maxExceptions    = 10000
)

// Validate says what is wrong with an exception. ErrFormat.
func (e HoldException) Validate() error {
	for _, n := range []struct{ what, is string }{{"exception", e.ID}, {"hold", e.Hold}} {
		if err := checkName(n.what, n.is); err != nil {
			return err
		}
	}
	switch {
	case (e.Machine == "") == (e.Group == ""):
		return fmt.Errorf("exception %s is for one machine or for one group: %w", e.ID, ErrFormat)
	case e.At.IsZero() || !e.Until.After(e.At) || e.Until.Sub(e.At) > MaxExceptionLife:
		return fmt.Errorf("exception %s lasts from %s to %s, at most %d days: %w", e.ID, e.At.UTC().Format(time.RFC3339), e.Until.UTC().Format(time.RFC3339), MaxExceptionLife/day, ErrFormat)
	case e.Reason == "":
		return fmt.Errorf("exception %s without a reason: %w", e.ID, ErrFormat)
	}
	if e.Group != "" {
		if err := checkName("group", e.Group); err != nil {
			return err
		}
	}
	if err := checkText("machine of an exception", e.Machine, 128); err != nil {
		return err
	}
	return checkText("exception reason", e.Reason, maxReasonBytes)
}

// checkExceptions checks them one by one, and that they are in order without doubles. That a hold is gone, or not
// there yet, is no error: roles hold in documents of their own, which come and go.
func checkExceptions(all []HoldException, most int) error {
	if len(all) > most {
		return fmt.Errorf("%d exceptions from holds: %w", len(all), ErrTooLarge)
	}
	for i, e := range all {
		if err := e.Validate(); err != nil {
			return err
		}
		if i > 0 && all[i-1].ID >= e.ID {
			return fmt.Errorf("exception %s is out of order or double: %w", e.ID, ErrFormat)
		}
	}
	return nil
}

func compareExceptions(a, b HoldException) int { return strings.Compare(a.ID, b.ID) }

// Exceptable says whether an exception may open a hold. What stands in for a document that nobody can read here may
// have been anything.
func (h Hold) Exceptable() bool {
	return (h.Kind == HoldSafeguard || h.Kind == HoldBrake || h.Halt()) && h.Reason != unreadable
}

// opens says whether an exception is about a hold: of the same id, of a kind that may be opened, and by somebody who
// may. A role opens its own holds and nobody else's: it could release those as well.
func (e HoldException) opens(h Hold) bool {
	return e.Hold == h.ID && h.Exceptable() && (e.role == "" || e.role == h.role)
}

// Excepted is a hold that would stop an update on this machine, were it not for an exception.
type Excepted struct {
	Hold, Exception, Reason string // the reason of the exception
	Until                   time.Time

	update   UpdateID
	revision int // 0: all
}

// exceptionFor finds the exception that opens a hold on a machine now, the longest of several. A machine is of a
// group only where that is certain: what is not known opens nothing.
func (m *Manifest) exceptionFor(h Hold, sure map[string]int, mach Machine, now time.Time) (Excepted, bool) {
	var best HoldException
	for _, e := range m.HoldExceptions {
		if !e.opens(h) || !now.Before(e.Until) || !e.Until.After(best.Until) || e.At.After(now.Add(brakeSlack)) { // how long it lasts is bounded from At
			continue
		}
		if _, in := sure[e.Group]; e.Group != "" && !in || e.Machine != "" && e.Machine != mach.ID {
			continue
		}
		best = e
	}
	if best.ID == "" {
		return Excepted{}, false
	}
	return Excepted{Hold: h.ID, Exception: best.ID, Reason: best.Reason, Until: best.Until, update: h.Update, revision: h.revision}, true
}

// excepted are the exceptions that matter to one revision of an update.
func (a activeHolds) excepted(u UpdateID, revision int) (out []Excepted) {
	for _, e := range a.open {
		if (e.update == u || e.update == AllUpdates) && (e.revision == 0 || e.revision == revision) {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(x, y Excepted) int { return cmp.Compare(x.Hold, y.Hold) })
	return out
}

func (e HoldException) text() string {
	return fmt.Sprintf("%s from hold %s for %s until %s: %s", e.ID, e.Hold, e.For(), e.Until.UTC().Format("2006-01-02T15:04:05Z"), e.Reason)
}

// For says for whom an exception is.
func (e HoldException) For() string {
	if e.Machine != "" {
		return "machine " + e.Machine
	}
	return "group " + e.Group
}

// exceptionText is Text for a change of an exception.
func (c Change) exceptionText(sign string) string {
	s := fmt.Sprintf("%s exception %s", sign, firstOf(c.HoldException, c.WasHoldException).text())
	if c.HoldException != nil && c.WasHoldException != nil {
		s += "\n            was: " + c.WasHoldException.text()
	}
	return s
}

// ExceptionsFrom lists the exceptions that open a hold, those that have ended too.
func (m *Manifest) ExceptionsFrom(h Hold) (out []HoldException) {
	for _, e := range m.HoldExceptions {
		if e.opens(h) {
			out = append(out, e)
		}
	}
	return out
}
