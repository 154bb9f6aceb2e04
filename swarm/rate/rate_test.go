package rate

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"patchmesh/policy"
)

var begin = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// Whatever the size of the pieces and however late the waiting ends, a bucket that always has somebody
// waiting gives its rate, within 5 % over 10 s and within half of one over a minute.
func TestBucketKeepsItsRate(t *testing.T) {
	for _, c := range []struct {
		rate  Rate
		piece int64
		late  time.Duration
	}{
		{1250e3, 16 << 10, 0}, {1250e3, 16 << 10, 20 * time.Millisecond}, {1250e3, 60 << 10, 3 * time.Millisecond},
		{125e6, 64 << 10, time.Millisecond}, {32e3, 4 << 10, 10 * time.Millisecond}, {1e9, 1 << 20, 0},
	} {
		for _, span := range []time.Duration{10 * time.Second, time.Minute} {
			rng := rand.New(rand.NewPCG(1, uint64(c.rate)))
			b, now, passed := NewBucket(begin, c.rate), begin, int64(0)
			for now.Before(begin.Add(span)) {
				if ready, wait := b.Ready(now); !ready {
					now = now.Add(wait)
					if c.late > 0 {
						now = now.Add(time.Duration(rng.Int64N(int64(c.late))))
					}
					continue
				}
				b.Take(now, c.piece)
				passed += c.piece
			}
			off := float64(passed)/(float64(c.rate)*span.Seconds()) - 1
			if most := map[time.Duration]float64{10 * time.Second: 0.05, time.Minute: 0.01}[span]; math.Abs(off) > most {
				t.Errorf("%d B/s in pieces of %d, %v late: %+.2f %% over %v", c.rate, c.piece, c.late, 100*off, span)
			}
		}
	}
}

func TestBucketOwesAndSaves(t *testing.T) {
	b := NewBucket(begin, 1000)
	b.Take(begin, 5000)
	if ready, wait := b.Ready(begin); ready || wait < 5*time.Second || wait > 5*time.Second+time.Millisecond {
		t.Errorf("after 5,000 bytes at 1,000 B/s: ready %v in %v", ready, wait)
	}
	b.Set(begin, 5000) // owed bytes are paid at the new rate
	if _, wait := b.Ready(begin); wait > time.Second+time.Millisecond {
		t.Errorf("at the new rate: %v", wait)
	}
	b.GiveBack(5000)
	if ready, _ := b.Ready(begin); !ready {
		t.Error("what was given back is still owed")
	}
	later := begin.Add(time.Hour) // an idle hour is not saved up
	b.Ready(later)
	b.Take(later, 10000)
	if _, wait := b.Ready(later); wait < 1900*time.Millisecond {
		t.Errorf("an idle hour let a burst through: %v", wait)
	}
	b.Set(later, 0)
	if ready, wait := b.Ready(later.Add(time.Hour)); ready || wait >= 0 {
		t.Errorf("a rate of zero: ready %v in %v", ready, wait)
	}
	b.Set(later, Unlimited)
	b.Take(later, math.MaxInt64)
	if ready, _ := b.Ready(later); !ready {
		t.Error("without a limit something had to wait")
	}
}

func TestBucketAndAClockThatGoesBack(t *testing.T) {
	b := NewBucket(begin, 1000)
	b.Take(begin, 1000)
	past := begin.Add(-24 * time.Hour)
	if ready, wait := b.Ready(past); ready || wait > 1001*time.Millisecond {
		t.Errorf("ready %v in %v", ready, wait)
	}
	if ready, _ := b.Ready(past.Add(1001 * time.Millisecond)); !ready {
		t.Error("the bucket waits for the time that the clock lost")
	}
}

func window(t *testing.T, text string) policy.WeekHours {
	t.Helper()
	w, err := policy.ParseWeekHours(text, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestLimitsWithWindowsBeatThoseWithout(t *testing.T) {
	office, night := window(t, "mon-fri/08:00-18:00@UTC"), window(t, "daily/22:00-06:00@UTC")
	ls := Limits{
		{WAN, Down, 1000, nil}, {WAN, Down, 2000, nil}, {WAN, Down, 100, &office}, {WAN, Down, 9000, &night}, {WAN, Down, 0, &policy.WeekHours{Days: [7]bool{true}, Zone: time.UTC}}, {LAN, Up, 50, nil},
	}
	for _, c := range []struct {
		at    string
		want  Rate
		until string
	}{
		{"2026-03-02T07:00:00Z", 1000, "2026-03-02T08:00:00Z"},
		{"2026-03-02T09:00:00Z", 100, "2026-03-02T18:00:00Z"},
		{"2026-03-02T23:00:00Z", 9000, "2026-03-03T00:00:00Z"},
		{"2026-03-01T23:00:00Z", 0, "2026-03-02T00:00:00Z"}, // Sunday: nothing at all
	} {
		at, _ := time.Parse(time.RFC3339, c.at)
		r, said, until := ls.At(WAN, Down, at)
		if r != c.want || !said || until.UTC().Format(time.RFC3339) != c.until {
			t.Errorf("at %s: %d until %v, want %d until %s", c.at, r, until, c.want, c.until)
		}
	}
	if r, said, until := ls.At(LAN, Up, begin); r != 50 || !said || !until.IsZero() {
		t.Errorf("a limit without a window: %d until %v", r, until)
	}
	if r, said, _ := ls.At(LAN, Down, begin); r != Unlimited || said {
		t.Errorf("no limit was set: %d, said %v", r, said)
	}
	hours := Limits{{WAN, Down, 100, &office}}
	if r, said, until := hours.At(WAN, Down, begin); r != 100 || !said || until.Hour() != 18 {
		t.Errorf("within the hours: %d, said %v, until %v", r, said, until)
	}
	if r, said, until := hours.At(WAN, Down, begin.Add(8*time.Hour)); r != Unlimited || said || until.IsZero() {
		t.Errorf("outside the hours: %d, said %v, until %v", r, said, until)
	}
}
