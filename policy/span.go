package policy

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxSpan bounds what people write as a length of time: no clock of ours goes further.
const maxSpan = 100 * 365 * day

// ParseSpan reads a length of time as people write it: like 90m or 72h, and with days and weeks, like 7d, 2w or 1d12h.
// A day is 24 hours: where the calendar counts, an instant or a window says so. ErrFormat.
func ParseSpan(s string) (time.Duration, error) {
	rest, total := s, time.Duration(0)
	for _, u := range []struct {
		unit string
		each time.Duration
	}{{"w", 7 * day}, {"d", day}} {
		n, after, found := strings.Cut(rest, u.unit)
		if !found {
			continue
		}
		count, err := strconv.ParseUint(n, 10, 32)
		if err != nil || time.Duration(count) > maxSpan/u.each {
			return 0, fmt.Errorf("%.40q is no length of time like 72h, 7d or 2w: %w", s, ErrFormat)
		}
		total, rest = total+time.Duration(count)*u.each, after
	}
	if rest == "" && total >= 0 && s != "" {
		return total, nil
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d > maxSpan || d < 0 && rest != s {
		return 0, fmt.Errorf("%.40q is no length of time like 72h, 7d or 2w: %w", s, ErrFormat)
	}
	return total + d, nil
}

// PlainSetting is a setting's value as it is signed: days and weeks become hours, which every version reads.
func PlainSetting(value string) string {
	if _, err := time.ParseDuration(value); err == nil || !strings.ContainsAny(value, "dw") {
		return value
	}
	d, err := ParseSpan(value)
	if err != nil {
		return value
	}
	if d%time.Hour != 0 {
		return d.String()
	}
	return fmt.Sprintf("%dh", d/time.Hour)
}

// Plain is the setting as it is signed and read: days and weeks are spelled out, where what was written is no value as it
// stands.
func (s Setting) Plain() Setting {
	plain := s
	if plain.Value = PlainSetting(s.Value); s.Validate() == nil || plain.Validate() != nil {
		return s
	}
	return plain
}
