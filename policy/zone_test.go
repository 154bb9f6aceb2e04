package policy

import (
	"strings"
	"testing"
	"time"
)

// R-H1: what a machine says of its clock is a name that the zone database knows or a fixed offset, and never a path or
// the clock of whoever reads it.
func TestRH1ZonesOfMachinesAreCheckedNames(t *testing.T) {
	for s, offset := range map[string]int{"Europe/Berlin": 3600, "Asia/Kolkata": 19800, "UTC": 0, "Etc/GMT+5": -18000, "UTC+05:30": 19800, "UTC-03:00": -10800, "America/Argentina/Buenos_Aires": -10800} {
		z, ok := ParseZone(s)
		if !ok {
			t.Errorf("%s is refused", s)
			continue
		}
		if _, is := time.Date(2026, 1, 15, 0, 0, 0, 0, z).Zone(); is != offset {
			t.Errorf("%s is %d seconds from UTC", s, is)
		}
		if (&Inventory{Zone: s}).Check() != nil {
			t.Errorf("an inventory with %s is refused", s)
		}
	}
	for _, s := range []string{"Local", "../../etc/passwd", "/etc/localtime", "Nowhere/Land", "UTC+99:00", "UTC+5", "UTC+15:00", "UTC-1a:00", "Europe/Berlin\n", strings.Repeat("a", 1000), "\xff", "a\\b"} {
		if z, ok := ParseZone(s); ok {
			t.Errorf("%q is taken: %v", s, z)
		}
		if (&Inventory{Zone: s}).Check() == nil {
			t.Errorf("an inventory with %q is taken", s)
		}
	}
	if (&Inventory{}).Check() != nil {
		t.Error("agents that do not tell are refused")
	}
}

func FuzzParseZone(f *testing.F) {
	for _, s := range []string{"", "Local", "Europe/Berlin", "UTC+05:30", "../x", "UTC+99:99"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if z, ok := ParseZone(s); ok && (z == nil || z == time.Local || len(s) > maxZone || strings.Contains(s, "..")) {
			t.Errorf("%q is taken: %v", s, z)
		}
	})
}
