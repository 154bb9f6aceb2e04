package sim

import (
	"errors"
	"slices"
	"time"
)

// planShift: the machines of a group are on in their shifts alone, and nobody waits for them in between. Words:
// group, on (when the first shift begins), lasts, every (from one beginning to the next), and times (how many
// shifts). The last one does not end.
func planShift(w *World, a args) error {
	on, lasts, every, n := exactly(0), exactly(float64(8*time.Hour)), exactly(float64(24*time.Hour)), exactly(1)
	group := a.text("group", "")
	if err := errors.Join(a.value("on", &on, parseTime), a.value("lasts", &lasts, parseTime), a.value("every", &every, parseTime),
		a.value("times", &n, parseNumber)); err != nil {
		return err
	}
	var crew []*machine
	for _, m := range w.ordinary() {
		if slices.Contains(m.facts.Groups, group) {
			crew = append(crew, m)
		}
	}
	times := n.drawInt(w.rng)
	if len(crew) == 0 || times < 1 || times > maxShifts || every.low < lasts.high || on.low < 0 || lasts.low < 0 || on.high+float64(times)*every.high > float64(maxTime) {
		return bad("shift (want a group with machines, and shifts that do not overlap, within 400 days)", group)
	}
	begin, length, apart := on.drawTime(w.rng), lasts.drawTime(w.rng), every.drawTime(w.rng)
	if begin > 0 {
		w.at(0, func() {
			for _, m := range crew {
				m.inc++ // what would have switched it on does not reach it
				m.away = true
			}
		})
	}
	w.openEnds++
	for i := range times {
		at := begin + time.Duration(i)*apart
		last := i == times-1
		w.at(int64(at), func() {
			w.start(crew)
			if last {
				w.openEnds--
				w.quiet()
			}
		})
		if !last {
			w.at(int64(at+length), func() {
				for _, m := range crew {
					m.away = true
					m.stop(stopClean)
				}
			})
		}
	}
	return nil
}

// maxShifts bounds what one line of a scenario plans.
const maxShifts = 1000
