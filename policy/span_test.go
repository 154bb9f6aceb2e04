package policy

import (
	"testing"
	"time"
)

// R-B5: days and weeks are understood wherever people write a length of time.
func TestRB5LengthsOfTimeKnowDaysAndWeeks(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"7d": 7 * day, "2w": 14 * day, "1d12h": 36 * time.Hour, "1w2d": 9 * day, "72h": 72 * time.Hour, "90m": 90 * time.Minute, "0d": 0, "-5m": -5 * time.Minute,
	} {
		if got, err := ParseSpan(s); err != nil || got != want {
			t.Errorf("%s: %s, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "d", "7", "7 d", "-7d", "1.5d", "2d1w", "7dd", "99999999d", "1d-5h", "4294967295w", "1mo", "day"} {
		if got, err := ParseSpan(s); err == nil {
			t.Errorf("%q was read as %s", s, got)
		}
	}
	for s, want := range map[string]string{"3d": "72h", "2w": "336h", "48h": "48h", "none": "none", "detect": "detect", "download": "download", "1d30m": "24h30m0s"} {
		if got := PlainSetting(s); got != want {
			t.Errorf("setting %s: signed as %s, want %s", s, got, want)
		}
	}
}

// R-C13, R-C14: a setting is read with days and weeks where it is a length of time, and left alone where it is a value as
// it stands.
func TestRC14SettingsReadDaysWhereTheyMeasureTime(t *testing.T) {
	for s, want := range map[Setting]string{
		{SetScanInterval, GroupAll, "2d"}: "48h", {SetPostponeFor, GroupAll, "1w"}: "168h", {SetScanInterval, GroupAll, "72h"}: "72h", {SetScanAfterNews, GroupAll, "none"}: "none",
		{SetTakeProducts, GroupAll, "7d"}: "7d", {SetScanInterval, GroupAll, "9w"}: "9w", {SetScanInterval, GroupAll, "1d30m"}: "24h30m0s",
	} {
		if got := s.Plain(); got.Value != want || got.Name != s.Name || got.Group != s.Group {
			t.Errorf("%s: %s, want %s", s, got, want)
		}
	}
}

// R-B10: a ring that names no conditions gets some; who wants none says so.
func TestRB10ARingWithoutConditionsIsNone(t *testing.T) {
	r := Ring{Name: "pilot", Groups: []string{"pilot"}}
	for name, c := range map[string]struct {
		ring Ring
		said RingSaid
		want Ring
	}{
		"nothing said": {r, RingSaid{}, Ring{SuccessPercent: 95, FailCount: 1}},
		"success=0":    {r, RingSaid{Success: true}, Ring{FailCount: 1}},
		"fail=0":       {r, RingSaid{Failure: true}, Ring{SuccessPercent: 95}},
		"manual":       {Ring{Manual: true}, RingSaid{Success: true}, Ring{Manual: true, FailCount: 1}},
		"count":        {Ring{SuccessCount: 2}, RingSaid{Success: true}, Ring{SuccessCount: 2, FailCount: 1}},
		"fail=5%":      {Ring{FailPercent: 5}, RingSaid{Failure: true}, Ring{SuccessPercent: 95, FailPercent: 5}},
	} {
		got := c.ring.Usual(c.said)
		if got.SuccessPercent != c.want.SuccessPercent || got.SuccessCount != c.want.SuccessCount || got.Manual != c.want.Manual || got.FailCount != c.want.FailCount || got.FailPercent != c.want.FailPercent {
			t.Errorf("%s: %+v", name, got)
		}
	}
	p := twoRings(r.Usual(RingSaid{}))
	for installed, want := range map[int]RingStep{0: RingWait, 9: RingWait, 10: RingPromote} {
		if got, why := p.Judge(Approval{RingsOpened: []time.Time{t0}}, []Tally{{10, 10, installed, 0}}, false, t0); got != want {
			t.Errorf("%d of 10: %s, %s", installed, got, why)
		}
	}
}
