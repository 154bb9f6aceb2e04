package policy

import "time"

// Clock is the time by which trust is judged: the wall clock, but never earlier than what is proven
// to have passed. A wall clock is set by whoever owns NTP, the firmware battery or an administrator's
// mistake; set back, it would bring expired approvals to life again.
//
// What raises the proven time:
//
//   - the instant at which the program was built;
//   - the issue times of verified documents (Learn), bounded by what approvers have signed;
//   - time that passed while the program ran, by a clock that nobody sets (Pass);
//   - the wall clock, but no further than just past the expiry of the newest verified head (Read).
//
// The last bound is what heals a machine whose clock was wrong in the future: while it is, everything
// seems expired and nothing is installed; once it is right again, the proven time stands at most at
// the end of a head that every honest successor outlives. The zero value has nothing proven.
type Clock struct {
	proven time.Time
	limit  time.Time
}

// ClockTolerance is how far a wall clock may be behind the proven time before people are told: seeds
// and machines need not agree to the hour, nor even on the time zone of their firmware.
const ClockTolerance = 24 * time.Hour

// NewClock begins with instants that are known to have passed; zero ones do not count.
func NewClock(passed ...time.Time) Clock {
	var c Clock
	for _, t := range passed {
		c.raise(t)
	}
	return c
}

func (c *Clock) raise(t time.Time) {
	if t.After(c.proven) {
		c.proven = t
	}
}

// Learn takes the issue times of a verified trust, and its head's expiry as the new bound for the wall
// clock. The epoch's issue time is signed by a threshold of approvers; those of roster and head by
// online keys alone, which therefore cannot push the time past the approvals' own expiry.
func (c *Clock) Learn(t *Trust) {
	if t.manifest == nil {
		return
	}
	most := t.ApprovalsExpireAt()
	issued := t.manifest.IssuedAt
	for _, at := range []time.Time{t.roster.IssuedAt, t.HeadIssuedAt()} {
		if at.After(issued) && !at.After(most) {
			issued = at
		}
	}
	if issued.After(t.ExpiresAt()) {
		issued = t.ExpiresAt() // an approver's clock was wrong: no later than the seed's word allows
	}
	c.raise(issued)
	end := t.ExpiresAt()
	if last := most.Add(DefaultLife().Targets); end.After(last) {
		end = last
	}
	c.limit = end.Add(time.Second) // one more: a head once seen to have expired stays so
}

// Pass counts time that passed while the program ran.
func (c *Clock) Pass(d time.Duration) {
	if d > 0 && !c.proven.IsZero() {
		c.proven = c.proven.Add(d)
	}
}

// Read is the time to judge by: never before the proven one.
func (c *Clock) Read(wall time.Time) time.Time {
	if wall.After(c.limit) {
		c.raise(c.limit)
	} else {
		c.raise(wall)
	}
	if wall.Before(c.proven) {
		return c.proven
	}
	return wall
}

// Proven is the time that has passed for certain: what is saved for the next start.
func (c *Clock) Proven() time.Time { return c.proven }

// Behind is by how much a wall clock is behind the proven time; zero within ClockTolerance.
func (c *Clock) Behind(wall time.Time) time.Duration {
	if d := c.proven.Sub(wall); d > ClockTolerance {
		return d
	}
	return 0
}
