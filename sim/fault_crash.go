package sim

import (
	"errors"
	"time"
)

// planCrash: machines lose power or their process, and start again. Words: share (of all machines
// each time), power (how often it is the power: what was not synced is lost), and times.
func planCrash(w *World, a args) error {
	share, power := exactly(0.1), exactly(0.5)
	t, err := a.times(5 * time.Second)
	if err = errors.Join(err, a.value("share", &share, parseShare), a.value("power", &power, parseShare)); err != nil {
		return err
	}
	p := power.draw(w.rng)
	w.eachTime(t, func() func() {
		victims := w.pick(w.some(share.draw(w.rng)), isOn)
		for _, m := range victims {
			how := stopKill
			if w.rng.Float64() < p {
				how = stopPower
			}
			m.stop(how)
		}
		return func() { w.start(victims) }
	})
	return nil
}

func (w *World) start(machines []*machine) {
	for _, m := range machines {
		m.away = false
		if !m.on() {
			m.boot()
		}
	}
}

// planChurn: machines leave and come back, cleanly, all the time. Words: share (of all machines that
// are off at some time of each round), every (how long a round is), and times without lasts.
func planChurn(w *World, a args) error {
	share, every, away := exactly(0.3), exactly(float64(10*time.Second)), value{low: float64(2 * time.Second), high: float64(20 * time.Second)}
	from, until := exactly(0), exactly(float64(60*time.Second))
	if err := errors.Join(a.value("share", &share, parseShare), a.value("every", &every, parseTime), a.value("lasts", &away, parseTime),
		a.value("from", &from, parseTime), a.value("until", &until, parseTime)); err != nil {
		return err
	}
	pause := max(every.draw(w.rng), float64(time.Second))
	for at := from.draw(w.rng); at < until.draw(w.rng); at += pause {
		for range w.some(share.draw(w.rng)) {
			round := times{from: exactly(at), until: exactly(at + pause), times: exactly(1), lasts: away}
			w.eachTime(round, func() func() {
				victims := w.pick(1, isOn)
				for _, m := range victims {
					m.stop(stopClean)
				}
				return func() { w.start(victims) }
			})
		}
	}
	return nil
}

// planOff: machines are off for long, and nobody waits for them. Words: share, and times.
func planOff(w *World, a args) error {
	share := exactly(0.1)
	t, err := a.times(14 * 24 * time.Hour)
	if err = errors.Join(err, a.value("share", &share, parseShare)); err != nil {
		return err
	}
	w.eachTime(t, func() func() {
		victims := w.pick(w.some(share.draw(w.rng)), isOn)
		for _, m := range victims {
			m.away = true
			m.stop(stopClean)
		}
		return func() { w.start(victims) }
	})
	return nil
}

// planSeedDown: the seed is off for a while. Words: times.
func planSeedDown(w *World, a args) error {
	t, err := a.times(30 * time.Second)
	w.eachTime(t, func() func() {
		if !w.hq.on() {
			return nil
		}
		w.hq.stop(stopKill)
		return func() { w.hq.boot() }
	})
	return err
}
