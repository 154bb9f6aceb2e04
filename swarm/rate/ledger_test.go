package rate

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestPeriodsTurnAtMidnightOfTheZone(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	b := Budget{Zone: berlin}
	for _, c := range []struct {
		at         string
		day, month int
		dayEnd     string
	}{
		{"2026-03-28T22:59:59Z", 20260328, 202603, "2026-03-28T23:00:00Z"},
		{"2026-03-28T23:00:00Z", 20260329, 202603, "2026-03-29T22:00:00Z"}, // a day of 23 hours
		{"2026-10-24T22:00:00Z", 20261025, 202610, "2026-10-25T23:00:00Z"}, // a day of 25 hours
		{"2026-12-31T22:59:59Z", 20261231, 202612, "2026-12-31T23:00:00Z"},
		{"2026-12-31T23:00:00Z", 20270101, 202701, "2027-01-01T23:00:00Z"},
	} {
		at, _ := time.Parse(time.RFC3339, c.at)
		p := b.Period(at)
		if p.Day != c.day || p.Month != c.month || p.DayEnd.UTC().Format(time.RFC3339) != c.dayEnd {
			t.Errorf("%s: day %d until %v, month %d", c.at, p.Day, p.DayEnd.UTC(), p.Month)
		}
		if next := b.Period(p.MonthEnd); next.Month == p.Month || b.Period(p.MonthEnd.Add(-time.Second)).Month != p.Month {
			t.Errorf("%s: the month ends at %v, in %d", c.at, p.MonthEnd.UTC(), next.Month)
		}
	}
}

func TestLedgerForgetsWhatIsOver(t *testing.T) {
	var b Budget
	today := b.Period(begin)
	var l Ledger
	l.Add(today, "m", 100)
	l.Add(today, "n", 10)
	if day, month := l.Sum(today); day != 110 || month != 110 {
		t.Errorf("today %d, this month %d", day, month)
	}
	tomorrow := b.Period(today.DayEnd)
	l.Add(tomorrow, "m", 1)
	if day, month := l.Sum(tomorrow); day != 1 || month != 111 {
		t.Errorf("the next day %d, this month %d", day, month)
	}
	later := b.Period(today.MonthEnd)
	if day, month := l.Sum(later); day != 0 || month != 0 {
		t.Errorf("the next month %d, %d", day, month)
	}
	if l.Prune(later); len(l) != 0 {
		t.Errorf("kept in the next month: %v", l)
	}
}

// However entries travel, doubled, late and in any order, all machines come to the same sums.
func TestLedgersMergeInAnyOrder(t *testing.T) {
	p := Budget{}.Period(begin)
	rng := rand.New(rand.NewPCG(7, 7))
	for range 200 {
		var own [4]Ledger
		var sent []Entry
		var want int64
		for range 50 {
			m, n := rng.IntN(4), rng.Int64N(1000)
			own[m].Add(p, string(rune('a'+m)), n)
			want += n
			sent = append(sent, own[m]...)
		}
		for m := range own {
			mine := append(slices.Clone(sent), sent[:10]...)
			rng.Shuffle(len(mine), func(i, j int) { mine[i], mine[j] = mine[j], mine[i] })
			for _, e := range mine {
				own[m].Merge(p, e)
			}
			if day, _ := own[m].Sum(p); day != want {
				t.Fatalf("machine %d comes to %d, %d were taken", m, day, want)
			}
		}
	}
}

func TestMergeIgnoresNonsense(t *testing.T) {
	p := Budget{}.Period(begin)
	var l Ledger
	l.Add(p, "m", 500)
	for name, e := range map[string]Entry{
		"less than is known":  {"m", p.Day, 400, p.Month, 400},
		"of another month":    {"m", p.Day, 900, p.Month + 1, 900},
		"negative":            {"m", p.Day, -900, p.Month, -900},
		"negative day":        {"m", p.Day, -1, p.Month, 900},
		"more than there are": {"m", p.Day, MaxEntryBytes + 1, p.Month, MaxEntryBytes + 1},
		"a day above a month": {"m", p.Day, 900, p.Month, 800},
		"of nobody":           {"", p.Day, 900, p.Month, 900},
	} {
		if l.Merge(p, e) {
			t.Errorf("%s was believed: %v", name, l)
		}
	}
	if !l.Merge(p, Entry{"m", p.Day - 1, 900, p.Month, 900}) {
		t.Error("yesterday's entry says nothing of this month")
	}
	if day, month := l.Sum(p); day != 500 || month != 900 {
		t.Errorf("today %d, this month %d", day, month)
	}
	for i := range 2 * MaxLedger {
		l.Merge(p, Entry{string(rune('A' + i)), p.Day, 1, p.Month, 1})
	}
	if len(l) > MaxLedger {
		t.Errorf("%d entries", len(l))
	}
}
