package sim

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// value is a number of a scenario: one, or a range that each run draws from.
type value struct {
	low, high float64
	log       bool // drawn evenly in proportion, for rates and sizes
}

func exactly(x float64) value { return value{low: x, high: x} }

func (v value) draw(rng *rand.Rand) float64 {
	switch {
	case v.high <= v.low:
		return v.low
	case v.log && v.low > 0:
		return v.low * math.Exp(rng.Float64()*math.Log(v.high/v.low))
	}
	return v.low + rng.Float64()*(v.high-v.low)
}

func (v value) drawInt(rng *rand.Rand) int {
	if v.high <= v.low {
		return int(v.low)
	}
	return int(v.low) + rng.IntN(int(v.high)-int(v.low)+1)
}

func (v value) drawTime(rng *rand.Rand) time.Duration { return time.Duration(v.draw(rng)) }

// parseValue reads "X" or "X..Y" with one of the readers below.
func parseValue(s string, one func(string) (float64, error)) (value, error) {
	low, high, isRange := strings.Cut(s, "..")
	a, err := one(low)
	if err != nil || !isRange {
		return exactly(a), err
	}
	b, err := one(high)
	if err != nil {
		return value{}, err
	}
	if b < a {
		return value{}, fmt.Errorf("%q runs backwards: %w", s, ErrScenario)
	}
	return value{low: a, high: b}, nil
}

func bad(kind, s string) error { return fmt.Errorf("%s %.60q: %w", kind, s, ErrScenario) }

func parseNumber(s string) (float64, error) {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || n < 0 || n > 1e15 {
		return 0, bad("number", s)
	}
	return n, nil
}

// parseShare reads 0.3 or 30%.
func parseShare(s string) (float64, error) {
	t, percent := strings.CutSuffix(s, "%")
	n, err := strconv.ParseFloat(t, 64)
	if percent {
		n /= 100
	}
	if err != nil || !(n >= 0 && n <= 1) {
		return 0, bad("share", s)
	}
	return n, nil
}

// maxTime bounds the virtual time of a run.
const maxTime = 400 * 24 * time.Hour

// parseTime reads Go durations, and days: 90s, 4h30m, 14d. The result is in nanoseconds.
func parseTime(s string) (float64, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseFloat(days, 64)
		if err != nil || !(n >= 0 && n <= 400) {
			return 0, bad("time", s)
		}
		return n * float64(24*time.Hour), nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d > maxTime || d < -maxTime {
		return 0, bad("time", s)
	}
	return float64(d), nil
}

var sizeUnits = []struct {
	name  string
	bytes float64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}}

func parseSize(s string) (float64, error) {
	for _, u := range sizeUnits {
		if t, ok := strings.CutSuffix(s, u.name); ok {
			n, err := strconv.ParseFloat(t, 64)
			if err != nil || !(n >= 0 && n*u.bytes <= 1<<41) {
				return 0, bad("size", s)
			}
			return math.Round(n * u.bytes), nil
		}
	}
	return 0, bad("size (like 64MiB)", s)
}

// parseRate reads 2Mbit/s, 100kbit/s, 1Gbit/s or none. The result is bytes per second; 0 is no limit.
func parseRate(s string) (float64, error) {
	if s == "none" {
		return 0, nil
	}
	for _, u := range []struct {
		name string
		bits float64
	}{{"kbit/s", 1e3}, {"Mbit/s", 1e6}, {"Gbit/s", 1e9}} {
		if t, ok := strings.CutSuffix(s, u.name); ok {
			n, err := strconv.ParseFloat(t, 64)
			if err != nil || !(n > 0 && n*u.bits <= 1e13) {
				return 0, bad("rate", s)
			}
			return n * u.bits / 8, nil
		}
	}
	return 0, bad("rate (like 2Mbit/s)", s)
}

// args are the key=value words of one line.
type args struct {
	m    map[string]string
	used map[string]bool
}

func parseArgs(words []string) (args, error) {
	a := args{map[string]string{}, map[string]bool{}}
	for _, w := range words {
		k, v, ok := strings.Cut(w, "=")
		if !ok || k == "" || v == "" {
			return a, bad("word (want key=value)", w)
		}
		if _, double := a.m[k]; double {
			return a, fmt.Errorf("%s= stands twice: %w", k, ErrScenario)
		}
		a.m[k] = v
	}
	return a, nil
}

func (a args) text(key, def string) string {
	a.used[key] = true
	if v, ok := a.m[key]; ok {
		return v
	}
	return def
}

func (a args) has(key string) bool { _, ok := a.m[key]; return ok }

// value reads one number or range into v, which holds the default.
func (a args) value(key string, v *value, one func(string) (float64, error)) error {
	a.used[key] = true
	s, ok := a.m[key]
	if !ok {
		return nil
	}
	log := v.log
	got, err := parseValue(s, one)
	if err != nil {
		return fmt.Errorf("%s=: %w", key, err)
	}
	got.log = log
	*v = got
	return nil
}

// rest refuses words that nobody has asked for.
func (a args) rest() error {
	for k := range a.m {
		if !a.used[k] {
			return fmt.Errorf("%s= is not known here: %w", k, ErrScenario)
		}
	}
	return nil
}
