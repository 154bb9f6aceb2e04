package bench

import (
	"testing"
	"time"
)

func TestBoundIsTheNarrowestLink(t *testing.T) {
	for name, want := range map[string]time.Duration{
		"cold10":  21475 * time.Millisecond, // 128 MiB at 50 Mbit/s
		"fast10":  10737 * time.Millisecond, // 256 MiB at 200 Mbit/s
		"wan10":   10737 * time.Millisecond, // 64 MiB at the WAN's 50 Mbit/s, not the LAN's 200
		"many10":  10737 * time.Millisecond, // 20 updates are one payload of 64 MiB
		"raw10":   0,
		"churn10": 10737 * time.Millisecond,
	} {
		s, err := ScenarioNamed(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Bound(); got < want-10*time.Millisecond || got > want+10*time.Millisecond {
			t.Errorf("%s: bound %s, want %s", name, got, want)
		}
	}
	if _, err := ScenarioNamed("cold11"); err == nil {
		t.Error("a scenario that is not there was found")
	}
}
