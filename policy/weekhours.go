package policy

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// WeekHours are hours of some days, by the wall clock of one zone. From and To are minutes after midnight;
// To at or before From means the next day, and the days are those on which it begins.
type WeekHours struct {
	Days     [7]bool // by time.Weekday
	From, To int
	Zone     *time.Location

	lost string // the zone that they name, which is not known here; Zone is the machine's own then
}

// maxHoursText bounds what ParseWeekHours looks at.
const maxHoursText = 128

// ParseWeekHours reads DAYS/HH:MM-HH:MM@ZONE: "Mon-Fri/08:00-18:00@Europe/Berlin". Days are names or ranges
// of names with commas between them, or "daily"; without days and slash it is daily. The zone may be left
// out: then it is local. ErrFormat.
func ParseWeekHours(text string, local *time.Location) (WeekHours, error) {
	w, err := readWeekHours(text, local)
	if err == nil && w.lost != "" {
		err = errLost(w.lost)
	}
	return w, err
}

func errLost(zone string) error { return fmt.Errorf("zone %.60q is not known: %w", zone, ErrFormat) }

// readWeekHours reads what is signed already, see LostZones.
func readWeekHours(text string, local *time.Location) (WeekHours, error) {
	w := WeekHours{Zone: local}
	if len(text) > maxHoursText {
		return w, fmt.Errorf("hours of %d characters: %w", len(text), ErrFormat)
	}
	rest, zone, zoned := strings.Cut(text, "@")
	if zoned {
		switch z, known := ParseZone(zone); {
		case known:
			w.Zone = z
		case !zoneForm(zone):
			return w, errLost(zone)
		default:
			w.lost = zone
		}
	}
	days, hours, some := strings.Cut(rest, "/")
	if !some {
		days, hours = "daily", rest
	}
	from, to, ok := strings.Cut(hours, "-")
	var errs [3]error
	w.From, errs[0] = parseClock(from)
	w.To, errs[1] = parseClock(to)
	w.Days, errs[2] = parseDays(days)
	if err := errors.Join(errs[:]...); err != nil || !ok {
		return w, fmt.Errorf("%q is not like Mon-Fri/08:00-18:00: %w", text, errors.Join(err, ErrFormat))
	}
	return w, nil
}

func parseClock(s string) (int, error) {
	h, m, ok := strings.Cut(s, ":")
	hour, err1 := strconv.ParseUint(h, 10, 8)
	minute, err2 := strconv.ParseUint(m, 10, 8)
	if !ok || err1 != nil || err2 != nil || minute > 59 || hour > 24 || hour == 24 && minute > 0 {
		return 0, fmt.Errorf("%.20q is no time of day", s)
	}
	return int(hour*60 + minute), nil
}

var hourDays = [7]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

func parseDays(s string) (days [7]bool, err error) {
	for part := range strings.SplitSeq(strings.ToLower(s), ",") {
		if part == "daily" {
			return [7]bool{true, true, true, true, true, true, true}, nil
		}
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		a, b := dayNamed(first), dayNamed(last)
		if a < 0 || b < 0 {
			return days, fmt.Errorf("%.20q is no day: mon, tue, wed, thu, fri, sat, sun or daily", part)
		}
		for d := a; ; d = (d + 1) % 7 {
			days[d] = true
			if d == b {
				break
			}
		}
	}
	return days, nil
}

func dayNamed(s string) int {
	for i, name := range hourDays {
		if s == name {
			return i
		}
	}
	return -1
}

// wall is the wall clock: the day of the week and minutes after midnight.
func (w WeekHours) wall(t time.Time) (day time.Weekday, minute int) {
	l := t.In(w.Zone)
	return l.Weekday(), l.Hour()*60 + l.Minute()
}

// Contains says whether t lies in them.
func (w WeekHours) Contains(t time.Time) bool {
	day, m := w.wall(t)
	if w.From < w.To {
		return w.Days[day] && w.From <= m && m < w.To
	}
	return w.Days[day] && m >= w.From || w.Days[(day+6)%7] && m < w.To
}

// Next is the first instant after t at which Contains may answer differently.
func (w WeekHours) Next(t time.Time) time.Time {
	_, m := w.wall(t)
	l := t.In(w.Zone)
	midnight := l.Add(-time.Duration(m)*time.Minute - time.Duration(l.Second())*time.Second - time.Duration(l.Nanosecond()))
	// Between two changes of the clocks the wall clock runs evenly, so these lie where they seem to; a
	// change of the clocks itself is an instant to look again.
	next := midnight.Add(24 * time.Hour)
	for _, b := range []int{w.From, w.To, w.From + 24*60, w.To + 24*60} {
		if at := midnight.Add(time.Duration(b) * time.Minute); at.After(t) && at.Before(next) {
			next = at
		}
	}
	if _, end := l.ZoneBounds(); !end.IsZero() && end.Before(next) {
		next = end
	}
	return next
}

// String writes them as ParseWeekHours reads them.
func (w WeekHours) String() string {
	var days []string
	for i := range 7 {
		if d := (i + 1) % 7; w.Days[d] {
			days = append(days, hourDays[d])
		}
	}
	name := strings.Join(days, ",")
	if len(days) == 7 {
		name = "daily"
	}
	return fmt.Sprintf("%s/%02d:%02d-%02d:%02d@%s", name, w.From/60, w.From%60, w.To/60, w.To%60, w.Zone)
}
