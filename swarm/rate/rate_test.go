package rate

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"
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

func window(t *testing.T, text string) Window {
	t.Helper()
	w, err := ParseWindow(text, time.UTC, time.LoadLocation)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// The clocks of Berlin: 2026-03-29 02:00 becomes 03:00 and 2026-10-25 03:00 becomes 02:00.
func TestWindowFollowsTheWallClock(t *testing.T) {
	for _, c := range []struct {
		window, at string // UTC
		in         bool
	}{
		{"mon-fri/08:00-18:00@Europe/Berlin", "2026-03-27T07:00:00Z", true}, // Friday, winter: UTC+1
		{"mon-fri/08:00-18:00@Europe/Berlin", "2026-03-27T06:59:59Z", false},
		{"mon-fri/08:00-18:00@Europe/Berlin", "2026-03-27T16:59:59Z", true},
		{"mon-fri/08:00-18:00@Europe/Berlin", "2026-03-27T17:00:00Z", false},
		{"mon-fri/08:00-18:00@Europe/Berlin", "2026-03-30T06:00:00Z", true}, // Monday, summer: UTC+2
		{"mon-fri/08:00-18:00@Europe/Berlin", "2026-03-30T05:59:59Z", false},
		{"mon-fri/08:00-18:00@Europe/Berlin", "2026-03-30T16:00:00Z", false},
		{"mon-fri/08:00-18:00@Europe/Berlin", "2026-03-28T12:00:00Z", false}, // Saturday
		// What begins in the hour that is left out begins when the clocks change.
		{"daily/02:30-05:00@Europe/Berlin", "2026-03-29T00:59:59Z", false},
		{"daily/02:30-05:00@Europe/Berlin", "2026-03-29T01:00:00Z", true},
		{"daily/02:15-02:45@Europe/Berlin", "2026-03-29T01:00:00Z", false}, // all of it is left out
		// What lies in the hour that comes twice comes twice.
		{"daily/02:15-02:45@Europe/Berlin", "2026-10-25T00:20:00Z", true},
		{"daily/02:15-02:45@Europe/Berlin", "2026-10-25T00:50:00Z", false},
		{"daily/02:15-02:45@Europe/Berlin", "2026-10-25T01:20:00Z", true},
		{"daily/02:15-02:45@Europe/Berlin", "2026-10-25T01:50:00Z", false},
		// Over midnight, named for the day on which it begins.
		{"fri/22:00-06:00@UTC", "2026-03-27T22:00:00Z", true},
		{"fri/22:00-06:00@UTC", "2026-03-28T05:59:59Z", true},
		{"fri/22:00-06:00@UTC", "2026-03-28T06:00:00Z", false},
		{"fri/22:00-06:00@UTC", "2026-03-27T05:00:00Z", false},
		{"00:00-24:00@UTC", "2026-03-27T23:59:59Z", true},
		{"sat-mon/00:00-00:00@UTC", "2026-03-29T13:00:00Z", true},
		{"sat-mon/00:00-00:00@UTC", "2026-03-31T13:00:00Z", false},
		{"mon/09:00-17:00@Asia/Kathmandu", "2026-03-30T03:15:00Z", true}, // UTC+5:45
		{"mon/09:00-17:00@Asia/Kathmandu", "2026-03-30T03:14:59Z", false},
		{"daily/12:00-13:00@America/St_Johns", "2026-01-05T15:30:00Z", true}, // UTC-3:30
	} {
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := window(t, c.window).Contains(at); got != c.in {
			t.Errorf("%s at %s: %v", c.window, c.at, got)
		}
	}
}

// Next misses no change: between two of its instants the answer is the same at every minute, over the
// changes of the clocks of a year too.
func TestNextMissesNoChange(t *testing.T) {
	for _, text := range []string{
		"mon-fri/08:00-18:00@Europe/Berlin", "daily/02:15-02:45@Europe/Berlin", "daily/02:30-05:00@America/New_York", "sun/22:00-03:30@Australia/Lord_Howe",
		"00:00-24:00@Asia/Kathmandu", "sat/00:00-00:00@America/St_Johns", "daily/23:30-00:30@Africa/Casablanca",
	} {
		w := window(t, text)
		for _, from := range []string{"2026-03-01T00:00:00Z", "2026-10-20T00:00:30Z"} {
			at, _ := time.Parse(time.RFC3339, from)
			end := at.AddDate(0, 0, 45)
			for at.Before(end) {
				next := w.Next(at)
				if !next.After(at) || next.Sub(at) > 25*time.Hour {
					t.Fatalf("%s: the next instant after %v is %v", text, at, next)
				}
				for m := at; m.Before(next); m = m.Add(time.Minute) {
					if w.Contains(m) != w.Contains(at) {
						t.Fatalf("%s: %v and %v differ, the next instant is %v", text, at, m, next)
					}
				}
				at = next
			}
		}
	}
}

func TestParseWindowRefuses(t *testing.T) {
	for _, bad := range []string{
		"", "08:00", "8-18", "08:00-25:00", "08:60-09:00", "-1:00-02:00", "24:01-01:00", "mon-fry/08:00-18:00", "/08:00-18:00", "mon,/08:00-18:00",
		"08:00-18:00@", "08:00-18:00@Europe/Nowhere", "08:00-18:00@Local", "08:00-18:00@../../etc/passwd", "mon/08:00-18:00/09:00", "08:00-18:00-19:00",
		"mon mon/08:00-18:00", string(make([]byte, 4096)),
	} {
		if w, err := ParseWindow(bad, time.UTC, time.LoadLocation); !errors.Is(err, ErrWindow) {
			t.Errorf("%.40q: %v, %v", bad, w, err)
		}
	}
	for _, good := range []string{"daily/00:00-24:00@UTC", "mon,wed,sat/22:15-06:30@Europe/Berlin", "mon,tue,wed,thu,fri/08:00-18:00@UTC"} {
		if got := window(t, good).String(); got != good {
			t.Errorf("%s is written as %s", good, got)
		}
	}
}

func TestLimitsWithWindowsBeatThoseWithout(t *testing.T) {
	office, night := window(t, "mon-fri/08:00-18:00@UTC"), window(t, "daily/22:00-06:00@UTC")
	ls := Limits{
		{WAN, Down, 1000, nil}, {WAN, Down, 2000, nil}, {WAN, Down, 100, &office}, {WAN, Down, 9000, &night}, {WAN, Down, 0, &Window{[7]bool{true}, 0, 0, time.UTC}}, {LAN, Up, 50, nil},
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
		r, until := ls.At(WAN, Down, at)
		if r != c.want || until.UTC().Format(time.RFC3339) != c.until {
			t.Errorf("at %s: %d until %v, want %d until %s", c.at, r, until, c.want, c.until)
		}
	}
	if r, until := ls.At(LAN, Up, begin); r != 50 || !until.IsZero() {
		t.Errorf("a limit without a window: %d until %v", r, until)
	}
	if r, _ := ls.At(LAN, Down, begin); r != Unlimited {
		t.Errorf("no limit was set: %d", r)
	}
}

func FuzzParseWindow(f *testing.F) {
	f.Add("Mon-Fri/08:00-18:00@Europe/Berlin")
	f.Add("daily/22:00-06:00")
	f.Fuzz(func(t *testing.T, text string) {
		load := func(name string) (*time.Location, error) {
			if name == "UTC" {
				return time.UTC, nil
			}
			return nil, errors.New("unknown")
		}
		w, err := ParseWindow(text, time.UTC, load)
		if err != nil {
			return
		}
		if again, err := ParseWindow(w.String(), time.UTC, load); err != nil || again != w {
			t.Errorf("%q is written as %q and read as %v, %v", text, w, again, err)
		}
		if next := w.Next(begin); !next.After(begin) {
			t.Errorf("%q: the next instant is %v", text, next)
		}
	})
}
