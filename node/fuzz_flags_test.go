package node

import (
	"os"
	"patchmesh/policy"
	"path/filepath"
	"testing"
)

// What people type behind a flag is refused or means something: no text breaks the program, and none becomes a limit,
// a budget or a quota that lets nothing or everything through without being asked to.
func FuzzFlags(f *testing.F) {
	for _, text := range []string{
		"wan.down=10Mbit", "lan.up=50%", "wan.down=2Mbit@Mon-Fri/08:00-18:00@Europe/Berlin", "wan.down=off@08:00-18:00", "site.up=1e300Mbit",
		"day=20GB", "month=20GB@Europe/Berlin", "day=-1", "month=1@../../etc/passwd", "battery=40", "free=1e30GiB", "other-traffic=1Mbit", "link=vpn",
		"20GiB", "30%", "none", "0", "100%", "7d", "36h", "99999999999d", "192.0.2.0/24", "192.0.2.1/24", "::ffff:10.0.0.0/104", "2001:db8::/32", "=", "@", "",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if l, err := ParseLimit(text); err == nil && (l.Class > 2 || l.Dir > 1) {
			t.Errorf("--limit %q is %+v", text, l)
		}
		if b, err := ParseBudget([]string{text}); err == nil && (b.DayBytes < 0 || b.MonthBytes < 0 || b.DayBytes+b.MonthBytes == 0) {
			t.Errorf("--wan-budget %q is %+v", text, b)
		}
		if g, err := ParseGates([]string{text}, "", ""); err == nil &&
			(g.BatteryPercent < 0 || g.BatteryPercent > 100 || g.CPUPercent < 0 || g.CPUPercent > 100 || g.DiskQueue < 0 || g.FreeBytes < 0 || g.YieldAbove < 0) {
			t.Errorf("--gate %q is %+v", text, *g)
		}
		if r, err := policy.ParseRoom(text); err == nil && (r.Bytes < -1 || r.Percent < 0 || r.Percent > 99 || r.Bytes > 0 && r.Percent > 0) {
			t.Errorf("--store-quota %q is %+v", text, r)
		}
		if p, err := parseSitePrefix(text); err == nil && (!p.IsValid() || p != p.Masked()) {
			t.Errorf("--prefix %q is %v", text, p)
		}
	})
}

// The groups that a machine has joined stand in its own folder, where bits rot and people edit. What is read of
// them is a few names, or nothing.
func FuzzClaims(f *testing.F) {
	f.Add([]byte(`["kiosk","office"]`))
	f.Add([]byte(`["all"]`))
	f.Add([]byte(`[""]`))
	f.Add([]byte(`{"a":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, claimsFile), b, 0o600); err != nil {
			t.Fatal(err)
		}
		claims, err := readClaims(dir)
		if err != nil && claims != nil || len(claims) > maxClaims {
			t.Errorf("%q reads as %q, %v", b, claims, err)
		}
	})
}
