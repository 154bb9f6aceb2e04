package inventory

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"patchmesh/policy"
)

// R-H1: a machine names its zone as its own clock has it: a name that does not tell the same times is not believed,
// and a clock that is never set has its offset.
func TestRH1TheZoneToldIsTheOneOfTheClock(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	berlin, _ := policy.ParseZone("Europe/Berlin")
	for _, c := range []struct {
		names []string
		local *time.Location
		want  string
	}{
		{[]string{"Europe/Berlin"}, berlin, "Europe/Berlin"},
		{[]string{"Africa/Lagos"}, berlin, ""}, // an hour off in summer alone
		{[]string{"../x", "Nowhere", "Europe/Berlin"}, berlin, "Europe/Berlin"},
		{nil, berlin, ""}, // its changes are known, its name is not
		{nil, time.FixedZone("", 19800), "UTC+05:30"},
		{[]string{"Europe/Berlin"}, time.FixedZone("", -12600), "UTC-03:30"},
		{[]string{"UTC"}, time.UTC, "UTC"},
	} {
		if got := zoneOf(c.names, c.local, now); got != c.want {
			t.Errorf("%q with the clock of %s: %q, not %q", c.names, c.local, got, c.want)
		}
	}
	dir := t.TempDir()
	link, file := filepath.Join(dir, "localtime"), filepath.Join(dir, "timezone")
	if err := os.WriteFile(file, []byte("Asia/Tokyo\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	const paris = "/usr/share/zoneinfo/Europe/Paris"
	if err := os.Symlink(paris, link); err != nil {
		t.Skip("no symbolic links here")
	}
	if to, err := os.Readlink(link); err != nil || filepath.ToSlash(to) != paris {
		t.Skipf("symbolic links are made here that do not lead where they should: %q, %v", to, err)
	}
	for _, c := range []struct {
		tz   string
		set  bool
		want []string
	}{
		{"", false, []string{"Europe/Paris", "Asia/Tokyo"}}, {"", true, []string{"UTC"}}, {"Asia/Kolkata", true, []string{"Asia/Kolkata"}},
		{":/usr/share/zoneinfo/America/Lima", true, []string{"America/Lima"}},
	} {
		if got := filesZones(c.tz, c.set, link, file); !slices.Equal(got, c.want) {
			t.Errorf("TZ %q: %q, not %q", c.tz, got, c.want)
		}
	}
	if got := Collect(t.Context(), Question{Root: dir, DataDir: dir, Now: now}).Zone; got != zoneOf(zoneNames(), time.Local, now) {
		t.Errorf("collected %q", got)
	}
}

// R-H1: every zone of Windows that is known here leads to one of the zone database.
func TestRH1ZonesOfWindowsAreIANANames(t *testing.T) {
	for w, iana := range zonesOfWindows {
		if _, ok := policy.ParseZone(iana); !ok {
			t.Errorf("%s: %s is not known", w, iana)
		}
	}
	if windowsZones("No Such Time") != nil {
		t.Error("an unknown zone has a name")
	}
}
