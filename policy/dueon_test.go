package policy

import (
	"slices"
	"testing"
	"time"

	"patchmesh/content"
)

// R-B5, R-M7: who asks from outside when an approval is due on a machine hears what the machine itself goes by, whichever
// way the deadline is said; only of a ring that is not open yet nobody can know it.
func TestRB5DueOnIsWhatTheMachineGoesBy(t *testing.T) {
	tokyo, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	week := 7 * 24 * time.Hour
	rings := []RingPlan{{Name: "p", Rings: []Ring{{Name: "one", Groups: []string{"pilot"}, SuccessCount: 1}, {Name: "two", Groups: []string{"all"}}}}}
	opened := []time.Time{t0}
	for name, c := range map[string]struct {
		a    Approval
		d    Descriptor
		want time.Time // zero: none
	}{
		"its own":                    {Approval{Deadline: t0.Add(week)}, Descriptor{}, t0.Add(week)},
		"by the machine's clock":     {Approval{Deadline: t0.Add(week), LocalTime: true}, Descriptor{}, t0.Add(week - 9*time.Hour)},
		"by its severity":            {Approval{}, Descriptor{}, t0.Add(week)},
		"available later":            {Approval{NotBefore: t0.Add(week)}, Descriptor{}, t0.Add(2 * week)},
		"available later, by clocks": {Approval{NotBefore: t0.Add(week), LocalTime: true}, Descriptor{}, t0.Add(2*week - 9*time.Hour)},
		"expedited":                  {Approval{Expedite: true, Deadline: t0.Add(week)}, Descriptor{}, t0},
		"it asks the user":           {Approval{Deadline: t0.Add(week)}, Descriptor{AsksUser: "maybe"}, time.Time{}},
		"optional":                   {Approval{Action: ActionOptional}, Descriptor{}, time.Time{}},
		"a removal":                  {Approval{Action: ActionRemove}, Descriptor{Removable: true}, time.Time{}},
		"in the first ring":          {Approval{Group: "pilot", RingPlan: "p", RingsOpened: opened}, Descriptor{}, t0.Add(week)},
		"from its ring's opening":    {Approval{Group: "pilot", RingPlan: "p", RingsOpened: opened, DeadlineMinutes: 60}, Descriptor{}, t0.Add(time.Hour)},
	} {
		c.a.Update, c.a.Revision, c.a.At = "u", 1, t0
		if c.a.Action == "" {
			c.a.Action = ActionInstall
		}
		if c.a.Group == "" {
			c.a.Group = GroupAll
		}
		c.d.Update, c.d.Revision, c.d.Severity = "u", 1, "critical"
		m := &Manifest{Groups: []Group{{Name: "pilot"}}, Settings: UsualDeadlines(), RingPlans: rings, Approvals: []Approval{c.a}}
		slices.SortFunc(m.Settings, compareSettings)
		mach := Machine{Groups: []string{"pilot"}, Zone: tokyo, Installers: []string{""}, Detected: map[UpdateID]Detection{"u": {}}}
		v := MakePlan(m, func(content.ID) *Descriptor { return &c.d }, mach, false, t0).Verdicts
		if len(v) != 1 || !v[0].Deadline.Equal(c.want) {
			t.Errorf("%s: the machine goes by %+v, want %s", name, v, c.want)
		}
		if at := m.DueOn(mach, c.a, &c.d); !at.Equal(c.want) {
			t.Errorf("%s: due at %s, the machine goes by %s", name, at, c.want)
		}
		late := mach
		late.Groups = nil // its ring is the second
		if at := m.DueOn(late, c.a, &c.d); c.a.RingPlan != "" && !at.IsZero() {
			t.Errorf("%s: due at %s in a ring that is not open", name, at)
		}
	}
}
