package policy

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// maxQuantityText bounds what ParseSize and ParseRate look at.
const maxQuantityText = 64

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
		return 0, fmt.Errorf("size %.60q: %w", s, err)
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
	if strings.EqualFold(t, rateUnlimited) {
		return 0, nil
	}
	t = strings.TrimSuffix(strings.TrimSuffix(t, "/s"), "/S")
	v, err := parseQuantity(t, rateUnits)
	if err != nil {
		v, err = parseQuantity(t, sizeUnits)
	}
	if err != nil {
		return 0, fmt.Errorf("rate %.60q: %w", s, err)
	}
	return v, nil
}

var errNoQuantity = errors.New("want a number and a unit")

func parseQuantity(s string, units map[string]float64) (int64, error) {
	s = strings.TrimSpace(s)
	if s == "" || len(s) > maxQuantityText {
		return 0, errNoQuantity
	}
	cut := strings.IndexFunc(s, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	if cut < 0 {
		cut = len(s)
	}
	factor, ok := units[strings.ToLower(strings.TrimSpace(s[cut:]))]
	if !ok {
		return 0, fmt.Errorf("unknown unit %q", s[cut:])
	}
	if n, err := strconv.ParseInt(s[:cut], 10, 64); err == nil && factor == 1 {
		return n, nil // exact, which a float64 is not beyond 2^53
	}
	v, err := strconv.ParseFloat(s[:cut], 64)
	if err != nil {
		return 0, errNoQuantity
	}
	if v *= factor; v >= math.MaxInt64 {
		return 0, errors.New("too large")
	}
	return int64(v), nil
}
