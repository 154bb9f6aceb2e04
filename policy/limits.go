package policy

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// How much machines of a group may move and store. These are settings like others, so they are signed, go by group, and
// the machine's own file may only be stricter. What holds where nobody signed anything is the machine's to say: its
// command line, then the default.

// The settings of limits. Those of rates are named after the class of link and the direction, as limit-wan-down.
const (
	setLimit        = "limit-"
	SetBudgetDay    = "wan-budget-day"
	SetBudgetMonth  = "wan-budget-month"
	SetStoreQuota   = "store-quota"
	SetStoreReserve = "store-reserve"
)

// SetLimit is the setting of the rate for a class of link (lan, site, wan) and a direction (down, up).
func SetLimit(class, dir string) string { return setLimit + class + "-" + dir }

// UsualSiteUp is what a machine sends to machines of other sites at most, in bytes per second, where nobody set a
// limit: a tenth of a common line. Its own site gains nothing by what it gives away, so the line is bounded from the
// first day. What a site takes from elsewhere it takes once, for itself, and nobody knows how fast its line is: that has
// no bound by default.
const UsualSiteUp = 100e6 / 8

// Rates without end, and words for them.
const (
	NoLimit       = -1
	rateUnlimited = "unlimited"
	rateOff       = "off"
	storeUsual    = "usual"
)

// Bounds of a rate, in bytes per second. Below the least one chunk would take more than half an hour.
const (
	leastRate = 128
	mostRate  = 1e12 / 8
	maxRates  = 8 // in one timetable, and timetables that hold together
)

var limitInfos = []SettingInfo{
	rateInfo("lan", "down", rateUnlimited, "how fast a machine takes chunks from machines of its own site"),
	rateInfo("lan", "up", rateUnlimited, "how fast it gives chunks to machines of its own site; on Wi-Fi 50Mbit where nothing is set"),
	rateInfo("site", "down", rateUnlimited, "how fast it takes chunks from machines of other sites"),
	rateInfo("site", "up", "100Mbit", "how fast it gives chunks to machines of other sites, but those in its own subnet, which share no line with it"),
	rateInfo("wan", "down", rateUnlimited, "how fast it takes chunks from seeds of other sites and from web hosts; off: not at all"),
	rateInfo("wan", "up", rateUnlimited, "how fast it gives chunks to seeds of other sites, and a seed to all other sites"),
	{SetBudgetDay, valueNone, "what machines of a site together may take over the WAN in a day, as 2GB or 2GB@Europe/Berlin, or none", noneOr(checkAmount), noneLoosestOf(byLess)},
	{SetBudgetMonth, valueNone, "the same in a month", noneOr(checkAmount), noneLoosestOf(byLess)},
	{SetStoreQuota, storeUsual, "what payloads may take of the disk, as 20GiB or 30%; usual: a fifth of it, at least 4 GiB; none: no bound. A seed goes by its own command line", checkRoom, byJoined(joinQuotas)},
	{SetStoreReserve, storeUsual, "what payloads leave free of the disk, as 2GiB or 10%; usual: 5 %, at most 1 GiB; none", checkRoom, byJoined(joinReserves)},
}

func rateInfo(class, dir, usual, text string) SettingInfo {
	mayBeOff := class == "wan" && dir == "down"
	check := func(s string) error { _, err := ParseRates(s, time.UTC, mayBeOff); return err }
	return SettingInfo{SetLimit(class, dir), usual, text + ", as 20Mbit or, by the hour, 20Mbit,2Mbit@Mon-Fri/08:00-18:00", check, byJoined(joinRates)}
}

// checkSigned is check for what is signed already: by a seed whose zone database is newer than the one here, see LostZones, or by
// one that still took 0 for no limit. Neither may cost a machine its approvals.
func (i SettingInfo) checkSigned(value string) (err error) {
	switch {
	case strings.HasPrefix(i.Name, setLimit):
		_, err = readRates(value, time.UTC, i.Name == SetLimit("wan", "down"))
	case (i.Name == SetBudgetDay || i.Name == SetBudgetMonth) && value != valueNone:
		_, _, _, err = readAmount(value)
	default:
		err = i.check(value)
	}
	return err
}

// TimedRate is a rate in bytes per second, or NoLimit; zero lets nothing pass. Hours nil: always.
type TimedRate struct {
	BytesPerSec int64
	Hours       *WeekHours
}

// parseSpeed reads one rate: 20Mbit, unlimited, or off. ErrFormat, for 0 too: some mean nothing by it and others no limit.
func parseSpeed(s string) (int64, error) {
	r, err := ReadSpeed(s)
	if err == nil && r == NoLimit && !strings.EqualFold(s, rateUnlimited) {
		return 0, fmt.Errorf("rate %.60q may mean two things: off lets nothing pass, unlimited everything: %w", s, ErrFormat)
	}
	return r, err
}

// ReadSpeed reads one rate that is signed already, or on a command line of before, where 0 has meant no limit. ErrFormat.
func ReadSpeed(s string) (int64, error) {
	if strings.EqualFold(s, rateOff) {
		return 0, nil
	}
	r, err := ParseRate(s)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%w: %w", err, ErrFormat)
	case r == 0 && (s == "0" || strings.EqualFold(s, rateUnlimited)):
		return NoLimit, nil
	case r < leastRate || r > mostRate:
		return 0, fmt.Errorf("rate %.60q is out of range; the least is 1kbit: %w", s, ErrFormat)
	}
	return r, nil
}

// ParseRates reads a timetable: rates with commas between them, each as RATE or RATE@DAYS/HH:MM-HH:MM[@ZONE]. A rate with
// hours counts within them instead of one without; outside of them, where none is without, nothing is said. Without a zone the
// hours are those of the machine's own clock, local. ErrFormat.
func ParseRates(s string, local *time.Location, mayBeOff bool) ([]TimedRate, error) {
	out, err := readRates(s, local, mayBeOff)
	if err != nil {
		return nil, err
	}
	for _, text := range splitRates(s) {
		speed, _, _ := strings.Cut(text, "@")
		if _, err := parseSpeed(speed); err != nil {
			return nil, err
		}
	}
	for _, r := range out {
		if r.Hours != nil && r.Hours.lost != "" {
			return nil, errLost(r.Hours.lost)
		}
	}
	return out, nil
}

// readRates reads what is signed already, see ReadSpeed and LostZones.
func readRates(s string, local *time.Location, mayBeOff bool) ([]TimedRate, error) {
	texts := splitRates(s)
	if len(texts) > maxRates {
		return nil, fmt.Errorf("%d rates, at most %d: %w", len(texts), maxRates, ErrFormat)
	}
	out := make([]TimedRate, 0, len(texts))
	for _, text := range texts {
		speed, hours, timed := strings.Cut(text, "@")
		r, err := ReadSpeed(speed)
		if err != nil {
			return nil, err
		}
		if r == 0 && !mayBeOff {
			return nil, fmt.Errorf("only limit-wan-down may be off: %w", ErrFormat)
		}
		t := TimedRate{BytesPerSec: r}
		if timed {
			h, err := readWeekHours(hours, local)
			if err != nil {
				return nil, err
			}
			t.Hours = &h
		}
		out = append(out, t)
	}
	return out, nil
}

// splitRates takes a timetable apart.
func splitRates(s string) (texts []string) {
	for part := range strings.SplitSeq(s, ",") {
		speed, _, _ := strings.Cut(part, "@")
		if _, err := ReadSpeed(speed); err != nil && len(texts) > 0 { // a comma between days
			texts[len(texts)-1] += "," + part
			continue
		}
		texts = append(texts, part)
	}
	return texts
}

// Timetables takes a value apart as it counts on a machine: of several that hold together the lowest counts at each
// instant.
func Timetables(value string, local *time.Location) (out [][]TimedRate) {
	for part := range strings.SplitSeq(value, both) {
		if t, err := readRates(part, local, true); err == nil {
			out = append(out, t)
		}
	}
	return out
}

// both stands between values that hold together since neither is stricter at all times. It is never signed.
const both = "&"

// leastMost is the least and the most that a timetable ever lets pass. Its hours are not read: zones are files, and
// timetables are compared for every plan.
func leastMost(s string) (least, most int64) {
	least, most = math.MaxInt64, 0
	always := false
	for _, text := range splitRates(s) {
		speed, _, timed := strings.Cut(text, "@")
		v, err := ReadSpeed(speed)
		switch {
		case err != nil:
			return 0, math.MaxInt64
		case v == NoLimit:
			v = math.MaxInt64
		}
		always = always || !timed
		least, most = min(least, v), max(most, v)
	}
	if !always {
		most = math.MaxInt64
	}
	return least, most
}

// byRates: a timetable is stricter that never lets through more than another one ever does.
func byRates(a, b string) int {
	least, most := leastMost(a)
	otherLeast, otherMost := leastMost(b)
	switch {
	case most <= otherLeast && otherMost <= least:
		return strings.Compare(a, b) // both are the same at all times: one spelling is enough
	case most <= otherLeast:
		return -1
	case otherMost <= least:
		return 1
	}
	return 0
}

func joinRates(a, b string) string {
	all := joined(a, b, byRates)
	if strings.Count(all, both) < maxRates {
		return all
	}
	lowest := int64(math.MaxInt64)
	for part := range strings.SplitSeq(all, both) {
		least, _ := leastMost(part)
		lowest = min(lowest, least)
	}
	if lowest == 0 {
		return rateOff
	}
	return strconv.FormatInt(lowest, 10)
}

func joinQuotas(a, b string) string { return joined(a, b, noneLoosestOf(byRoom)) }
func joinReserves(a, b string) string {
	return joined(a, b, noneLoosestOf(func(x, y string) int { return byRoom(y, x) }))
}

// joined are all values of two that hold together, but for those that another one makes needless.
func joined(a, b string, stricter func(a, b string) int) string {
	all := slices.Concat(strings.Split(a, both), strings.Split(b, both))
	slices.Sort(all)
	all = slices.Compact(all)
	kept := slices.DeleteFunc(slices.Clone(all), func(s string) bool {
		return slices.ContainsFunc(all, func(o string) bool { return o != s && stricter(o, s) < 0 })
	})
	return strings.Join(kept, both)
}

// byJoined: a value is stricter than another that adds nothing to it.
func byJoined(join func(a, b string) string) func(a, b string) int {
	return func(a, b string) int {
		switch j := join(a, b); {
		case join(a, a) == join(b, b):
			return 0
		case j == join(a, a):
			return -1
		case j == join(b, b):
			return 1
		}
		return 0
	}
}

// checkAmount accepts a size, and the zone in which its days begin.
func checkAmount(s string) error {
	_, _, lost, err := readAmount(s)
	if err == nil && lost != "" {
		err = errLost(lost)
	}
	return err
}

// ParseAmount reads a WAN budget that is signed: SIZE, or SIZE@ZONE where its days begin at midnight there. zone nil: not said, or
// not known here, see LostZones. ErrFormat.
func ParseAmount(s string) (bytes int64, zone *time.Location, err error) {
	bytes, zone, _, err = readAmount(s)
	return bytes, zone, err
}

func readAmount(s string) (bytes int64, zone *time.Location, lost string, err error) {
	size, name, zoned := strings.Cut(s, "@")
	if bytes, err = ParseSize(size); err != nil {
		return 0, nil, "", fmt.Errorf("%w: %w", err, ErrFormat)
	}
	if bytes <= 0 {
		return 0, nil, "", fmt.Errorf("a budget of nothing at all is limit-wan-down=off: %w", ErrFormat)
	}
	if !zoned {
		return bytes, nil, "", nil
	}
	zone, known := ParseZone(name)
	switch {
	case known:
		return bytes, zone, "", nil
	case !zoneForm(name):
		return 0, nil, "", errLost(name)
	}
	return bytes, nil, name, nil
}

func byLess(a, b string) int {
	x, _, _ := ParseAmount(a)
	y, _, _ := ParseAmount(b)
	return cmp.Compare(x, y)
}

func noneLoosestOf(others func(a, b string) int) func(a, b string) int {
	return wordFirst(valueNone, 1, others)
}

// Room is a bound of the store. The zero value is the usual one.
type Room struct {
	Bytes   int64 // negative: none
	Percent int   // of the file system, where it is not zero
}

// ParseRoom reads a bound of the store: a size, a share of the disk, usual, or none. ErrFormat.
func ParseRoom(s string) (Room, error) {
	share, isShare := strings.CutSuffix(s, "%")
	switch {
	case s == storeUsual:
		return Room{}, nil
	case s == valueNone:
		return Room{Bytes: -1}, nil
	case isShare:
		n, err := strconv.Atoi(strings.TrimSpace(share))
		if err != nil || n < 1 || n > 99 {
			return Room{}, fmt.Errorf("%.60q is no share of the disk from 1%% to 99%%: %w", s, ErrFormat)
		}
		return Room{Percent: n}, nil
	}
	n, err := ParseSize(s)
	if err != nil {
		return Room{}, fmt.Errorf("%w: %w", err, ErrFormat)
	}
	if n <= 0 {
		return Room{}, fmt.Errorf("%.60q leaves no room: %w", s, errors.Join(errNoRoom, ErrFormat))
	}
	return Room{Bytes: n}, nil
}

var errNoRoom = errors.New("give a size as 20GiB, a share as 30%, or none")

func checkRoom(s string) error { _, err := ParseRoom(s); return err }

// Rooms are the bounds of the store that hold together on a machine.
func Rooms(value string) (out []Room) {
	for part := range strings.SplitSeq(value, both) {
		if r, err := ParseRoom(part); err == nil {
			out = append(out, r)
		}
	}
	return out
}

// byRoom orders what can be compared without the disk: sizes, and shares.
func byRoom(a, b string) int {
	x, _ := ParseRoom(a)
	y, _ := ParseRoom(b)
	switch {
	case x.Percent > 0 && y.Percent > 0:
		return cmp.Or(cmp.Compare(x.Percent, y.Percent), strings.Compare(a, b))
	case x.Bytes > 0 && y.Bytes > 0:
		return cmp.Or(cmp.Compare(x.Bytes, y.Bytes), strings.Compare(a, b))
	}
	return 0
}

// Limits are the limits and gates that somebody has stated for a machine, by setting, in a group or in the machine's own file: all
// others are the machine's own to say.
func (m *Manifest) Limits(mach Machine) map[string]Effective {
	if m == nil || len(m.Settings) == 0 && len(mach.Local) == 0 || len(mach.Local) == 0 && m.onlyDeadlines() {
		return nil
	}
	out := map[string]Effective{}
	in := m.belongs(mach).in
	for _, e := range m.effectives(in, mach) {
		of := func(i SettingInfo) bool { return i.Name == e.Name }
		if !slices.ContainsFunc(limitInfos, of) && !slices.ContainsFunc(gateInfos, of) {
			continue
		}
		stated := e.Source == "local" || slices.ContainsFunc(m.Settings, func(s Setting) bool { // a group may be called default
			_, addressed := in[s.Group]
			return s.Name == e.Name && addressed
		})
		if stated {
			out[e.Name] = e
		}
	}
	return out
}
