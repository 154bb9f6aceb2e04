package sim

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// checkedWindow is open each day from opens on, for lasts, in ns since the start of the run.
type checkedWindow struct {
	group        string
	opens, lasts int64
}

func (c *Checker) windowLine(f fact) {
	if s := c.sets[f.num("head")]; s != nil {
		s.windows = append(s.windows, checkedWindow{f.str("group"), f.num("opens"), f.num("lasts")})
	}
}

// shut says why the machine must not be changed at that time of its clock: one that windows address is
// changed in them alone. Empty: it may be.
func (s *checkedSet) shut(m *checked, clock int64) string {
	const oneDay = int64(24 * time.Hour)
	addressed := false
	for _, w := range s.windows {
		if !m.in(w.group) {
			continue
		}
		addressed = true
		if since := ((clock-w.opens)%oneDay + oneDay) % oneDay; since < w.lasts {
			return ""
		}
	}
	if addressed {
		return fmt.Sprintf("every window of head %d is shut, its clock says %d", s.head, clock)
	}
	return ""
}

// firstHold notes when the race of holds against installations begins.
func (c *Checker) firstHold(s *checkedSet) {
	if c.holdAt == 0 {
		c.holdAt = s.at
	}
}

// finishHolds: a hold outruns installations. Of all machines that are on at the end, 99 in a hundred know of
// the first hold within the time that the scenario expects.
func (c *Checker) finishHolds() {
	s, ok := c.expects["held"]
	if !ok {
		return
	}
	var took []int64
	for _, id := range c.order {
		m := c.machines[id]
		switch {
		case m.seed || !m.up || m.lies != "-" || c.newest.revoked[id]:
		case m.heldAt == 0:
			took = append(took, math.MaxInt64)
		default:
			took = append(took, m.heldAt-c.holdAt)
		}
	}
	slices.Sort(took)
	most, err := parseTime(s)
	if err != nil || c.holdAt == 0 || len(took) == 0 {
		c.fault("", "held", "no hold was published, or nobody could learn of it")
		return
	}
	c.finishRace(int64(most), len(took))
	if p99 := took[(len(took)*99+99)/100-1]; p99 > int64(most) {
		c.fault("", "held", "99 %% of %d machines know of the hold after %v, at most %s", len(took), time.Duration(p99), s)
	}
}
