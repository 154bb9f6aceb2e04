package inventory

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"patchmesh/policy"
)

// zoneOf names where this process's clock hangs, in the form of policy.ParseZone: the first of the names that the
// system tells by which the clock shows the same times as local; else, for a clock that is never set, its offset;
// else "". A name alone is not believed: the clock here is what local windows are opened by, and it is read once, when
// the program starts.
func zoneOf(names []string, local *time.Location, now time.Time) string {
	for _, name := range names {
		if z, ok := policy.ParseZone(name); ok && sameClock(z, local, now) {
			return name
		}
	}
	_, offset := now.In(local).Zone()
	sign, minutes := '+', offset/60
	if minutes < 0 {
		sign, minutes = '-', -minutes
	}
	fixed := fmt.Sprintf("UTC%c%02d:%02d", sign, minutes/60, minutes%60)
	if z, ok := policy.ParseZone(fixed); ok && sameClock(z, local, now) {
		return fixed
	}
	return ""
}

// sameClock: both show the same times, looked at for every third day of the two years around now.
func sameClock(a, b *time.Location, now time.Time) bool {
	for day := -366; day <= 366; day += 3 {
		at := now.AddDate(0, 0, day)
		_, x := at.In(a).Zone()
		_, y := at.In(b).Zone()
		if x != y {
			return false
		}
	}
	return true
}

// filesZones are the names that a system of files tells, the one that the program goes by first: TZ as tzset(3) has it,
// where /etc/localtime leads to, and what /etc/timezone says.
func filesZones(tz string, set bool, localtime, timezone string) []string {
	if set {
		if tz = strings.TrimPrefix(tz, ":"); tz == "" {
			return []string{"UTC"}
		}
		return []string{belowZoneinfo(tz)}
	}
	var names []string
	if to, err := os.Readlink(localtime); err == nil {
		names = append(names, belowZoneinfo(to))
	}
	if f, err := os.Open(timezone); err == nil {
		b, _ := io.ReadAll(io.LimitReader(f, 1<<10))
		_ = f.Close()
		name, _, _ := strings.Cut(string(b), "\n")
		names = append(names, strings.TrimSpace(name))
	}
	return names
}

// belowZoneinfo takes the name of a zone off the path of its file.
func belowZoneinfo(path string) string {
	if _, name, ok := strings.Cut(path, "/zoneinfo/"); ok {
		return name
	}
	return path
}
