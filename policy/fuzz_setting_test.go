package policy

import (
	"errors"
	"testing"
	"time"
)

// The value of a setting is signed text, and also what the local file of a machine may say. Whatever it is, it is
// refused as malformed or can be lived by: nobody who reads it stumbles.
func FuzzSetting(f *testing.F) {
	for i, info := range SettingInfos {
		f.Add(i, info.Default)
		for _, text := range []string{"08:00-18:00", "22:00-06:00", "7d", "40", "never", "any", "1h,2h", "-1", "1e9", "peers-only", "99999999999h"} {
			f.Add(i, text)
		}
	}
	f.Fuzz(func(t *testing.T, i int, value string) {
		if i < 0 || i >= len(SettingInfos) {
			return
		}
		s := Setting{Name: SettingInfos[i].Name, Value: value, Group: GroupAll}
		if err := s.Validate(); err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Errorf("%s=%q: %v", s.Name, value, err)
			}
			return
		}
		all := []Effective{{Name: s.Name, Value: value}}
		_ = readSettings(all)
		_ = readClient(all)
		_ = readReminding(all)
	})
}

// A length of time as people write it is refused, or is one that can be added to a day of this century.
func FuzzParseSpan(f *testing.F) {
	for _, text := range []string{"7d", "36h", "1h30m", "-1h", "99999999999d", "1e9h", "106751d", "0", ""} {
		f.Add(text)
	}
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := ParseSpan(text); err == nil && d > 0 && !now.Add(d).After(now) {
			t.Errorf("%q is %v, which goes back in time", text, d)
		}
	})
}
