package sim

import (
	"errors"
	"time"
)

// planSwap: some machines die for good, and as many that were never on start at that moment. Words: count,
// and at, when it happens. Those that come are the last ones of their sites.
func planSwap(w *World, a args) error {
	count, at := exactly(1), exactly(float64(10*time.Second))
	if err := errors.Join(a.value("count", &count, parseNumber), a.value("at", &at, parseTime)); err != nil {
		return err
	}
	n := min(count.drawInt(w.rng), len(w.ordinary())/2)
	late := w.ordinary()[len(w.ordinary())-n:]
	w.at(0, func() {
		for _, m := range late {
			m.inc++ // what would have switched it on does not reach it
			m.away = true
		}
	})
	w.openEnds++
	w.at(int64(at.draw(w.rng)), func() {
		isLate := map[*machine]bool{}
		for _, m := range late {
			isLate[m] = true
		}
		for _, m := range w.pick(n, func(m *machine) bool { return m.on() && !isLate[m] }) {
			m.away = true
			m.stop(stopKill)
		}
		w.start(late)
		w.openEnds--
		w.quiet()
	})
	return nil
}
