package policy

import (
	"testing"
	"time"
)

func TestUrgency(t *testing.T) {
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	in := func(h int) time.Time { return now.Add(time.Duration(h) * time.Hour) }
	for _, c := range []struct {
		name   string
		a      Approval
		urgent bool
		at     time.Time
	}{
		{"plain", Approval{Action: ActionInstall}, false, time.Time{}},
		{"expedited", Approval{Action: ActionInstall, Expedite: true}, true, time.Time{}},
		{"expedited staging", Approval{Action: ActionStageOnly, Expedite: true}, true, time.Time{}},
		{"far deadline", Approval{Action: ActionInstall, Deadline: in(48)}, false, in(24)},
		{"near deadline", Approval{Action: ActionInstall, Deadline: in(23)}, true, time.Time{}},
		{"past deadline", Approval{Action: ActionInstall, Deadline: in(-5)}, true, time.Time{}},
		{"removal needs no bytes", Approval{Action: ActionRemove, Expedite: true}, false, time.Time{}},
		{"declined", Approval{Action: ActionDecline, Expedite: true, Deadline: in(1)}, false, time.Time{}},
	} {
		if urgent, at := c.a.Urgent(now); urgent != c.urgent || !at.Equal(c.at) {
			t.Errorf("%s: %v, changes at %v", c.name, urgent, at)
		}
	}
}
