package api

import (
	"math"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

func TestSizeReadsLikePeopleWriteIt(t *testing.T) {
	for bytes, want := range map[int64]string{
		0: "0 B", 1: "1 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 64 << 20: "64.0 MiB",
		1<<20 - 1: "1.0 MiB", 1<<30 - 1: "1.0 GiB", 1 << 40: "1.0 TiB", -2048: "-2.0 KiB",
		math.MaxInt64: "8.0 EiB", math.MinInt64: "-8.0 EiB",
	} {
		if got := Size(bytes); got != want {
			t.Errorf("Size(%d) = %q, want %q", bytes, got, want)
		}
	}
}

func TestRate(t *testing.T) {
	for rate, want := range map[float64]string{0: "0 B/s", 12 << 20: "12.0 MiB/s", math.Inf(1): "? B/s", -1: "? B/s"} {
		if got := Rate(rate); got != want {
			t.Errorf("Rate(%v) = %q, want %q", rate, got, want)
		}
	}
}

func TestDurationShowsTwoUnits(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 ms", 350 * time.Millisecond: "350 ms", 45 * time.Second: "45 s", 90 * time.Second: "1 min 30 s",
		2*time.Hour + 5*time.Minute + 9*time.Second: "2 h 5 min", 3 * time.Hour: "3 h", 49 * time.Hour: "2 d 1 h",
		-time.Minute: "-1 min", math.MinInt64: "-106751 d 23 h",
	} {
		if got := Duration(d); got != want {
			t.Errorf("Duration(%d) = %q, want %q", d, got, want)
		}
	}
}

func TestAgoTellsPastFutureAndNever(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		at   time.Time
		want string
	}{
		{time.Time{}, "never"}, {now, "now"}, {now.Add(-3 * time.Minute), "3 min ago"}, {now.Add(2 * time.Hour), "in 2 h"},
	} {
		if got := Ago(c.at, now); got != c.want {
			t.Errorf("Ago(%v) = %q, want %q", c.at, got, c.want)
		}
	}
}

func TestParseSize(t *testing.T) {
	for s, want := range map[string]int64{
		"0": 0, "512": 512, "64MiB": 64 << 20, "10MB": 10e6, "1G": 1 << 30, "1.5 GiB": 3 << 29, "2kib": 2048, "7b": 7,
		"9223372036854775807": math.MaxInt64, " 1T ": 1 << 40,
	} {
		if got, err := ParseSize(s); err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v, want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "MiB", "-1", "1e9", "1.2.3M", "9223372036854775808", "99999999999T", "1 parsec", "0x10",
		"NaN", "Inf", strings.Repeat("1", 65), "1\x1b[31m"} {
		if got, err := ParseSize(s); err == nil {
			t.Errorf("ParseSize(%q) = %d, want an error", s, got)
		} else if strings.Contains(err.Error(), "\x1b") {
			t.Errorf("ParseSize(%q): the error holds a raw escape character", s)
		}
	}
}

func TestParseRateCountsBitsAndBytes(t *testing.T) {
	for s, want := range map[string]int64{
		"50Mbit": 6250000, "50Mbit/s": 6250000, "6MB/s": 6e6, "6MB": 6e6, "512KiB/s": 512 << 10, "1000": 1000,
		"8kbps": 1000, "1gbit": 125e6, "unlimited": 0, "0": 0,
	} {
		if got, err := ParseRate(s); err != nil || got != want {
			t.Errorf("ParseRate(%q) = %d, %v, want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "fast", "-5Mbit", "/s", "5Mbit/h"} {
		if got, err := ParseRate(s); err == nil {
			t.Errorf("ParseRate(%q) = %d, want an error", s, got)
		}
	}
}

func TestCleanTakesTerminalTricksAway(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                 "plain",
		"größe 日本":              "größe 日本",
		"a\x1b[31mred\x07":      "a[31mred",
		"pay\u202efdp.exe":      "payfdp.exe",
		"zero\u200bwidth\ufeff": "zerowidth",
		"two\nlines\tand":       "two lines and",
		"bad\xffbyte":           "bad\ufffdbyte",
		"c1\u009b31m":           "c131m",
		"para\u2029graph":       "para graph",
	} {
		if got := Clean(in); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
	if got := CleanLines("a\x1b\r\nb\x00\nc"); got != "a\nb\nc" {
		t.Errorf("CleanLines = %q", got)
	}
}

func FuzzClean(f *testing.F) {
	f.Add("a\x1b[0m\u202e\xff\n")
	f.Fuzz(func(t *testing.T, s string) {
		got := Clean(s)
		if !utf8.ValidString(got) {
			t.Fatalf("Clean(%q) = %q is no UTF-8", s, got)
		}
		for _, r := range got {
			if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
				t.Fatalf("Clean(%q) left %U", s, r)
			}
		}
		if Clean(got) != got {
			t.Fatalf("Clean(%q) changes its own result", s)
		}
	})
}

func FuzzParseRate(f *testing.F) {
	f.Add("50Mbit/s")
	f.Fuzz(func(t *testing.T, s string) {
		if v, err := ParseRate(s); err == nil && v < 0 {
			t.Fatalf("ParseRate(%q) = %d", s, v)
		}
		if v, err := ParseSize(s); err == nil && v < 0 {
			t.Fatalf("ParseSize(%q) = %d", s, v)
		}
	})
}
