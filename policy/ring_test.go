package policy

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func twoRings(first Ring) *RingPlan {
	first.Name, first.Groups = "pilot", []string{"pilot"}
	return &RingPlan{Name: "standard", Rings: []Ring{first, {Name: "broad", Groups: []string{"all"}, FailPercent: 10, FailCount: 3}}}
}

// R-B10: when the next ring opens, and when everything stops.
func TestRB10PromotionAndHalt(t *testing.T) {
	for name, c := range map[string]struct {
		ring  Ring
		tally Tally
		hours int
		by    bool
		want  RingStep
		says  string
	}{
		"nothing asked for":                     {Ring{}, Tally{2, 2, 0, 0}, 0, false, RingPromote, ""},
		"soaks":                                 {Ring{SoakMinutes: 120}, Tally{2, 2, 2, 0}, 1, false, RingWait, "soaks until 2026-03-01T14:00:00Z"},
		"has soaked":                            {Ring{SoakMinutes: 120}, Tally{2, 2, 2, 0}, 2, false, RingPromote, ""},
		"count not reached":                     {Ring{SuccessCount: 2}, Tally{5, 5, 1, 0}, 9, false, RingWait, "1 of 2"},
		"count reached":                         {Ring{SuccessCount: 2}, Tally{5, 5, 2, 0}, 9, false, RingPromote, ""},
		"ring smaller than the count":           {Ring{SuccessCount: 5}, Tally{2, 2, 2, 0}, 9, false, RingPromote, ""},
		"fewer need it than the count":          {Ring{SuccessCount: 5}, Tally{9, 2, 2, 0}, 9, false, RingPromote, ""},
		"count of a ring that is not all done":  {Ring{SuccessCount: 5}, Tally{9, 4, 3, 0}, 9, false, RingWait, "3 of 5"},
		"percent not reached":                   {Ring{SuccessPercent: 95}, Tally{20, 20, 18, 0}, 9, false, RingWait, "95 %"},
		"percent reached":                       {Ring{SuccessPercent: 95}, Tally{20, 20, 19, 0}, 9, false, RingPromote, ""},
		"percent and count":                     {Ring{SuccessPercent: 50, SuccessCount: 4}, Tally{4, 4, 2, 0}, 9, false, RingWait, "2 of 4"},
		"by hand only":                          {Ring{Manual: true}, Tally{2, 2, 2, 0}, 9, false, RingWait, "by hand"},
		"by hand":                               {Ring{Manual: true, SoakMinutes: 1e4}, Tally{2, 2, 0, 0}, 0, true, RingPromote, "by hand"},
		"by hand against failures":              {Ring{FailCount: 1}, Tally{2, 2, 0, 1}, 0, true, RingHalt, "1 of 2 machines failed"},
		"one of two is half":                    {Ring{FailPercent: 50}, Tally{2, 2, 1, 1}, 9, false, RingHalt, "1 of 2 machines failed"},
		"failures below the threshold":          {Ring{FailPercent: 50, FailCount: 3}, Tally{9, 9, 7, 2}, 9, false, RingPromote, ""},
		"a failure wins over enough successes":  {Ring{SuccessCount: 1, FailCount: 1}, Tally{9, 9, 8, 1}, 9, false, RingHalt, ""},
		"no failure halts where none is named":  {Ring{}, Tally{9, 9, 0, 9}, 9, false, RingPromote, ""},
		"an empty ring asks":                    {Ring{SuccessPercent: 100, SuccessCount: 1}, Tally{}, 9, false, RingWait, "none of its 0 machines"},
		"an empty ring that asks for nothing":   {Ring{}, Tally{}, 999, false, RingWait, "none of its 0 machines"},
		"an empty ring, by hand":                {Ring{}, Tally{}, 0, true, RingPromote, "by hand"},
		"nobody in it needs the update":         {Ring{SuccessPercent: 95}, Tally{7, 0, 0, 0}, 9, false, RingWait, "none of its 7 machines"},
		"it may be skipped, and soaks":          {Ring{SkipEmpty: true, SoakMinutes: 120}, Tally{}, 1, false, RingWait, "soaks until 2026-03-01T14:00:00Z"},
		"it may be skipped, and has soaked":     {Ring{SkipEmpty: true, SoakMinutes: 120, SuccessPercent: 100}, Tally{}, 2, false, RingPromote, ""},
		"what may be skipped is not empty":      {Ring{SkipEmpty: true, SuccessCount: 1}, Tally{1, 1, 0, 0}, 9, false, RingWait, "0 of 1"},
		"a ring of one machine":                 {Ring{SuccessCount: 3, SuccessPercent: 95}, Tally{1, 1, 1, 0}, 9, false, RingPromote, ""},
		"nobody has reported what it needs yet": {Ring{SuccessCount: 2, SuccessPercent: 100}, Tally{2, 2, 0, 0}, 9, false, RingWait, "0 of 2"},
	} {
		a := Approval{RingPlan: "standard", RingsOpened: []time.Time{t0}}
		got, why := twoRings(c.ring).Judge(a, []Tally{c.tally}, c.by, t0.Add(time.Duration(c.hours)*time.Hour))
		if got != c.want || !strings.Contains(why, c.says) {
			t.Errorf("%s: %s (%s), want %s (%s)", name, got, why, c.want, c.says)
		}
	}
	a := Approval{RingPlan: "standard", RingsOpened: []time.Time{t0, t0}}
	for want, tallies := range map[RingStep][]Tally{
		RingDone: {{}, {Machines: 100, Needed: 100, Failed: 2}},
		RingHalt: {{}, {Machines: 100, Needed: 100, Failed: 3}},
	} {
		if got, _ := twoRings(Ring{}).Judge(a, tallies, false, t0); got != want {
			t.Errorf("last ring, %+v: %s", tallies, got)
		}
	}
	if got, _ := twoRings(Ring{FailCount: 1}).Judge(a, []Tally{{2, 2, 1, 1}, {}}, false, t0); got != RingHalt {
		t.Errorf("a failure of the pilot that showed after it was left: %s", got)
	}
}

// R-B9: a plan that is not plain is refused where it is written.
// R-B5, R-B10: along rings a deadline may count from when each was opened, so that the last ring is not overdue as it
// opens. Content becomes urgent as the first ring's deadline comes near.
func TestRB5ADeadlineAlongRingsCountsFromEachOpening(t *testing.T) {
	b := newBench(t)
	b.m.Groups = []Group{{Name: "pilot"}}
	b.m.RingPlans = []RingPlan{{Name: "std", Rings: []Ring{{Name: "pilot", Groups: []string{"pilot"}}, {Name: "broad", Groups: []string{"all"}}}}}
	b.approve(b.update("u", 1, nil), "all", ActionInstall, func(a *Approval) {
		a.RingPlan, a.RingsOpened, a.DeadlineMinutes = "std", []time.Time{t0, t0.Add(5 * day)}, 2*24*60
	})
	now := t0.Add(5*day + time.Hour)
	for group, want := range map[string]time.Time{"pilot": t0.Add(2 * day), "": t0.Add(7 * day)} {
		if v := b.plan(Machine{Groups: []string{group}}, now)["u"]; !v.Deadline.Equal(want) || v.Verb != VerbInstall {
			t.Errorf("group %q: %+v, want the deadline %s", group, v, want)
		}
	}
	a := b.m.Approvals[0]
	if urgent, at := a.Urgent(t0); urgent || !at.Equal(t0.Add(day)) {
		t.Errorf("urgent %v, changes at %s", urgent, at)
	}
	for name, edit := range map[string]func(*Approval){
		"beside another": func(a *Approval) { a.Deadline = now }, "without rings": func(a *Approval) { a.RingPlan, a.RingsOpened = "", nil },
		"negative": func(a *Approval) { a.DeadlineMinutes = -1 }, "without end": func(a *Approval) { a.DeadlineMinutes = MaxDeadlineMinutes + 1 },
		"by local clocks": func(a *Approval) { a.LocalTime, a.NotBefore = true, now },
	} {
		o := a
		edit(&o)
		if err := o.check(); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRB9RingPlansThatAreNotPlainAreRefused(t *testing.T) {
	for name, spoil := range map[string]func(*RingPlan){
		"no rings": func(p *RingPlan) { p.Rings = nil }, "no name": func(p *RingPlan) { p.Name = "" },
		"ring without groups": func(p *RingPlan) { p.Rings[0].Groups = nil }, "two of a name": func(p *RingPlan) { p.Rings[1].Name = "pilot" },
		"101 percent": func(p *RingPlan) { p.Rings[0].SuccessPercent = 101 }, "less than nothing": func(p *RingPlan) { p.Rings[0].FailCount = -1 },
		"years of soaking": func(p *RingPlan) { p.Rings[0].SoakMinutes = 1 << 30 }, "group that is no name": func(p *RingPlan) { p.Rings[0].Groups = []string{"../x"} },
		"21 rings": func(p *RingPlan) { p.Rings = make([]Ring, 21) },
	} {
		p := twoRings(Ring{})
		spoil(p)
		if err := p.Validate(); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, a := range map[string]Approval{
		"no plan, but rings": {RingsOpened: []time.Time{t0}}, "no ring open": {RingPlan: "p"}, "opened backwards": {RingPlan: "p", RingsOpened: []time.Time{t0, t0.Add(-1)}},
	} {
		if err := a.checkRings(); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
