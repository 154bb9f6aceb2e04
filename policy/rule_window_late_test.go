package policy

import (
	"strings"
	"testing"
	"time"
)

// R-H1, R-B5: an update whose deadline comes before the next window says so, before the deadline and after it; one whose
// window comes first does not.
func TestRH1ADeadlineBeforeTheWindowHasAReason(t *testing.T) {
	b := newBench(t)
	b.m.Windows = []Window{{ID: "w", Group: "all", Rule: "FREQ=MONTHLY;BYDAY=2TU", From: "2026-01-01", At: "03:00", Zone: "UTC", Minutes: 60}}
	d := b.update("u", 1, nil)
	for _, c := range []struct {
		deadline time.Time
		want     Reason
	}{{t0.Add(time.Hour), ReasonWindowLate}, {t0.Add(-time.Hour), ReasonWindowLate}, {t0.Add(60 * day), ""}, {time.Time{}, ""}} {
		b.m.Approvals = nil
		b.approve(d, "all", ActionInstall, func(a *Approval) { a.Deadline = c.deadline })
		v := b.plan(Machine{}, t0)["u"]
		if v.Await != StateWaitingWindow || v.Reason != c.want || strings.Contains(v.Detail, "after its deadline") != (c.want != "") || v.Until.IsZero() {
			t.Errorf("deadline %s: %+v", c.deadline, v)
		}
	}
}
