package policy

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// maxZone bounds the name of a zone, in bytes.
const maxZone = 64

// ParseZone reads where a machine says that its clock hangs: an IANA name, or an offset that never changes, such as
// UTC+05:30. A machine may write anything there: only what the zone database knows counts, and names are no paths.
func ParseZone(s string) (*time.Location, bool) {
	if sign, at, ok := fixedZone(s); ok {
		t, err := time.Parse("15:04", at)
		if err != nil || t.Hour() > 14 {
			return nil, false
		}
		return time.FixedZone(s, sign*(t.Hour()*3600+t.Minute()*60)), true
	}
	if !zoneForm(s) {
		return nil, false
	}
	z, err := time.LoadLocation(s)
	return z, err == nil
}

// zoneForm says whether a text could name a zone. Which ones there are is for each machine's zone database to say, and some are
// years older than that of the seed: what is signed already is held to the form alone, see Manifest.LostZones.
func zoneForm(s string) bool {
	return s != "" && s != "Local" && len(s) <= maxZone && // to Go the first two mean "UTC" and "this machine's"
		!strings.ContainsFunc(s, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/_+-", r))
		})
}

// LostZone is a zone that something signed for a machine names and that the machine does not know.
type LostZone struct {
	What string `json:"what"` // the window or the setting
	Zone string `json:"zone"`
}

// LostZones are the zones that are signed for a machine and that it does not know: neither its system's zone database has them nor
// the one inside this program. A window there stays closed, or it would open at the wrong time; the hours of a rate are read by the
// machine's own clock, and the days of a budget begin at midnight UTC.
func (m *Manifest) LostZones(mach Machine) []LostZone {
	if m == nil {
		return nil
	}
	out := slices.Clone(m.calendarFor(m.belongs(mach).in, mach).lost)
	for name, e := range m.Limits(mach) {
		for part := range strings.SplitSeq(e.Value, both) {
			if zone := lostIn(name, part); zone != "" {
				out = append(out, LostZone{name, zone})
			}
		}
	}
	slices.SortFunc(out, func(a, b LostZone) int {
		return cmp.Or(strings.Compare(a.What, b.What), strings.Compare(a.Zone, b.Zone))
	})
	return slices.Compact(out)
}

// lostIn is a zone that a limit names and that is not known here; empty: there is none.
func lostIn(name, value string) string {
	if name == SetBudgetDay || name == SetBudgetMonth {
		_, _, lost, _ := readAmount(value)
		return lost
	}
	rates, _ := readRates(value, time.UTC, true)
	for _, r := range rates {
		if r.Hours != nil && r.Hours.lost != "" {
			return r.Hours.lost
		}
	}
	return ""
}

// fixedZone takes UTC+hh:mm and UTC-hh:mm apart.
func fixedZone(s string) (sign int, at string, ok bool) {
	if at, ok = strings.CutPrefix(s, "UTC+"); ok && len(at) == 5 {
		return 1, at, true
	}
	if at, ok = strings.CutPrefix(s, "UTC-"); ok && len(at) == 5 {
		return -1, at, true
	}
	return 0, "", false
}

// ClockOf is where the clock of a machine hangs that reported this inventory; false: it did not tell, and local is
// assumed.
func (v *Inventory) ClockOf(local *time.Location) (*time.Location, bool) {
	if v != nil {
		if z, ok := ParseZone(v.Zone); ok {
			return z, true
		}
	}
	return local, false
}
