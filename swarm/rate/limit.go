package rate

import (
	"time"

	"patchmesh/policy"
)

// Limit is a rate for one class and direction. Window nil: always.
type Limit struct {
	Class  Class
	Dir    Direction
	Rate   Rate
	Window *policy.WeekHours
}

// Limits is all that was set. The zero value limits nothing.
type Limits []Limit

// MaxLimits bounds the list.
const MaxLimits = 64

// At is the rate for a class and direction at an instant, and when it may change next; zero: never. said is false where none of
// them says anything of that instant, as outside the hours of one that has no other beside it.
func (ls Limits) At(c Class, d Direction, now time.Time) (r Rate, said bool, until time.Time) {
	r = Unlimited
	timed := false
	for _, l := range ls {
		if l.Class != c || l.Dir != d {
			continue
		}
		if l.Window != nil {
			if next := l.Window.Next(now); until.IsZero() || next.Before(until) {
				until = next
			}
			if !l.Window.Contains(now) {
				continue
			}
		}
		said = true
		switch better := l.Window != nil; {
		case better && !timed:
			r, timed = l.Rate, true
		case better == timed && lower(l.Rate, r):
			r = l.Rate
		}
	}
	return r, said, until
}

func lower(a, b Rate) bool { return a != Unlimited && (b == Unlimited || a < b) }
