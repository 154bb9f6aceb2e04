package rate

import (
	"cmp"
	"slices"
	"time"
)

// Budget is what the machines of a site together may take from the WAN, in payload bytes. A zero amount
// is no limit. Days and months begin at midnight in Zone; nil: UTC.
type Budget struct {
	DayBytes   int64
	MonthBytes int64
	Zone       *time.Location
}

// Set says whether there is a limit at all.
func (b Budget) Set() bool { return b.DayBytes > 0 || b.MonthBytes > 0 }

// Period names the day and the month of an instant and says when they end.
type Period struct {
	Day, Month       int // 20261125, 202611
	DayEnd, MonthEnd time.Time
}

// Period is the one that now lies in.
func (b Budget) Period(now time.Time) Period {
	zone := b.Zone
	if zone == nil {
		zone = time.UTC
	}
	y, m, d := now.In(zone).Date()
	return Period{
		Day: y*10000 + int(m)*100 + d, Month: y*100 + int(m),
		DayEnd: time.Date(y, m, d+1, 0, 0, 0, 0, zone), MonthEnd: time.Date(y, m+1, 1, 0, 0, 0, 0, zone),
	}
}

// Entry is what one machine has taken in its last day and month.
type Entry struct {
	Machine    string `json:"machine"`
	Day        int    `json:"day"`
	DayBytes   int64  `json:"day_bytes"`
	Month      int    `json:"month"`
	MonthBytes int64  `json:"month_bytes"`
}

// Limits of a ledger. A site has fewer machines that fetch from the WAN; a machine that takes more than
// MaxEntryBytes in a month does not exist, and sums stay far from overflowing.
const (
	MaxLedger     = 1024
	MaxEntryBytes = 1 << 50
)

// Ledger is what the machines of a site have taken, sorted by machine. The zero value is empty.
type Ledger []Entry

// Add books n bytes that a machine has taken.
func (l *Ledger) Add(p Period, machine string, n int64) {
	e := l.entry(machine)
	if e == nil {
		return
	}
	e.turn(p)
	e.DayBytes, e.MonthBytes = e.DayBytes+n, e.MonthBytes+n
}

// Merge takes over what somebody says of a machine, as far as it is of the present day or month and
// larger than what is known; true if anything was. What makes no sense is ignored.
func (l *Ledger) Merge(p Period, said Entry) bool {
	day, month := said.DayBytes, said.MonthBytes
	if said.Day != p.Day {
		day = 0
	}
	if said.Month != p.Month {
		month = 0
	}
	if said.Machine == "" || min(day, month) < 0 || max(day, month) > MaxEntryBytes || day > month || month == 0 {
		return false
	}
	e := l.entry(said.Machine)
	if e == nil {
		return false
	}
	e.turn(p)
	if day <= e.DayBytes && month <= e.MonthBytes {
		return false
	}
	e.DayBytes, e.MonthBytes = max(e.DayBytes, day), max(e.MonthBytes, month)
	return true
}

// Sum is what all machines together have taken in the present day and month.
func (l Ledger) Sum(p Period) (day, month int64) {
	for _, e := range l {
		if e.Day == p.Day {
			day += e.DayBytes
		}
		if e.Month == p.Month {
			month += e.MonthBytes
		}
	}
	return day, month
}

// Prune forgets machines without a byte in the present month.
func (l *Ledger) Prune(p Period) {
	*l = slices.DeleteFunc(*l, func(e Entry) bool { return e.Month != p.Month || e.MonthBytes == 0 })
}

// turn begins the present day and month.
func (e *Entry) turn(p Period) {
	if e.Day != p.Day {
		e.Day, e.DayBytes = p.Day, 0
	}
	if e.Month != p.Month {
		e.Month, e.MonthBytes = p.Month, 0
	}
}

// entry finds or makes the entry of a machine; nil if the ledger is full of others.
func (l *Ledger) entry(machine string) *Entry {
	i, found := slices.BinarySearchFunc(*l, machine, func(e Entry, m string) int { return cmp.Compare(e.Machine, m) })
	if !found {
		if len(*l) >= MaxLedger {
			return nil
		}
		*l = slices.Insert(*l, i, Entry{Machine: machine})
	}
	return &(*l)[i]
}
