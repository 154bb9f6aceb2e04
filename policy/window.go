package policy

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"time"
	_ "time/tzdata" // machines without a zone database must come to the same answers
)

// Window is a recurring time in which the machines of a group may be changed. A machine that is
// addressed by windows changes nothing outside their union; one that is addressed by none may do so at
// any time. Bytes may be fetched at any time.
type Window struct {
	ID    string `json:"id"`
	Group string `json:"group"`
	Rule  string `json:"rule"` // RFC 5545: FREQ=MONTHLY;BYDAY=2TU
	From  string `json:"from"` // first day, 2006-01-02; weeks and months of INTERVAL count from it
	At    string `json:"at"`   // local time at which it opens, 15:04
	Zone  string `json:"zone"` // IANA name, or "local": where the machine is
	// OffsetDays moves each opening: with 3, "the second Tuesday" becomes the Friday after it.
	OffsetDays int `json:"offset_days,omitempty"`
	Minutes    int `json:"minutes"` // how long it is open, in elapsed time: 5 to 1440
	// SpreadMinutes lets each machine begin a while of its own after the opening, up to so long, so that a
	// fleet does not begin all at once.
	SpreadMinutes int `json:"spread_minutes,omitempty"`
}

// Limits of windows. The horizon covers the longest pause of a calendar: 29 February, across a year like
// 2100.
const (
	ZoneLocal         = "local"
	maxWindows        = 2000
	maxRuleBytes      = 256
	minWindowMinutes  = 5
	maxWindowMinutes  = 24 * 60
	maxOffsetDays     = 27
	windowHorizonDays = 9 * 366
	maxOpenTogether   = 31 * day // windows that touch are one, up to so long
	maxSpansLooked    = 400
)

// Validate says what is wrong with a window, for the one who writes it. ErrFormat, ErrTooLarge.
func (w *Window) Validate() error {
	if _, err := w.parse(); err != nil {
		return err
	}
	_, err := w.location(time.UTC)
	return err
}

// parsedWindow is a window ready to be asked.
type parsedWindow struct {
	*Window
	rule         recurrence
	first        civil
	hour, minute int
}

func (w *Window) parse() (parsedWindow, error) {
	p := parsedWindow{Window: w}
	if err := checkName("window", w.ID); err != nil {
		return p, err
	}
	if err := checkName("group", w.Group); err != nil {
		return p, fmt.Errorf("window %s: %w", w.ID, err)
	}
	var err error
	if p.rule, err = parseRecurrence(w.Rule); err != nil {
		return p, fmt.Errorf("window %s: %w", w.ID, err)
	}
	from, err := time.Parse(time.DateOnly, w.From)
	if err != nil {
		return p, fmt.Errorf("window %s: first day %.20q is not like 2026-01-31: %w", w.ID, w.From, ErrFormat)
	}
	p.first = civilOf(from)
	at, err := time.Parse("15:04", w.At)
	if err != nil {
		return p, fmt.Errorf("window %s: time %.20q is not like 01:30: %w", w.ID, w.At, ErrFormat)
	}
	p.hour, p.minute = at.Hour(), at.Minute()
	switch {
	case w.Minutes < minWindowMinutes || w.Minutes > maxWindowMinutes:
		return p, fmt.Errorf("window %s of %d minutes, it may have %d to %d: %w", w.ID, w.Minutes, minWindowMinutes, maxWindowMinutes, ErrFormat)
	case w.OffsetDays < 0 || w.OffsetDays > maxOffsetDays:
		return p, fmt.Errorf("window %s moved by %d days, at most %d: %w", w.ID, w.OffsetDays, maxOffsetDays, ErrFormat)
	case w.SpreadMinutes < 0 || w.SpreadMinutes > w.Minutes:
		return p, fmt.Errorf("window %s of %d minutes is spread over %d: %w", w.ID, w.Minutes, w.SpreadMinutes, ErrFormat)
	}
	if !zoneForm(w.Zone) {
		return p, fmt.Errorf("window %s: zone %.70q: %w", w.ID, w.Zone, ErrFormat)
	}
	return p, nil
}

// location is where the window's clock hangs.
func (w *Window) location(local *time.Location) (*time.Location, error) {
	if w.Zone == ZoneLocal {
		return local, nil
	}
	loc, err := time.LoadLocation(w.Zone)
	if err != nil || !zoneForm(w.Zone) {
		return nil, fmt.Errorf("window %s: zone %q is not known: %w", w.ID, w.Zone, ErrFormat)
	}
	return loc, nil
}

func (m *Manifest) checkWindows() error {
	if len(m.Windows) > maxWindows {
		return fmt.Errorf("%d windows: %w", len(m.Windows), ErrTooLarge)
	}
	for i := range m.Windows {
		w := &m.Windows[i]
		if _, err := w.parse(); err != nil { // a zone that is not known here must not cost a machine its approvals
			return err
		}
		if i > 0 && m.Windows[i-1].ID >= w.ID {
			return fmt.Errorf("window %s is out of order or double: %w", w.ID, ErrFormat)
		}
	}
	return nil
}

// span is a time between two instants; the end does not belong to it.
type span struct {
	from, until time.Time
	spread      time.Duration
}

// next is the first opening that ends after an instant.
func (p parsedWindow) next(after time.Time, loc *time.Location) (span, bool) {
	day := civilOf(after.In(loc)) - 2 // one of yesterday may reach until here; clocks are set back by a day at most
	for range windowHorizonDays {
		if p.rule.on(day-civil(p.OffsetDays), p.first) {
			from := instant(day, p.hour, p.minute, loc)
			s := span{from, from.Add(time.Duration(p.Minutes) * time.Minute), time.Duration(p.SpreadMinutes) * time.Minute}
			if s.until.After(after) {
				return s, true
			}
		}
		day++
	}
	return span{}, false
}

// instant is a local time as RFC 5545, section 3.3.5 reads it: one that comes twice is the first of the
// two, one that clocks leap over is read with the offset from before the leap.
func instant(day civil, hour, minute int, loc *time.Location) time.Time {
	wall := day.utc().Add(time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute)
	before, after := offsetAt(wall.Add(-24*time.Hour), loc), offsetAt(wall.Add(24*time.Hour), loc)
	early := wall.Add(-max(before, after))
	if offsetAt(early, loc) == max(before, after) {
		return early
	}
	late := wall.Add(-min(before, after))
	if offsetAt(late, loc) == min(before, after) {
		return late
	}
	return wall.Add(-before)
}

func offsetAt(t time.Time, loc *time.Location) time.Duration {
	_, seconds := t.In(loc).Zone()
	return time.Duration(seconds) * time.Second
}

// calendar is all windows that address one machine.
type calendar struct {
	windows []parsedWindow
	zones   []*time.Location
	lost    []LostZone // of windows that open nothing, since their zone is not known here
	machine string
}

// calendarFor picks the windows of the machine's groups. They were checked when the manifest was read;
// one that cannot be read all the same opens nothing, and its machine stays closed.
func (m *Manifest) calendarFor(in map[string]int, mach Machine) calendar {
	c := calendar{machine: mach.ID}
	local := mach.Zone
	if local == nil {
		local = time.UTC
	}
	for i := range m.Windows {
		w := &m.Windows[i]
		if _, addressed := in[w.Group]; !addressed {
			continue
		}
		p, err := w.parse()
		loc, zoneErr := w.location(local)
		if err != nil || zoneErr != nil {
			if err == nil {
				c.lost = append(c.lost, LostZone{"window " + w.ID, w.Zone})
			}
			p, loc = parsedWindow{Window: w, rule: recurrence{}}, time.UTC
		}
		c.windows, c.zones = append(c.windows, p), append(c.zones, loc)
	}
	return c
}

// next is the first time after an instant, or around it, in which at least one window is open.
func (c calendar) next(after time.Time) (span, bool) {
	var s span
	found := false
	for i, w := range c.windows {
		if o, ok := w.next(after, c.zones[i]); ok && (!found || o.from.Before(s.from)) {
			s, found = o, true
		}
	}
	for grown := found; grown && s.until.Sub(s.from) < maxOpenTogether; {
		grown = false
		for i, w := range c.windows {
			if o, ok := w.next(s.until, c.zones[i]); ok && !o.from.After(s.until) {
				s.until, grown = o.until, true
			}
		}
	}
	return s, found
}

// own is this machine's part of a span for work of some length: it begins a while of its own after the
// opening, as long as the work still fits. zero: the work does not fit at all.
func (c calendar) own(s span, need time.Duration) (span, bool) {
	room := s.until.Sub(s.from) - need
	if room < 0 {
		return span{}, false
	}
	return span{from: s.from.Add(min(room, c.turn(s))), until: s.until}, true
}

// turn is how long after the others that begin first this machine begins.
func (c calendar) turn(s span) time.Duration {
	if s.spread <= 0 {
		return 0
	}
	sum := sha256.Sum256([]byte(c.machine + "\x00" + s.from.UTC().Format(time.RFC3339)))
	return time.Duration(binary.BigEndian.Uint64(sum[:8]) % uint64(s.spread))
}

// fit is the first time, now or later, in which work of some length may run: it must be begun between from
// and until. Reason is why there is none.
func (c calendar) fit(need time.Duration, now time.Time) (span, Reason) {
	short, after := false, now
	for range maxSpansLooked {
		s, any := c.next(after)
		if !any {
			break
		}
		after = s.until
		o, fits := c.own(s, need)
		if fits && !now.After(o.until.Add(-need)) {
			return span{from: o.from, until: o.until.Add(-need)}, ""
		}
		short = short || !fits
	}
	if short {
		return span{}, ReasonWindowTooShort
	}
	return span{}, ReasonWindowNone
}

// Opening is a time in which a machine may be changed, for people.
type Opening struct {
	From    time.Time `json:"from"`
	Until   time.Time `json:"until"`
	Begins  time.Time `json:"begins"`  // when this machine begins; later than From where it is spread
	Windows []string  `json:"windows"` // the ones that are open in it
}

// Openings lists the next times in which a machine may be changed. none is true if no window addresses it,
// so that it may be changed at any time.
func (m *Manifest) Openings(mach Machine, now time.Time, most int) (list []Opening, none bool) {
	c := m.calendarFor(m.belongs(mach).in, mach)
	after := now
	for len(list) < most && len(c.windows) > 0 {
		s, any := c.next(after)
		if !any {
			break
		}
		after = s.until
		own, _ := c.own(s, 0)
		o := Opening{From: s.from.UTC(), Until: s.until.UTC(), Begins: own.from.UTC()}
		for i, w := range c.windows {
			if part, ok := w.next(s.from, c.zones[i]); ok && part.from.Before(s.until) {
				o.Windows = append(o.Windows, w.ID)
			}
		}
		slices.Sort(o.Windows)
		list = append(list, o)
	}
	return list, len(c.windows) == 0
}
