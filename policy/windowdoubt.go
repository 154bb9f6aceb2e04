package policy

import (
	"fmt"
	"slices"
	"time"
)

// Doubts says, for whoever states a window, what a rule does that is seldom meant: a window that never opens closes its
// machines for good, and a day that not every month has leaves months out. Both are well-formed.
func (w Window) Doubts(now time.Time) (out []string) {
	alone, group := w, w.Group
	alone.Group = GroupAll
	m := &Manifest{Windows: []Window{alone}}
	if open, _ := m.Openings(Machine{Zone: time.UTC}, now, 1); len(open) == 0 {
		return []string{fmt.Sprintf("window %s will never open: its rule fits no day from now on. Machines of group %s that no other window addresses are not changed any more", w.ID, group)}
	}
	p, err := w.parse()
	if err != nil {
		return nil
	}
	day := slices.Max(append(slices.Clone(p.rule.monthDay), 0))
	if last := fewest(p.rule.months); day > last {
		out = append(out, fmt.Sprintf("window %s leaves out every month without a day %d; BYMONTHDAY=-1 is the last day of each", w.ID, day))
	}
	return out
}

// fewest is how many days the shortest of some months has at least; none: of all.
func fewest(months []time.Month) int {
	least := 31
	for m := time.January; m <= time.December; m++ {
		if len(months) == 0 || slices.Contains(months, m) {
			least = min(least, time.Date(2025, m+1, 0, 0, 0, 0, 0, time.UTC).Day())
		}
	}
	return least
}
