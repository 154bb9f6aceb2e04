package policy

import (
	"strings"
	"time"
)

// maxZone bounds the name of a zone, in bytes.
const maxZone = 64

// ParseZone reads where a machine says that its clock hangs: an IANA name, or an offset that never changes, such as
// UTC+05:30. A machine may write anything there: only what the zone database knows counts, and names are no paths.
func ParseZone(s string) (*time.Location, bool) {
	if s == "" || s == "Local" || len(s) > maxZone { // to Go these mean "UTC" and "this machine's"
		return nil, false
	}
	if sign, at, ok := fixedZone(s); ok {
		t, err := time.Parse("15:04", at)
		if err != nil || t.Hour() > 14 {
			return nil, false
		}
		return time.FixedZone(s, sign*(t.Hour()*3600+t.Minute()*60)), true
	}
	if strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/_+-", r))
	}) {
		return nil, false
	}
	z, err := time.LoadLocation(s)
	return z, err == nil
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
