package policy

import (
	"errors"
	"testing"
	"time"
)

func weekHours(t *testing.T, text string) WeekHours {
	t.Helper()
	w, err := ParseWeekHours(text, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// The clocks of Berlin: 2026-03-29 02:00 becomes 03:00 and 2026-10-25 03:00 becomes 02:00.
func TestWeekHoursFollowTheWallClock(t *testing.T) {
	for _, c := range []struct {
		hours, at string // UTC
		in        bool
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
		if got := weekHours(t, c.hours).Contains(at); got != c.in {
			t.Errorf("%s at %s: %v", c.hours, c.at, got)
		}
	}
}

// Next misses no change: between two of its instants the answer is the same at every minute, over the
// changes of the clocks of a year too.
func TestWeekHoursNextMissesNoChange(t *testing.T) {
	for _, text := range []string{
		"mon-fri/08:00-18:00@Europe/Berlin", "daily/02:15-02:45@Europe/Berlin", "daily/02:30-05:00@America/New_York", "sun/22:00-03:30@Australia/Lord_Howe",
		"00:00-24:00@Asia/Kathmandu", "sat/00:00-00:00@America/St_Johns", "daily/23:30-00:30@Africa/Casablanca",
	} {
		w := weekHours(t, text)
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

func TestParseWeekHoursRefuses(t *testing.T) {
	for _, bad := range []string{
		"", "08:00", "8-18", "08:00-25:00", "08:60-09:00", "-1:00-02:00", "24:01-01:00", "mon-fry/08:00-18:00", "/08:00-18:00", "mon,/08:00-18:00",
		"08:00-18:00@", "08:00-18:00@Europe/Nowhere", "08:00-18:00@Local", "08:00-18:00@../../etc/passwd", "mon/08:00-18:00/09:00", "08:00-18:00-19:00",
		"mon mon/08:00-18:00", string(make([]byte, 4096)),
	} {
		if w, err := ParseWeekHours(bad, time.UTC); !errors.Is(err, ErrFormat) {
			t.Errorf("%.40q: %v, %v", bad, w, err)
		}
	}
	for _, good := range []string{"daily/00:00-24:00@UTC", "mon,wed,sat/22:15-06:30@Europe/Berlin", "mon,tue,wed,thu,fri/08:00-18:00@UTC"} {
		if got := weekHours(t, good).String(); got != good {
			t.Errorf("%s is written as %s", good, got)
		}
	}
}

func FuzzParseWeekHours(f *testing.F) {
	f.Add("Mon-Fri/08:00-18:00@Europe/Berlin")
	f.Add("daily/22:00-06:00")
	f.Fuzz(func(t *testing.T, text string) {
		w, err := ParseWeekHours(text, time.UTC)
		if err != nil {
			return
		}
		if again, err := ParseWeekHours(w.String(), time.UTC); err != nil || again.String() != w.String() {
			t.Errorf("%q is written as %q and read as %v, %v", text, w, again, err)
		}
		if next := w.Next(time.Unix(1e9, 0)); !next.After(time.Unix(1e9, 0)) {
			t.Errorf("%q: the next instant is %v", text, next)
		}
	})
}
