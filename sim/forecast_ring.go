package sim

import (
	"slices"
	"time"

	"patchmesh/policy"
)

// Rings in a forecast: the seed's own judgement, fed with when machines are done instead of with reports.

// rollout is the approval along a plan; nil where it goes along none.
func (e *forecaster) rollout() (*policy.Approval, *policy.RingPlan) {
	a := e.approval()
	if a.RingPlan == "" || a.Expedite {
		return a, nil
	}
	return a, e.manifest.RingPlan(a.RingPlan)
}

// openRings opens the next ring if it is due.
func (e *forecaster) openRings() {
	a, plan := e.rollout()
	if plan == nil || e.w.now < since(e.fleet.At) {
		return
	}
	now := e.w.trueTime()
	if step, _ := plan.Judge(*a, e.tallies(plan, e.w.now), false, now); step != policy.RingPromote {
		return
	}
	a.RingsOpened = append(slices.Clone(a.RingsOpened), now.UTC().Truncate(time.Second))
	e.publish()
	e.movedAt = e.w.now
}

// tallies are what machines will have reported by an instant.
func (e *forecaster) tallies(plan *policy.RingPlan, at int64) []policy.Tally {
	out := make([]policy.Tally, len(plan.Rings))
	for _, r := range e.all {
		if r.ring < 0 || r.ring >= len(out) {
			continue
		}
		t := &out[r.ring]
		t.Machines++
		t.Needed++
		if r.doneAt != 0 && r.doneAt <= at {
			t.Installed++
		}
	}
	for i := range e.fleet.Machines { // done before anybody asked
		f := &e.fleet.Machines[i]
		if ring := e.manifest.RingOf(plan, f.Groups); ring >= 0 && f.Installed[e.fleet.Update] == e.target.Revision {
			out[ring].Machines++
			out[ring].Needed++
			out[ring].Installed++
		}
	}
	return out
}

// nextRing is when the next ring will open, as far as can be seen now; 0: it will not.
func (e *forecaster) nextRing() int64 {
	a, plan := e.rollout()
	if plan == nil || len(a.RingsOpened) >= len(plan.Rings) {
		return 0
	}
	at := len(a.RingsOpened) - 1
	times := []int64{e.w.now, since(a.RingsOpened[at].Add(time.Duration(plan.Rings[at].SoakMinutes) * time.Minute))}
	for _, r := range e.all {
		if r.ring == at && r.doneAt > e.w.now {
			times = append(times, r.doneAt)
		}
	}
	slices.Sort(times)
	for _, t := range slices.Compact(times) {
		if t < e.w.now {
			continue
		}
		if step, _ := plan.Judge(*a, e.tallies(plan, t), false, epoch0.Add(time.Duration(t))); step == policy.RingPromote {
			return max(t, e.w.now+int64(time.Second))
		}
	}
	return 0
}

func (e *forecaster) ringForecasts() []RingForecast {
	out := []RingForecast{}
	a, plan := e.rollout()
	if plan == nil {
		return out
	}
	for i, r := range plan.Rings {
		f := RingForecast{Ring: r.Name}
		for _, m := range e.all {
			if m.ring == i {
				f.Machines++
			}
		}
		if i < len(a.RingsOpened) {
			f.OpensAt = a.RingsOpened[i]
		}
		out = append(out, f)
	}
	return out
}
