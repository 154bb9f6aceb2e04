package policy

import (
	"strings"
	"testing"
	"time"
)

// R-B12: what is expedited has its deadline at once, or when it becomes available; a later one that stands beside it
// does not put that off, and an installer that may ask somebody is forced by none.
func TestRB12ExpeditedHasItsDeadlineNow(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Approval)
		asks   string
		action Action
		want   time.Time
	}{
		"expedited":                {func(a *Approval) { a.Expedite = true }, "", ActionInstall, t0},
		"to remove":                {func(a *Approval) { a.Expedite = true }, "", ActionRemove, t0},
		"with a later deadline":    {func(a *Approval) { a.Expedite, a.Deadline = true, t0.Add(99*time.Hour) }, "", ActionInstall, t0},
		"with an earlier deadline": {func(a *Approval) { a.Expedite, a.Deadline = true, t0.Add(-time.Hour) }, "", ActionInstall, t0.Add(-time.Hour)},
		"available later":          {func(a *Approval) { a.Expedite, a.NotBefore = true, t0.Add(2*time.Hour) }, "", ActionInstall, t0.Add(2 * time.Hour)},
		"it may ask":               {func(a *Approval) { a.Expedite = true }, "maybe", ActionInstall, time.Time{}},
		"not expedited":            {nil, "", ActionInstall, time.Time{}},
	} {
		b := newBench(t)
		b.approve(b.update("u", 1, func(d *Descriptor) { d.AsksUser, d.Severity = firstText(c.asks, "never"), "unspecified" }), "all", c.action, func(a *Approval) {
			if a.At = t0; c.change != nil {
				c.change(a)
			}
		})
		if v := b.plan(Machine{}, t0.Add(time.Minute))["u"]; !v.Deadline.Equal(c.want) {
			t.Errorf("%s: deadline %s, want %s", name, v.Deadline, c.want)
		}
	}
}

// R-B12: only the approvers' explicit word lets content pass a WAN budget, for as long as they may give it; and they
// are shown that word before they sign.
func TestRB12OnlyAnExplicitWordPassesTheBudget(t *testing.T) {
	end := t0.Add(time.Hour)
	for name, c := range map[string]struct {
		a    Approval
		over bool
		at   time.Time
	}{
		"expedited":                   {Approval{Action: ActionInstall, Expedite: true, IgnoreWindows: true, Deadline: t0.Add(-time.Hour)}, false, time.Time{}},
		"says so":                     {Approval{Action: ActionInstall, IgnoreBudget: true}, true, time.Time{}},
		"says so, staging":            {Approval{Action: ActionStageOnly, IgnoreBudget: true}, true, time.Time{}},
		"says so of what is removed":  {Approval{Action: ActionRemove, IgnoreBudget: true}, false, time.Time{}},
		"says so of what is declined": {Approval{Action: ActionDecline, IgnoreBudget: true}, false, time.Time{}},
		"a role whose word ends":      {Approval{Action: ActionInstall, IgnoreBudget: true, role: "canary", until: end}, true, end.Add(1)},
		"a role whose word has ended": {Approval{Action: ActionInstall, IgnoreBudget: true, role: "canary", until: t0.Add(-1)}, false, time.Time{}},
	} {
		if over, at := c.a.OverBudget(t0); over != c.over || !at.Equal(c.at) {
			t.Errorf("%s: %v until %s", name, over, at)
		}
	}
	plain := Approval{Update: "u", Group: "all", Action: ActionInstall, Expedite: true}
	loud := plain
	loud.IgnoreBudget, loud.IgnoreWindows = true, true
	d := decisions{approvals: []Approval{plain}}.diff(decisions{approvals: []Approval{loud}})
	if len(d) != 1 || !strings.Contains(d[0].Text(), "beyond the WAN budget") || !strings.Contains(d[0].Text(), "maintenance window is closed") || !strings.Contains(d[0].Text(), "deadline is now") {
		t.Errorf("shown before signing: %v", d)
	}
}
