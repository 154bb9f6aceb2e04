package api

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxQuantityText bounds what ParseSize and ParseRate look at.
const maxQuantityText = 64

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

// sizeUnits follow the custom of the GNU tools: K, M, G count in 1024 as KiB, MiB, GiB do, while KB,
// MB, GB count in 1000.
var sizeUnits = map[string]float64{
	"": 1, "b": 1,
	"k": 1 << 10, "kib": 1 << 10, "kb": 1e3,
	"m": 1 << 20, "mib": 1 << 20, "mb": 1e6,
	"g": 1 << 30, "gib": 1 << 30, "gb": 1e9,
	"t": 1 << 40, "tib": 1 << 40, "tb": 1e12,
}

// ParseSize reads a byte count: "512", "64MiB", "10MB" (1000s), "1G" (1024s), "1.5 GiB". Letter case
// does not matter.
func ParseSize(s string) (int64, error) {
	v, err := parseQuantity(s, sizeUnits)
	if err != nil {
		return 0, fmt.Errorf("size %q: %w", Clean(clip(s)), err)
	}
	return v, nil
}

// rateUnits are bytes per second. Network rates count in 1000s, as links are sold.
var rateUnits = map[string]float64{
	"bit": 1. / 8, "kbit": 1e3 / 8, "mbit": 1e6 / 8, "gbit": 1e9 / 8,
	"bps": 1. / 8, "kbps": 1e3 / 8, "mbps": 1e6 / 8, "gbps": 1e9 / 8,
}

// ParseRate reads a rate as bytes per second: "50Mbit", "50Mbit/s", "6MB/s", "512KiB/s", "1000". The
// word "unlimited" and the rate 0 both give 0, which callers take as no limit.
func ParseRate(s string) (int64, error) {
	t := strings.TrimSpace(s)
	if strings.EqualFold(t, "unlimited") {
		return 0, nil
	}
	t = strings.TrimSuffix(strings.TrimSuffix(t, "/s"), "/S")
	v, err := parseQuantity(t, rateUnits)
	if err != nil {
		v, err = parseQuantity(t, sizeUnits)
	}
	if err != nil {
		return 0, fmt.Errorf("rate %q: %w", Clean(clip(s)), err)
	}
	return v, nil
}

func parseQuantity(s string, units map[string]float64) (int64, error) {
	s = strings.TrimSpace(s)
	if s == "" || len(s) > maxQuantityText {
		return 0, fmt.Errorf("want a number and a unit")
	}
	cut := strings.IndexFunc(s, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	if cut < 0 {
		cut = len(s)
	}
	factor, ok := units[strings.ToLower(strings.TrimSpace(s[cut:]))]
	if !ok {
		return 0, fmt.Errorf("unknown unit %q", Clean(s[cut:]))
	}
	if n, err := strconv.ParseInt(s[:cut], 10, 64); err == nil && factor == 1 {
		return n, nil // exact, which a float64 is not beyond 2^53
	}
	v, err := strconv.ParseFloat(s[:cut], 64)
	if err != nil {
		return 0, fmt.Errorf("want a number and a unit")
	}
	if v *= factor; v >= math.MaxInt64 {
		return 0, fmt.Errorf("too large")
	}
	return int64(v), nil
}

func clip(s string) string { return s[:min(len(s), maxQuantityText)] }

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
