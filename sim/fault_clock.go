package sim

import (
	"errors"
	"time"

	"patchmesh/policy"
	"patchmesh/swarm"
)

// planClock: some machines' clocks drift, are wrong from the beginning, and jump. Words: share, drift
// (share of a second gained or lost per second), jump (how far, either way), and times without lasts.
func planClock(w *World, a args) error {
	share, drift, jump := exactly(0.3), exactly(0.0005), value{low: float64(time.Second), high: float64(time.Hour), log: true}
	t, err := a.times(time.Second)
	if err = errors.Join(err, a.value("share", &share, parseShare), a.value("drift", &drift, parseShare), a.value("jump", &jump, parseTime)); err != nil {
		return err
	}
	victims := w.pick(w.some(share.draw(w.rng)), func(*machine) bool { return true })
	sign := func() float64 { return float64(1 - 2*w.rng.IntN(2)) }
	for _, m := range victims {
		m.clock = &clock{drift: sign() * drift.draw(w.rng), c: policy.NewClock(policy.ClockState{}, epoch0)}
		m.clock.c.Learn(m.trust)
		m.clock.shown = epoch0
	}
	if len(victims) == 0 {
		return nil
	}
	w.eachTime(t, func() func() {
		m := victims[w.rng.IntN(len(victims))]
		m.clock.off += time.Duration(sign() * jump.draw(w.rng))
		w.sayFault("clock", string(m.id))
		m.step(swarm.Tick{})
		return nil
	})
	return nil
}
