package policy

import "time"

// Clock is the time by which trust is judged: the wall clock, but never earlier than what is known to
// have passed. A wall clock is set by whoever owns NTP, the firmware battery or an administrator's
// mistake; set back, it would bring expired approvals to life again.
//
// What is known to have passed:
//
//   - the instant at which the program was built;
//   - the issue times of verified documents (Learn), bounded by what approvers have signed;
//   - time that passed while the program ran, by a clock that nobody sets (Pass);
//   - what the wall clock has shown, but no further than just past the expiry of the newest verified
//     head (Read), and without counting on from there.
//
// The last bound is what heals a machine whose clock was wrong in the future: while it is, everything
// seems expired and nothing is installed; once it is right again, the next honest head, which expires
// later than the one before, is valid at once. The zero value knows nothing.
type Clock struct {
	ClockState
	limit time.Time
}

// ClockState is what of a Clock is saved for the next start. Zero times know nothing.
type ClockState struct {
	ProvenAt time.Time `json:"proven_at,omitzero"` // has passed for certain
	SeenAt   time.Time `json:"seen_at,omitzero"`   // the wall clock has shown it, within the bound
}

// Max joins two states: of each instant the later one.
func (s ClockState) Max(o ClockState) ClockState {
	return ClockState{ProvenAt: latest(s.ProvenAt, o.ProvenAt).UTC(), SeenAt: latest(s.SeenAt, o.SeenAt).UTC()}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// ClockTolerance is how far a wall clock may be behind the proven time before people are told: seeds
// and machines need not agree to the hour, nor even on the time zone of their firmware.
const ClockTolerance = 24 * time.Hour

// NewClock begins with what was saved, and when the program was built; zero if that is not known.
func NewClock(saved ClockState, built time.Time) Clock {
	saved.ProvenAt = latest(saved.ProvenAt, built)
	return Clock{ClockState: saved}
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
	c.ProvenAt = latest(c.ProvenAt, issued)
	end := t.ExpiresAt()
	if last := most.Add(DefaultLife().Targets); end.After(last) {
		end = last
	}
	c.limit = end.Add(time.Second) // one more: a head once seen to have expired stays so
}

// Pass counts time that passed while the program ran.
func (c *Clock) Pass(d time.Duration) {
	if d > 0 && !c.ProvenAt.IsZero() {
		c.ProvenAt = c.ProvenAt.Add(d)
	}
}

// Read is the time to judge by: never before what is known to have passed.
func (c *Clock) Read(wall time.Time) time.Time {
	seen := wall
	if seen.After(c.limit) {
		seen = c.limit
	}
	c.SeenAt = latest(c.SeenAt, seen)
	return latest(wall, latest(c.ProvenAt, c.SeenAt))
}

// State is what to save.
func (c *Clock) State() ClockState { return c.ClockState }

// Behind is by how much a wall clock is behind the proven time; zero within ClockTolerance.
func (c *Clock) Behind(wall time.Time) time.Duration {
	if d := c.ProvenAt.Sub(wall); d > ClockTolerance {
		return d
	}
	return 0
}
