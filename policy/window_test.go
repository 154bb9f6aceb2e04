package policy

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
)

// R-H1, C-57: the hours around changes of the clock and the ends of months are where other systems lose
// windows. The answers in the table come from another implementation (dateutil and zoneinfo).
func TestRH1WindowsOverClockChangesAndMonthEnds(t *testing.T) {
	b, err := os.ReadFile("testdata/windows.tsv")
	if err != nil {
		t.Fatal(err)
	}
	cases := 0
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		cases++
		f := strings.Split(strings.TrimSpace(line), "\t")
		offset, _ := strconv.Atoi(f[2])
		minutes, _ := strconv.Atoi(f[5])
		w := &Window{ID: "w", Group: "all", Rule: f[0], From: f[1], OffsetDays: offset, At: f[3], Zone: f[4], Minutes: minutes}
		p, err := w.parse()
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		loc, _ := w.location(nil)
		asked, err := time.Parse(time.RFC3339, f[6])
		if err != nil {
			t.Fatal(err)
		}
		got := "- -"
		if s, any := p.next(asked, loc); any {
			got = s.from.UTC().Format(time.RFC3339) + " " + s.until.UTC().Format(time.RFC3339)
		}
		if want := f[7] + " " + f[8]; got != want {
			t.Errorf("%s\ngot  %s", strings.TrimSpace(line), got)
		}
	}
	if cases < 200 {
		t.Errorf("only %d cases", cases)
	}
}

// openMinutes is a second, naive reading of windows: minute by minute, from the local clock alone.
func openMinutes(w Window, from time.Time, minutes int, loc *time.Location) []bool {
	open := make([]bool, minutes)
	p, _ := w.parse()
	for m := -maxWindowMinutes; m < minutes; m++ {
		at := from.Add(time.Duration(m) * time.Minute).In(loc)
		before := at.Add(-time.Minute)
		opens := at.Format("15:04") == w.At && at.Format("2006-01-02 15:04") != before.Format("2006-01-02 15:04")
		if !opens || !naiveOn(p.rule, at, w) {
			continue
		}
		for k := max(m, 0); k < min(m+w.Minutes, minutes); k++ {
			open[k] = true
		}
	}
	return open
}

// naiveOn lists the days of the rule's month and looks for this one.
func naiveOn(r recurrence, at time.Time, w Window) bool {
	first, _ := time.Parse(time.DateOnly, w.From)
	wanted := at.Format(time.DateOnly)
	for back := -1; back <= 1; back++ { // an offset may lead into the next month
		month := time.Date(at.Year(), at.Month()+time.Month(back), 1, 0, 0, 0, 0, time.UTC)
		count := map[time.Weekday]int{}
		for d := month; d.Month() == month.Month(); d = d.AddDate(0, 0, 1) {
			count[d.Weekday()]++
			if d.Before(first) {
				continue
			}
			for _, day := range r.days {
				if day.day == d.Weekday() && (day.nth == 0 || day.nth == count[d.Weekday()]) && d.AddDate(0, 0, w.OffsetDays).Format(time.DateOnly) == wanted {
					return true
				}
			}
		}
	}
	return false
}

// R-H1: over ten years, at random instants, a machine is told that it may begin exactly when a naive
// reading says that all the minutes it needs lie in open windows, and an opening that is promised is true.
func TestRH1WindowsAgreeWithANaiveReading(t *testing.T) {
	zones := []string{"Europe/Berlin", "Asia/Kathmandu", "America/St_Johns", "UTC"}
	rng := rand.New(rand.NewPCG(1, 2))
	for range soak(150, 3000) {
		w := Window{ID: "a", Group: "all", From: "2026-01-01", At: fmt.Sprintf("%02d:%02d", 4+rng.IntN(20), rng.IntN(60)), Zone: zones[rng.IntN(len(zones))], Minutes: 5 + rng.IntN(600)}
		w.Rule = []string{"FREQ=MONTHLY;BYDAY=2TU", "FREQ=WEEKLY;BYDAY=MO,TH", "FREQ=MONTHLY;BYDAY=1SA,3SA", "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR,SA,SU"}[rng.IntN(4)]
		w.OffsetDays = rng.IntN(5) * rng.IntN(2)
		v := w
		v.ID, v.At, v.Minutes = "b", "05:00", 5+rng.IntN(300)
		loc, err := time.LoadLocation(w.Zone)
		if err != nil {
			t.Fatal(err)
		}
		m := &Manifest{Windows: []Window{w, v}}
		c := m.calendarFor(map[string]int{"all": 0}, Machine{ID: "pc"})
		now := time.Date(2026+rng.IntN(10), 1, 1+rng.IntN(365), rng.IntN(24), rng.IntN(60), 0, 0, time.UTC)
		need := time.Duration(5+rng.IntN(400)) * time.Minute
		const look = 4 * 24 * 60
		a, b := openMinutes(w, now, look, loc), openMinutes(v, now, look, loc)
		run, want := 0, -1
		for i := range a {
			if run++; !a[i] && !b[i] {
				run = 0
			}
			if run == int(need/time.Minute) {
				want = i + 1 - run
				break
			}
		}
		s, never := c.fit(need, now)
		got := -1
		if never == "" && s.from.Before(now.Add(look*time.Minute-need)) {
			got = int(max(s.from.Sub(now), 0) / time.Minute)
		}
		if got != want {
			t.Fatalf("%+v and %+v, %s of work at %s: may begin after %d minutes, naively %d (%v %s)", w, v, need, now, got, want, s.from, never)
		}
	}
}

// R-H1: a window that is not what it seems opens nothing; it is refused where it is written.
func TestRH1WindowsThatAreNotPlainAreRefused(t *testing.T) {
	good := Window{ID: "w", Group: "all", Rule: "FREQ=DAILY", From: "2026-01-01", At: "01:00", Zone: "Europe/Berlin", Minutes: 60}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Window){
		"no frequency": func(w *Window) { w.Rule = "BYDAY=MO" }, "seconds": func(w *Window) { w.Rule = "FREQ=SECONDLY" },
		"count": func(w *Window) { w.Rule = "FREQ=DAILY;COUNT=3" }, "said twice": func(w *Window) { w.Rule = "FREQ=DAILY;FREQ=WEEKLY" },
		"zero interval": func(w *Window) { w.Rule = "FREQ=DAILY;INTERVAL=0" }, "day 32": func(w *Window) { w.Rule = "FREQ=MONTHLY;BYMONTHDAY=32" },
		"sixth Monday": func(w *Window) { w.Rule = "FREQ=MONTHLY;BYDAY=6MO" }, "second Tuesday weekly": func(w *Window) { w.Rule = "FREQ=WEEKLY;BYDAY=2TU" },
		"weeks of Sunday": func(w *Window) { w.Rule = "FREQ=WEEKLY;WKST=SU" }, "no such day": func(w *Window) { w.From = "2026-02-30" },
		"25 o'clock": func(w *Window) { w.At = "25:00" }, "nowhere": func(w *Window) { w.Zone = "Europe/Atlantis" }, "path as a zone": func(w *Window) { w.Zone = "../../etc/passwd" },
		"this machine's zone by Go's name": func(w *Window) { w.Zone = "Local" }, "no zone": func(w *Window) { w.Zone = "" },
		"four minutes": func(w *Window) { w.Minutes = 4 }, "longer than a day": func(w *Window) { w.Minutes = 1441 },
		"spread beyond its end": func(w *Window) { w.SpreadMinutes = 61 }, "moved back": func(w *Window) { w.OffsetDays = -1 },
		"no group": func(w *Window) { w.Group = "" }, "long rule": func(w *Window) { w.Rule = "FREQ=DAILY;BYMONTH=" + strings.Repeat("1,", 200) + "1" },
	} {
		w := good
		spoil(&w)
		if err := w.Validate(); !errors.Is(err, ErrFormat) && !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// C-59, C-75: with a spread, machines begin one after the other, all inside the window, each always at the
// same time of it.
func TestRH1SpreadMachinesBeginInsideTheWindow(t *testing.T) {
	m := &Manifest{Windows: []Window{{ID: "w", Group: "all", Rule: "FREQ=DAILY", From: "2026-01-01", At: "01:00", Zone: "UTC", Minutes: 120, SpreadMinutes: 60}}}
	day := time.Date(2026, 5, 5, 0, 0, 0, 0, time.UTC)
	begun := map[time.Time]int{}
	for i := range 200 {
		c := m.calendarFor(map[string]int{"all": 0}, Machine{ID: fmt.Sprint("pc", i)})
		s, never := c.fit(90*time.Minute, day)
		if never != "" || s.from.Before(day.Add(time.Hour)) || s.from.After(day.Add(90*time.Minute)) {
			t.Fatalf("begins at %s (%s)", s.from, never)
		}
		if again, _ := c.fit(90*time.Minute, s.from); !again.from.Equal(s.from) {
			t.Fatalf("first at %s, then at %s", s.from, again.from)
		}
		begun[s.from.Truncate(10*time.Minute)]++
	}
	for at, n := range begun {
		if n > 120 { // half of the spread does not fit: those all begin at the last moment
			t.Errorf("%d of 200 machines begin around %s", n, at)
		}
	}
	if len(begun) < 3 {
		t.Errorf("all begin at %v", begun)
	}
}

// FuzzWindow: whatever a window says, it is refused or answered, and what is answered lies in the future.
func FuzzWindow(f *testing.F) {
	f.Add("FREQ=MONTHLY;BYDAY=2TU", "2026-01-01", "02:30", "Europe/Berlin", 3, 60, int64(1774746000))
	f.Add("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", "2028-02-29", "00:00", "Pacific/Apia", 0, 1440, int64(0))
	f.Add("FREQ=WEEKLY;INTERVAL=1000;BYDAY=SU", "0001-01-01", "23:59", "UTC", 27, 5, int64(-1))
	f.Fuzz(func(t *testing.T, rule, from, at, zone string, offset, minutes int, unix int64) {
		w := &Window{ID: "w", Group: "all", Rule: rule, From: from, At: at, Zone: zone, OffsetDays: offset, Minutes: minutes}
		p, err := w.parse()
		if err != nil {
			return
		}
		loc, err := w.location(time.UTC)
		if err != nil {
			t.Fatalf("parsed, but %v", err)
		}
		now := time.Unix(unix%(1<<34), 0)
		if s, any := p.next(now, loc); any && (!s.until.After(now) || s.until.Sub(s.from) != time.Duration(minutes)*time.Minute) {
			t.Fatalf("asked at %s: open from %s until %s", now, s.from, s.until)
		}
	})
}

// An approver is shown every part of a manifest that differs: a part that is signed and not shown would be
// signed blindly.
func TestEveryPartOfAManifestIsShownToApprovers(t *testing.T) {
	shown := map[string]func(*Manifest){
		"Groups":    func(m *Manifest) { m.Groups = []Group{{Name: "g"}} },
		"Approvals": func(m *Manifest) { m.Approvals = []Approval{{Update: "u", Group: "all", Action: ActionInstall}} },
		"Holds":     func(m *Manifest) { m.Holds = []Hold{{ID: "h", Update: "u", Kind: "pause"}} },
		"HoldExceptions": func(m *Manifest) {
			m.HoldExceptions = []HoldException{{ID: "x", Hold: "h", Group: "all"}}
		},
		"Settings":  func(m *Manifest) { m.Settings = []Setting{{Name: "n"}} },
		"RingPlans": func(m *Manifest) { m.RingPlans = []RingPlan{{Name: "p"}} },
		"Windows":   func(m *Manifest) { m.Windows = []Window{{ID: "w", Group: "all"}} },
		"Baselines": func(m *Manifest) { m.Baselines = []Baseline{{Group: "all"}} },

		"Orchestrations": func(m *Manifest) {
			m.Orchestrations = []Orchestration{{Name: "o", Group: "all", Site: "s", Members: []OrchMember{{ID: "a", Name: "a"}}}}
		},
		"ApprovalRules": func(m *Manifest) { m.ApprovalRules = []ApprovalRule{{Name: "r"}} },
	}
	told := map[string]bool{"Format": true, "Org": true, "Epoch": true, "IssuedAt": true, "Delegations": true} // said of the draft as a whole, or as roles
	for i := range reflect.TypeFor[Manifest]().NumField() {
		name := reflect.TypeFor[Manifest]().Field(i).Name
		add := shown[name]
		if add == nil {
			if !told[name] {
				t.Errorf("%s of a manifest: nothing shows it", name)
			}
			continue
		}
		var m Manifest
		add(&m)
		c := decisions{}.diff(m.decisions(nil))
		if len(c) != 1 || !strings.HasPrefix(c[0].Text(), "+ ") || c[0].Op() != "add" {
			t.Fatalf("%s: shown as %+v", name, c)
		}
		back, err := decisions{}.apply(c)
		if err != nil || !reflect.DeepEqual(back.manifest(), &m) {
			t.Errorf("%s: the log does not lead back to it: %v", name, err)
		}
	}
}
