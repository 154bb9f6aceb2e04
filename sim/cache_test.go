package sim

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// Two shifts that never meet. With a cache the line carries each update once and the late shift has the second one
// within seconds; without one it carries the first twice, and the late shift waits for the line.
func TestCacheKeepsForThoseWhoAreAway(t *testing.T) {
	text := open(t, "shifts").text
	bare := strings.Replace(text, " caches=1", "", 1)
	for _, c := range []struct {
		text        string
		violations  string
		amplified   float64
		least, most float64 // seconds from the beginning of the late shift's second day until the last has it
	}{
		{text: text, violations: "", amplified: 1, most: 10},
		{text: bare, violations: "wan within", amplified: 1.8, least: 30, most: 60},
	} {
		sc, err := ParseScenario("shifts", c.text)
		if err != nil {
			t.Fatal(err)
		}
		for seed := range uint64(soak(2, 50)) {
			r, lines := trace(t, sc, seed+1, 1)
			var rules []string
			for _, v := range r.Violations {
				rules = append(rules, v.Rule)
			}
			if got := strings.Join(rules, " "); got != c.violations {
				t.Errorf("seed %d: promises broken: %q, want %q", seed+1, got, c.violations)
			}
			after := r.LastInstalled + 10 - 33*3600 // the first approval came at ten seconds
			if r.Amplification != c.amplified || after < c.least || after > c.most || r.Installed != 21 {
				t.Errorf("seed %d: the WAN carried %.3f times the payload, the last machine was done %.1f s after it came, %d are done", seed+1, r.Amplification, after, r.Installed)
			}
			if got := regexp.MustCompile(`(?m) installed m=plant-0 `).FindAllString(lines, -1); len(got) != 0 {
				t.Errorf("seed %d: the cache is in no group and has installed %v", seed+1, got)
			}
		}
	}
}

// A scenario without caches says nothing of them, so that its traces stay what they were.
func TestTracesNameCachesOnlyWhereThereAreSome(t *testing.T) {
	_, with := trace(t, open(t, "shifts"), 1, 1)
	_, without := trace(t, open(t, "shop-5"), 1, 1)
	if n := strings.Count(with, " cache=1\n"); n != 1 || strings.Contains(without, "cache") {
		t.Errorf("%d machines are caches in one trace, and in the other: %v", n, strings.Contains(without, "cache"))
	}
}

func TestShiftsAreReadOrRefused(t *testing.T) {
	for words, ok := range map[string]bool{
		"group=g on=1h lasts=8h every=24h times=3": true,
		"group=nobody":      false,
		"group=g lasts=25h": false, // it would overlap with the next
		"group=g times=0":   false,
		"group=g lasts=0s every=0s times=99999999": false,
		"group=g times=1000000000":                 false,
		"group=g on=1h colour=red":                 false,
		"group=g lasts=1h every=0s":                false,
		"group=g times=1000 every=8760h":           false,
	} {
		sc, err := ParseScenario("t", fmt.Sprintf("site a machines=3 groups=g:0-1\nfault shift %s", words))
		if err == nil {
			_, err = newWorld(sc, Options{Seed: 1})
		}
		if (err == nil) != ok {
			t.Errorf("%s: %v", words, err)
		}
	}
}
