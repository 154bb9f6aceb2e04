package policy

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestCarriesNamesSitesAndTheStricterValueCounts(t *testing.T) {
	for value, ok := range map[string]bool{
		"none": true, "north": true, "north,south": true, strings.Repeat("x", 63): true,
		"": false, ",": false, "north,": false, "north,north": false, "north south": false, "../north": false, "none,north": true,
		strings.Repeat("a,", 17) + "a": false,
	} {
		err := Setting{Name: SetCarries, Group: "couriers", Value: value}.Validate()
		if (err == nil) != ok || err != nil && !errors.Is(err, ErrFormat) && !errors.Is(err, ErrTooLarge) {
			t.Errorf("%q: %v", value, err)
		}
	}
	m := &Manifest{
		Groups:   []Group{{Name: "couriers"}, {Name: "office"}, {Name: "fast", Parent: "couriers"}},
		Settings: []Setting{{SetCarries, "couriers", "north,south"}, {SetCarries, "fast", "east"}, {SetCarries, "office", "north"}},
	}
	for _, c := range []struct {
		groups []string
		want   []string
	}{
		{nil, nil},
		{[]string{"elsewhere"}, nil},
		{[]string{"couriers"}, []string{"north", "south"}},
		{[]string{"couriers", "office"}, []string{"north"}}, // equally deep: the one with fewer sites
		{[]string{"fast"}, []string{"east"}},                // the deepest
	} {
		if got := m.Carries(c.groups); !slices.Equal(got, c.want) {
			t.Errorf("%v carries to %v, want %v", c.groups, got, c.want)
		}
	}
	if got := (*Manifest)(nil).Carries([]string{"couriers"}); got != nil {
		t.Errorf("without approvals: %v", got)
	}
}
