package node

import (
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
	"patchmesh/swarm/rate"
)

// statedLimits is what is signed for this machine about what it may move and store, and what its own file makes stricter.
type statedLimits struct {
	all   map[string]policy.Effective // by setting
	rates [rate.Classes][rate.Directions]*statedRate
}

// statedRate are timetables of which the lowest counts at each instant.
type statedRate struct {
	tables []rate.Limits
	from   string
	group  string
}

func readStated(all map[string]policy.Effective) *statedLimits {
	s := &statedLimits{all: all}
	for c := range rate.Classes {
		for d := range rate.Directions {
			e, said := all[policy.SetLimit(c.String(), d.String())]
			if !said {
				continue
			}
			r := &statedRate{from: api.LimitSigned, group: e.Source}
			if e.Source == "local" {
				r.from, r.group = api.LimitLocal, ""
			}
			for _, t := range policy.Timetables(e.Value, time.Local) {
				var table rate.Limits
				for _, x := range t {
					table = append(table, rate.Limit{Class: c, Dir: d, Rate: rate.Rate(x.BytesPerSec), Window: x.Hours})
				}
				r.tables = append(r.tables, table)
			}
			s.rates[c][d] = r
		}
	}
	return s
}

// rate is what is stated for a class and direction; nil: nothing is.
func (s *statedLimits) rate(c rate.Class, d rate.Direction) *statedRate {
	if s == nil {
		return nil
	}
	return s.rates[c][d]
}

// at is what is stated of an instant; false: nothing is, but from held.until on it may be.
func (s *statedRate) at(c rate.Class, d rate.Direction, now time.Time) (h held, stated bool) {
	if s == nil {
		return h, false
	}
	h = held{rate: rate.Unlimited, from: s.from, group: s.group}
	for _, t := range s.tables {
		r, said, until := t.At(c, d, now)
		if lowerRate(r, h.rate) {
			h.rate = r
		}
		h.until, stated = sooner(h.until, until), stated || said
	}
	return h, stated
}

// value is what is stated of a setting; empty: nothing is.
func (s *statedLimits) value(name string) string {
	if s == nil {
		return ""
	}
	return s.all[name].Value
}

// budget makes a budget stricter by what is stated. The zone of days is that of the machine's own budget only where
// nothing is stated: all machines of a site must turn the page together.
func (s *statedLimits) budget(b rate.Budget) rate.Budget {
	zone, said := time.UTC, false
	for name, into := range map[string]*int64{policy.SetBudgetDay: &b.DayBytes, policy.SetBudgetMonth: &b.MonthBytes} {
		bytes, in, err := policy.ParseAmount(s.value(name))
		if err != nil { // none
			continue
		}
		*into, said = stricter(*into, bytes), true
		if in != nil && (zone == time.UTC || in.String() < zone.String()) {
			zone = in
		}
	}
	if said {
		b.Zone = zone
	}
	return b
}

// statedLimits is what is signed for this machine now; nil: nothing, or nobody knows.
func (n *Node) statedLimits() map[string]policy.Effective {
	if n.believer == nil { // a driver without approvals, as tests have it
		return nil
	}
	return n.believer.current().Manifest().Limits(n.machineFacts())
}
