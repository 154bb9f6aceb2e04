package api

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"patchmesh/policy"
)

// Size is the text of a byte count in binary units with one decimal: "512 B", "64.0 MiB".
func Size(bytes int64) string {
	// The unsigned magnitude, since the smallest int64 has no positive counterpart.
	sign, mag := "", uint64(bytes)
	if bytes < 0 {
		sign, mag = "-", -mag
	}
	if mag < 1024 {
		return fmt.Sprintf("%s%d B", sign, mag)
	}
	v, unit := float64(mag)/1024, 0
	// 1023.95 would be printed as "1024.0": the next unit reads better.
	for v >= 1023.95 && unit < len("KMGTPE")-1 {
		v, unit = v/1024, unit+1
	}
	return fmt.Sprintf("%s%.1f %ciB", sign, v, "KMGTPE"[unit])
}

// Rate is the text of a rate in bytes per second: "12.0 MiB/s".
func Rate(bytesPerSec float64) string {
	if math.IsNaN(bytesPerSec) || bytesPerSec > math.MaxInt64 || bytesPerSec < 0 {
		return "? B/s"
	}
	return Size(int64(bytesPerSec)) + "/s"
}

// Duration is the text of a duration in its two largest units: "2 h 5 min", "45 s", "350 ms".
func Duration(d time.Duration) string {
	if d < 0 {
		if d == math.MinInt64 {
			d++ // its negation does not exist
		}
		return "-" + Duration(-d)
	}
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d/time.Millisecond)
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return twoUnits(d, time.Minute, "min", time.Second, "s")
	case d < 24*time.Hour:
		return twoUnits(d, time.Hour, "h", time.Minute, "min")
	}
	return twoUnits(d, 24*time.Hour, "d", time.Hour, "h")
}

func twoUnits(d, large time.Duration, largeName string, small time.Duration, smallName string) string {
	s := fmt.Sprintf("%d %s", d/large, largeName)
	if rest := d % large / small; rest > 0 {
		s += fmt.Sprintf(" %d %s", rest, smallName)
	}
	return s
}

// Ago says how long before now at was: "3 min ago", "now", "in 2 h" for the future, "never" for the
// zero time.
func Ago(at, now time.Time) string {
	d := now.Sub(at)
	switch {
	case at.IsZero():
		return "never"
	case d > -time.Second && d < time.Second:
		return "now"
	case d < 0:
		return "in " + Duration(-d)
	}
	return Duration(d) + " ago"
}

// ParseSize reads a byte count: "512", "64MiB", "10MB" (1000s), "1G" (1024s), "1.5 GiB".
func ParseSize(s string) (int64, error) { return policy.ParseSize(s) }

// ParseRate reads a rate as bytes per second: "50Mbit", "50Mbit/s", "6MB/s", "512KiB/s", "1000". The
// word "unlimited" and the rate 0 both give 0, which callers take as no limit.
func ParseRate(s string) (int64, error) { return policy.ParseRate(s) }

// Clean makes text from elsewhere safe to print on one line of a terminal or a page: control
// characters, direction overrides and invisible characters go, line breaks and tabs become spaces,
// bytes that are no UTF-8 become U+FFFD.
func Clean(s string) string {
	if plain(s) {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t' || unicode.In(r, unicode.Zl, unicode.Zp):
			return ' '
		// Cc holds ESC, which starts terminal commands; Cf holds the bidirectional overrides, which
		// make "exe.fdp" read as "pdf.exe", and zero-width characters, which make two names look alike.
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, string(utf8.RuneError)))
}

// CleanLines is Clean for text of several lines: line breaks stay.
func CleanLines(s string) string {
	lines := strings.Split(strings.ReplaceAll(s, "\r\n", "\n"), "\n")
	for i, l := range lines {
		lines[i] = Clean(l)
	}
	return strings.Join(lines, "\n")
}

func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
