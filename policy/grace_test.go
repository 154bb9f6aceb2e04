package policy

import (
	"testing"
	"time"
)

// R-C6, R-B5, R-B18: a machine that hears of an update when its deadline is near or past is not forced at once: its
// user has the grace that policy gives, from then on and no longer, and may postpone within it.
func TestRC6AMachineThatComesLateIsGivenGrace(t *testing.T) {
	deadline, grace := t0.Add(24*time.Hour), 48*time.Hour
	late := t0.Add(30 * 24 * time.Hour)
	met := func(at time.Time) map[UpdateID]Wait { return map[UpdateID]Wait{"u": {Revision: 1, Since: at}} }
	for name, c := range map[string]struct {
		grace    string
		mach     Machine
		expedite bool
		now      time.Time
		want     time.Time // deadline
	}{
		"nobody gives any":                     {"none", Machine{Met: met(late)}, false, late, deadline},
		"it hears of it now":                   {"48h", Machine{}, false, late, late.Add(grace)},
		"it has heard of it":                   {"48h", Machine{Met: met(late)}, false, late.Add(time.Hour), late.Add(grace)},
		"its grace is over":                    {"48h", Machine{Met: met(late)}, false, late.Add(grace), late.Add(grace)},
		"it knew in time, but only just":       {"48h", Machine{Met: met(t0.Add(time.Hour))}, false, deadline, t0.Add(time.Hour + grace)},
		"it knew before it was meant":          {"48h", Machine{Met: met(t0.Add(-90 * time.Hour))}, false, deadline, t0.Add(grace)},
		"the deadline is later than the grace": {"1h", Machine{Met: met(t0)}, false, t0.Add(2 * time.Hour), deadline},
		"another revision was known":           {"48h", Machine{Met: map[UpdateID]Wait{"u": {Revision: 7, Since: t0}}}, false, late, late.Add(grace)},
		"noted by a clock that ran ahead":      {"48h", Machine{Met: met(late.Add(time.Hour))}, false, late, deadline},
		"expedited":                            {"48h", Machine{}, true, late, t0},
		"the apply role":                       {"48h", Machine{UserElsewhere: true}, false, late, deadline},
	} {
		b := newBench(t)
		b.m.Settings = []Setting{{SetAutomation, "all", "download-notify"}, {SetDeadlineGrace, "all", c.grace}, {SetPostponeTimes, "all", "9"}, {SetPostponeFor, "all", "720h"}}
		b.approve(b.update("u", 1, nil), "all", ActionInstall, func(a *Approval) { a.Deadline, a.Expedite = deadline, c.expedite })
		v := b.plan(c.mach, c.now)["u"]
		if !v.Deadline.Equal(c.want) {
			t.Errorf("%s: deadline %s, want %s", name, v.Deadline, c.want)
		}
		forced := !c.now.Before(c.want) || c.expedite || c.mach.UserElsewhere
		if forced != (v.Verb == VerbInstall) || !forced && v.Await != StateWaitingUser {
			t.Errorf("%s: %+v", name, v)
		}
		if w, err := b.m.Postpone(v, c.mach, 600*time.Hour, c.now); (err != nil) != !c.now.Before(c.want) || err == nil && !w.PostponedUntil.Equal(c.want) {
			t.Errorf("%s: postponed until %s, %v", name, w.PostponedUntil, err)
		}
	}
}
