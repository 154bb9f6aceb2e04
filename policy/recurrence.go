package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// recurrence says which days a window is on: the part of an iCalendar rule (RFC 5545, section 3.3.10)
// that maintenance needs. It is a question about one day, answered in constant time, and not a list that
// is unrolled from its beginning: no rule, however old or odd, can keep a machine busy.
type recurrence struct {
	freq     string // DAILY, WEEKLY, MONTHLY, YEARLY
	interval int
	days     []weekday
	monthDay []int // 1 to 31, or -1 to -31 from the end
	months   []time.Month
	until    civil // last day on which it may be; zero: for ever
}

// weekday is one entry of BYDAY: nth is its place in the month, negative from the end, zero for every one.
type weekday struct {
	nth int
	day time.Weekday
}

// civil is a day of the calendar, anywhere: its number since 1970-01-01, which is day 0.
type civil int

const secondsPerDay = 86400

func civilOf(t time.Time) civil {
	y, m, d := t.Date()
	return civil(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / secondsPerDay)
}

func (c civil) utc() time.Time { return time.Unix(int64(c)*secondsPerDay, 0).UTC() }

// monday is the first day of c's week.
func (c civil) monday() civil { return c - civil((int(c.utc().Weekday())+6)%7) }

var weekdays = map[string]time.Weekday{
	"SU": time.Sunday, "MO": time.Monday, "TU": time.Tuesday, "WE": time.Wednesday, "TH": time.Thursday, "FR": time.Friday, "SA": time.Saturday,
}

// parseRecurrence reads FREQ, INTERVAL, BYDAY, BYMONTHDAY, BYMONTH, UNTIL and WKST=MO. What it does not
// know is an error: a part that is passed over would open a window on days that nobody meant.
func parseRecurrence(s string) (recurrence, error) {
	r := recurrence{interval: 1}
	if len(s) > maxRuleBytes {
		return r, fmt.Errorf("rule of %d bytes: %w", len(s), ErrTooLarge)
	}
	seen := map[string]bool{}
	for part := range strings.SplitSeq(strings.TrimPrefix(s, "RRULE:"), ";") {
		name, value, _ := strings.Cut(part, "=")
		if seen[name] {
			return r, fmt.Errorf("rule %q says %s twice: %w", s, name, ErrFormat)
		}
		seen[name] = true
		if err := r.part(name, value); err != nil {
			return r, fmt.Errorf("rule %q: %w", s, err)
		}
	}
	if err := r.check(); err != nil {
		return r, fmt.Errorf("rule %q: %w", s, err)
	}
	return r, nil
}

func (r *recurrence) part(name, value string) error {
	var err error
	switch name {
	case "FREQ":
		if r.freq = value; !slices.Contains([]string{"DAILY", "WEEKLY", "MONTHLY", "YEARLY"}, value) {
			return fmt.Errorf("FREQ=%s is none of DAILY, WEEKLY, MONTHLY, YEARLY: %w", value, ErrFormat)
		}
	case "INTERVAL":
		r.interval, err = ruleNumber(value, 1, 1000)
	case "BYDAY":
		for day := range strings.SplitSeq(value, ",") {
			w, err := parseWeekday(day)
			if err != nil {
				return err
			}
			r.days = append(r.days, w)
		}
	case "BYMONTHDAY":
		for day := range strings.SplitSeq(value, ",") {
			n, err := ruleNumber(day, -31, 31)
			if err != nil {
				return err
			}
			r.monthDay = append(r.monthDay, n)
		}
	case "BYMONTH":
		for month := range strings.SplitSeq(value, ",") {
			n, err := ruleNumber(month, 1, 12)
			if err != nil {
				return err
			}
			r.months = append(r.months, time.Month(n))
		}
	case "UNTIL":
		day, _, _ := strings.Cut(value, "T")
		t, parsed := time.Parse("20060102", day)
		if err = parsed; err == nil {
			r.until = civilOf(t)
		}
	case "WKST":
		if value != "MO" {
			return fmt.Errorf("weeks begin on Monday here, WKST=%s is not known: %w", value, ErrFormat)
		}
	default:
		return fmt.Errorf("%q is not known here (FREQ, INTERVAL, BYDAY, BYMONTHDAY, BYMONTH, UNTIL are): %w", name, ErrFormat)
	}
	if err != nil {
		return fmt.Errorf("%s=%s: %w", name, value, ErrFormat)
	}
	return nil
}

// ruleNumber reads a whole number other than zero between two bounds.
func ruleNumber(s string, least, most int) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n == 0 || n < least || n > most {
		return 0, fmt.Errorf("number %.10q is not between %d and %d: %w", s, least, most, ErrFormat)
	}
	return n, nil
}

func parseWeekday(s string) (weekday, error) {
	if len(s) < 2 || len(s) > 4 {
		return weekday{}, fmt.Errorf("day %.10q: %w", s, ErrFormat)
	}
	day, known := weekdays[s[len(s)-2:]]
	if !known {
		return weekday{}, fmt.Errorf("day %q: %w", s, ErrFormat)
	}
	w := weekday{day: day}
	if nth := s[:len(s)-2]; nth != "" {
		n, err := ruleNumber(nth, -5, 5)
		if err != nil {
			return weekday{}, err
		}
		w.nth = n
	}
	return w, nil
}

// check refuses combinations whose meaning is not plain.
func (r *recurrence) check() error {
	counted := slices.ContainsFunc(r.days, func(w weekday) bool { return w.nth != 0 })
	switch {
	case r.freq == "":
		return fmt.Errorf("FREQ is missing: %w", ErrFormat)
	case counted && r.freq != "MONTHLY" && r.freq != "YEARLY":
		return fmt.Errorf("a day with a number, like 2TU, needs FREQ=MONTHLY: %w", ErrFormat)
	case r.freq == "WEEKLY" && len(r.monthDay) > 0:
		return fmt.Errorf("BYMONTHDAY does not go with FREQ=WEEKLY: %w", ErrFormat)
	case r.freq == "YEARLY" && len(r.months) == 0 && len(r.days)+len(r.monthDay) > 0:
		return fmt.Errorf("FREQ=YEARLY with days needs BYMONTH: %w", ErrFormat)
	}
	return nil
}

// on says whether the rule, counted from its first day, names a day.
func (r *recurrence) on(day, first civil) bool {
	if day < first || (r.until != 0 && day > r.until) {
		return false
	}
	at, from := day.utc(), first.utc()
	if len(r.months) > 0 && !slices.Contains(r.months, at.Month()) {
		return false
	}
	switch r.freq {
	case "DAILY":
		return int(day-first)%r.interval == 0 && r.onWeekday(at) && r.onMonthDay(at)
	case "WEEKLY":
		if int(day.monday()-first.monday())/7%r.interval != 0 {
			return false
		}
		if len(r.days) == 0 {
			return at.Weekday() == from.Weekday()
		}
		return r.onWeekday(at)
	case "MONTHLY":
		months := (at.Year()-from.Year())*12 + int(at.Month()) - int(from.Month())
		return months%r.interval == 0 && r.onDayOfMonth(at, from)
	case "YEARLY":
		if len(r.months) == 0 && at.Month() != from.Month() {
			return false
		}
		return (at.Year()-from.Year())%r.interval == 0 && r.onDayOfMonth(at, from)
	}
	return false
}

// onDayOfMonth: without days of its own a rule means the day of its first occurrence; months that have no
// such day are passed over, as RFC 5545 says.
func (r *recurrence) onDayOfMonth(at, from time.Time) bool {
	if len(r.days)+len(r.monthDay) == 0 {
		return at.Day() == from.Day()
	}
	return r.onWeekday(at) && r.onMonthDay(at)
}

func (r *recurrence) onWeekday(at time.Time) bool {
	if len(r.days) == 0 {
		return true
	}
	fromEnd := daysIn(at) - at.Day()
	return slices.ContainsFunc(r.days, func(w weekday) bool {
		switch {
		case w.day != at.Weekday():
			return false
		case w.nth > 0:
			return (at.Day()-1)/7+1 == w.nth
		case w.nth < 0:
			return fromEnd/7+1 == -w.nth
		}
		return true
	})
}

func (r *recurrence) onMonthDay(at time.Time) bool {
	if len(r.monthDay) == 0 {
		return true
	}
	return slices.Contains(r.monthDay, at.Day()) || slices.Contains(r.monthDay, at.Day()-daysIn(at)-1)
}

// daysIn is the length of the month.
func daysIn(at time.Time) int {
	return time.Date(at.Year(), at.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day()
}
