package policy

import (
	"errors"
	"testing"
)

// An admin says once, for a group, when its machines stop to give; of two groups as deep, and of a machine's own file, what
// has it stop sooner counts.
func TestC65GatesGoByGroup(t *testing.T) {
	for _, c := range []struct{ gate, loose, strict string }{
		{"battery", "20", "60"}, {"battery", "none", "1"},
		{"cpu", "90", "50"}, {"cpu", "none", "100"},
		{"disk-queue", "50", "10"}, {"disk-queue", "none", "99"},
		{"free", "1GiB", "2GiB"}, {"free", "none", "1"},
		{"other-traffic", "10Mbit", "1Mbit"}, {"other-traffic", "none", "10Mbit"},
		{"vpn", "full", "download-only"}, {"vpn", "download-only", "off"},
	} {
		name := SetGate(c.gate)
		m := Manifest{Settings: []Setting{{name, "a", c.loose}, {name, "b", c.strict}}, Groups: []Group{{Name: "a"}, {Name: "b"}}}
		if e := m.Limits(Machine{Groups: []string{"a", "b"}})[name]; e.Value != c.strict || e.Source != "b" {
			t.Errorf("%s of %s and %s: %+v", name, c.loose, c.strict, e)
		}
		if e := m.Limits(Machine{Groups: []string{"a"}, Local: map[string]string{name: c.strict}})[name]; e.Value != c.strict || e.Source != "local" {
			t.Errorf("%s, stricter in the machine's file: %+v", name, e)
		}
		if e := m.Limits(Machine{Groups: []string{"b"}, Local: map[string]string{name: c.loose}})[name]; e.Value != c.strict || e.Ignored != c.loose {
			t.Errorf("%s, looser in the machine's file: %+v", name, e)
		}
		if len(m.Limits(Machine{})) != 0 {
			t.Errorf("%s is stated for a machine of neither group", name)
		}
	}
}

func TestGatesAreChecked(t *testing.T) {
	for gate, bad := range map[string][]string{
		"battery": {"", "0", "101", "-1", "full", "40%"}, "cpu": {"0", "101", "busy"}, "disk-queue": {"0", "101"},
		"free": {"0", "-1", "lots", "10%"}, "other-traffic": {"0", "1bit", "much", "unlimited", "9000Gbit"}, "vpn": {"", "on", "none"},
	} {
		for _, value := range bad {
			if err := (Setting{SetGate(gate), GroupAll, value}).Validate(); !errors.Is(err, ErrFormat) {
				t.Errorf("%s=%q: %v", gate, value, err)
			}
		}
	}
}
