package policy

import (
	"errors"
	"strings"
	"testing"
	"time"

	"patchmesh/content"
)

// tested is a plan of two rings whose second asks for all checks, an approval in its first ring, and the
// evidence that it needs.
func tested() (*RingPlan, Approval, []Tally, []Evidence, time.Time) {
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	p := &RingPlan{Name: "p", Rings: []Ring{{Name: "pilot", Groups: []string{"pilot"}, SuccessCount: 1}, {Name: "broad", Groups: []string{"all"}, Evidence: Checks}}}
	a := Approval{Update: "u", Revision: 2, Descriptor: content.Sum([]byte("two")), RingPlan: "p", RingsOpened: []time.Time{at}}
	var ev []Evidence
	for _, c := range Checks[:3] {
		ev = append(ev, Evidence{Check: c, Descriptor: a.Descriptor, Revision: 2, Passed: true, By: "ann", At: at})
	}
	return p, a, []Tally{{Machines: 2, Needed: 2, Installed: 2}, {Machines: 9, Needed: 9}}, ev, at
}

func TestRH11ARingOpensOnlyWithTheEvidenceThatItAsksFor(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(p *RingPlan, a *Approval, t []Tally, ev *[]Evidence)
		want RingStep
		why  string
	}{
		"all is there":        {func(*RingPlan, *Approval, []Tally, *[]Evidence) {}, RingPromote, "2 of 2 machines done"},
		"no business check":   {func(_ *RingPlan, _ *Approval, _ []Tally, ev *[]Evidence) { *ev = (*ev)[1:] }, RingWait, "business check: not recorded"},
		"rollback has failed": {func(_ *RingPlan, _ *Approval, _ []Tally, ev *[]Evidence) { (*ev)[2].Passed = false }, RingWait, "rollback check: failed, by ann"},
		"another revision": {func(_ *RingPlan, a *Approval, _ []Tally, _ *[]Evidence) {
			a.Revision, a.Descriptor = 3, content.Sum([]byte("three"))
		}, RingWait, "restart check: changed since tested: recorded for revision 2"},
		"same number, other bytes": {func(_ *RingPlan, a *Approval, _ []Tally, _ *[]Evidence) { a.Descriptor = content.Sum([]byte("2b")) }, RingWait, "changed since tested"},
		"not effective everywhere": {func(_ *RingPlan, _ *Approval, t []Tally, _ *[]Evidence) { t[0].Installed = 1 }, RingWait, "effectiveness check: found on 1 of 2 machines"},
		"one pilot failed":         {func(_ *RingPlan, _ *Approval, t []Tally, _ *[]Evidence) { t[0].Installed, t[0].Failed = 1, 1 }, RingWait, "1 failed"},
		"nobody had it to try":     {func(_ *RingPlan, _ *Approval, t []Tally, _ *[]Evidence) { t[0] = Tally{} }, RingWait, "none of its 0 machines needs"},
		"nobody had it, and may": {func(p *RingPlan, _ *Approval, t []Tally, _ *[]Evidence) {
			t[0], p.Rings[0].SkipEmpty, p.Rings[1].SkipEmpty = Tally{}, true, true
		}, RingWait, "found on 0 of 0 machines"},
		"only what it asks for": {func(p *RingPlan, _ *Approval, t []Tally, ev *[]Evidence) {
			p.Rings[1].Evidence, *ev = []Check{CheckRestart}, (*ev)[1:2]
			t[0].Installed = 1
		}, RingPromote, ""},
		"the pilot is asked first": {func(p *RingPlan, _ *Approval, _ []Tally, _ *[]Evidence) { p.Rings[0].SoakMinutes = 60 }, RingWait, "it soaks until"},
	} {
		p, a, tallies, ev, at := tested()
		c.edit(p, &a, tallies, &ev)
		if step, why := p.JudgeTested(a, tallies, ev, false, at); step != c.want || !strings.Contains(why, c.why) {
			t.Errorf("%s: %s, %s", name, step, why)
		}
	}
	p, a, tallies, _, at := tested()
	if step, why := p.JudgeTested(a, tallies, nil, true, at); step != RingWait {
		t.Errorf("promoted by hand without evidence: %s, %s", step, why)
	}
}

func TestRH11ARingNamesItsEvidenceInWords(t *testing.T) {
	r := Ring{Name: "broad", Groups: []string{"all"}, Evidence: []Check{CheckBusiness, CheckRollback}}
	if got := r.String(); got != "broad (groups all, opens with evidence of the business check and the rollback check)" {
		t.Error(got)
	}
}

func TestRH11ANewCheckTakesThePlaceOfTheOneOfBefore(t *testing.T) {
	_, a, tallies, ev, at := tested()
	bad := ev[0]
	bad.Passed, bad.At, bad.By = false, at.Add(time.Hour), "bob"
	now := Record(ev, bad)
	if s := EvidenceFor(a, now, tallies)[0]; s.OK || !strings.Contains(s.Text, "bob") || len(now) != 3 || len(ev) != 3 || !ev[0].Passed {
		t.Errorf("%+v of %+v", s, now)
	}
}

func TestRH11NobodyRecordsWhatMachinesReport(t *testing.T) {
	_, _, _, ev, _ := tested()
	for name, edit := range map[string]func(*Evidence){
		"effectiveness": func(e *Evidence) { e.Check = CheckEffectiveness }, "no check": func(e *Evidence) { e.Check = "" },
		"by nobody": func(e *Evidence) { e.By = " " }, "of nothing": func(e *Evidence) { e.Descriptor = content.ID{} },
		"a novel":  func(e *Evidence) { e.Note = strings.Repeat("x", MaxEvidenceText+1) },
		"a screen": func(e *Evidence) { e.Note = "\x1b[2J" },
	} {
		e := ev[0]
		edit(&e)
		if err := e.Validate(); !errors.Is(err, ErrFormat) && !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
	p, _, _, _, _ := tested()
	for _, bad := range [][]Check{{"beauty"}, {CheckRestart, CheckRestart}} {
		p.Rings[1].Evidence = bad
		if err := p.Validate(); !errors.Is(err, ErrFormat) {
			t.Errorf("a ring that asks for %v: %v", bad, err)
		}
	}
}

func FuzzRH11Evidence(f *testing.F) {
	f.Add([]byte(`[{"check":"business","descriptor":"","revision":1,"passed":true,"by":"x","at":"2026-01-01T00:00:00Z"}]`))
	f.Add([]byte(`[null]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		ev, err := DecodeEvidence(b)
		if err != nil {
			return
		}
		p, a, tallies, _, at := tested()
		if step, _ := p.JudgeTested(a, tallies, ev, false, at); step == RingPromote && len(ev) < 3 {
			t.Fatalf("promoted with %+v", ev)
		}
	})
}
