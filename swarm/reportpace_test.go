package swarm

import (
	"slices"
	"testing"
	"time"
)

// reportsOf counts the reports that a machine of n updates makes in a minute in which one of them changes every tenth of a
// second, and the longest that a change waited to be told.
func reportsOf(t *testing.T, n int) (reports int, latest time.Duration) {
	t.Helper()
	s, m := newStart(t, fileMachine, n)
	s.step(ManifestArrived{Version: 1, ExpiresAt: s.now.Add(48 * time.Hour), Manifest: m})
	s.settle()
	c, untold := s.core, []time.Time{}
	begun := s.now
	handle := func(acts []Action) {
		for _, a := range acts {
			r, is := a.(Report)
			if !is {
				continue
			}
			if len(untold) > 0 {
				latest = max(latest, s.now.Sub(untold[0]))
			}
			reports, untold = reports+1, untold[:0]
			c.Step(s.now, ReportQueued{Machine: c.self.Peer, Seq: r.Seq})
		}
	}
	handle(c.Step(s.now, ReportQueued{Machine: c.self.Peer, Seq: c.reports.seq}))
	for s.now.Before(begun.Add(time.Minute)) {
		change := s.now.Add(100 * time.Millisecond)
		for w := c.Wake(); !w.IsZero() && w.Before(change); w = c.Wake() {
			s.now = slices.MaxFunc([]time.Time{w, s.now.Add(time.Millisecond)}, time.Time.Compare)
			handle(c.Step(s.now, Tick{}))
		}
		s.now = change
		c.reportSoon()
		untold = append(untold, s.now)
		handle(c.Step(s.now, Tick{}))
	}
	return reports, latest
}

// What a report costs grows with the updates in it: a machine with many gathers news longer, and never longer than it may.
func TestPaceOfReportsFollowsTheirSize(t *testing.T) {
	few, late := reportsOf(t, 20)
	if most := DefaultConfig().ReportMin + 100*time.Millisecond; few < 150 || late > most {
		t.Errorf("20 updates: %d reports in a minute, told after up to %s", few, late)
	}
	many, late := reportsOf(t, 2000)
	if many > 35 || late > 2100*time.Millisecond {
		t.Errorf("2000 updates: %d reports in a minute, told after up to %s", many, late)
	}
	most, late := reportsOf(t, 8000)
	if most < 10 || late > DefaultConfig().ReportLatest+100*time.Millisecond {
		t.Errorf("8000 updates: %d reports in a minute, told after up to %s", most, late)
	}
}
