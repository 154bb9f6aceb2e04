package sim

import (
	"slices"
	"time"
)

// race is what the first hold names, and the installations of it that began after the hold was published.
type race struct {
	hold  checkedHold
	named bool
	begun []int64 // how long after the publication
}

// begins notes that a machine begins to install something, if the first hold stops it there.
func (r *race) begins(c *Checker, m *checked, u string) {
	if c.holdAt == 0 {
		return
	}
	if !r.named {
		for _, s := range c.sets {
			if s.at == c.holdAt && len(s.holds) > 0 {
				r.hold, r.named = s.holds[0], true
			}
		}
	}
	if h := r.hold; m.lies == "-" && (h.update == u || h.update == "all") && (h.group == "-" || m.in(h.group)) && c.newest != nil &&
		slices.ContainsFunc(c.newest.holds, func(x checkedHold) bool { return x.id == h.id && (x.expires == 0 || c.now < x.expires) }) {
		r.begun = append(r.begun, c.now-c.holdAt)
	}
}

// finishRace: once 99 in a hundred machines have to know of the hold, no more than one in a hundred begins what it stops.
func (c *Checker) finishRace(most int64, machines int) {
	late := 0
	for _, after := range c.race.begun {
		if after > most {
			late++
		}
	}
	if late > machines/100 {
		c.fault("", "held", "%d of %d machines begin to install what has been held for longer than %v", late, machines, time.Duration(most))
	}
}
