package policy

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// nowhere has the form of a zone, and no zone database knows it: as one that was made last month looks to a machine of last year.
const nowhere = "America/Newtown"

// A zone that a machine does not know costs it neither its approvals nor what has nothing to do with that zone: a window there stays
// closed and says why, a limit holds by the machine's own clock, a budget by UTC. Whoever states such a zone is refused.
func TestAZoneThatAMachineLacksIsToldAndCostsNothingElse(t *testing.T) {
	wan := SetLimit("wan", "down")
	b := newBench(t)
	b.m.Groups = []Group{{Name: "branch"}, {Name: "night", Parent: "branch"}}
	b.approve(b.update("u", 1, nil), "all", ActionInstall, nil)
	lost := Window{ID: "w", Group: "branch", Rule: "FREQ=DAILY", From: "2026-01-01", At: "01:00", Zone: nowhere, Minutes: 60}
	b.m.Windows = []Window{lost}
	b.m.Settings = []Setting{{wan, "branch", "10Mbit,1Mbit@08:00-18:00@" + nowhere}, {SetBudgetDay, "branch", "2GB@" + nowhere}}
	m := grouped(t, b.m) // encoded and decoded, as every machine does it
	plan := func(groups ...string) Verdict {
		return MakePlan(m, b.describe, Machine{Groups: groups, Installers: []string{"file"}}, false, t0).Verdicts[0]
	}
	if v := plan(); v.Verb != VerbInstall {
		t.Errorf("a machine without windows: %+v", v)
	}
	if v := plan("branch"); v.Verb != VerbStage || v.Reason != ReasonWindowNone || !strings.Contains(v.Detail, nowhere) || !strings.Contains(v.Detail, "window w") {
		t.Errorf("a machine of that window: %+v", v)
	}
	want := []LostZone{{wan, nowhere}, {SetBudgetDay, nowhere}, {"window w", nowhere}}
	slices.SortFunc(want, func(a, b LostZone) int { return strings.Compare(a.What, b.What) })
	if got := m.LostZones(Machine{Groups: []string{"branch"}}); !slices.Equal(got, want) {
		t.Errorf("lost are %v", got)
	}
	if got := m.LostZones(Machine{}); len(got) > 0 {
		t.Errorf("a machine of none of it has lost %v", got)
	}
	limits := m.Limits(Machine{Groups: []string{"branch"}})
	own := time.FixedZone("own", 3600)
	if tables := Timetables(limits[wan].Value, own); len(tables) != 1 || len(tables[0]) != 2 || tables[0][1].Hours.Zone != own || tables[0][1].BytesPerSec != 1e6/8 {
		t.Errorf("the limit is %+v", tables)
	}
	if bytes, zone, err := ParseAmount(limits[SetBudgetDay].Value); bytes != 2e9 || zone != nil || err != nil {
		t.Errorf("the budget is %d, in %v, %v", bytes, zone, err)
	}
	known := lost // another window of the same machine opens all the same
	known.ID, known.Group, known.Zone = "x", "night", "UTC"
	b.m.Windows = []Window{lost, known}
	m = grouped(t, b.m)
	if v := plan("night"); v.Verb != VerbStage || v.Until.IsZero() {
		t.Errorf("a machine of another window too: %+v", v)
	}
	for _, err := range []error{lost.Validate(), b.m.Settings[0].Validate(), b.m.Settings[1].Validate()} {
		if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), nowhere) {
			t.Errorf("to state it: %v", err)
		}
	}
}

// What could never be a zone refuses the document, whatever the zone database has.
func TestWhatIsNoZoneRefusesTheDocument(t *testing.T) {
	for _, zone := range []string{"", "Local", "../../etc/passwd", "A B", "a\nb", strings.Repeat("a", 65)} {
		b := newBench(t)
		b.m.Windows = []Window{{ID: "w", Group: "all", Rule: "FREQ=DAILY", From: "2026-01-01", At: "01:00", Zone: zone, Minutes: 60}}
		if err := b.m.checkWindows(); !errors.Is(err, ErrFormat) {
			t.Errorf("a window in %q: %v", zone, err)
		}
		for _, s := range []Setting{{SetLimit("wan", "down"), "all", "1Mbit@08:00-18:00@" + zone}, {SetBudgetDay, "all", "2GB@" + zone}} {
			if err := (&Manifest{Settings: []Setting{s}}).checkSettings(); err == nil {
				t.Errorf("%s passes", s)
			}
		}
	}
}

// 0 is neither nothing nor everything to whoever states it. What was signed when it meant no limit goes on meaning that.
func TestC70NobodyHasToGuessWhatARateOfZeroMeans(t *testing.T) {
	s := Setting{SetLimit("wan", "down"), "all", "0"}
	for _, value := range []string{"0", "0@08:00-18:00", "1Mbit,0@08:00-18:00", "00", "0Mbit"} {
		s.Value = value
		if err := s.Validate(); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", s, err)
		}
	}
	s.Value = "0"
	if err := s.Validate(); err == nil || !strings.Contains(err.Error(), "off") || !strings.Contains(err.Error(), rateUnlimited) {
		t.Errorf("what to say instead is not told: %v", err)
	}
	if err := (&Manifest{Settings: []Setting{s}}).checkSettings(); err != nil {
		t.Errorf("signed before: %v", err)
	}
	if tables := Timetables("0", time.UTC); len(tables) != 1 || tables[0][0].BytesPerSec != NoLimit {
		t.Errorf("signed before it is %+v", tables)
	}
}
