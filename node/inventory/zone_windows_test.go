package inventory

import (
	"testing"
	"time"

	"patchmesh/policy"
)

// R-H1: a Windows machine names its zone as the zone database does, by which its clock shows the same times, or says
// nothing.
func TestRH1OnWindowsTheZoneIsOneOfTheDatabaseOrUnknown(t *testing.T) {
	now := time.Now()
	got := Collect(t.Context(), Question{Root: t.TempDir(), DataDir: t.TempDir(), Now: now}).Zone
	t.Logf("the system says %q, which is %q", zoneNames(), got)
	if z, ok := policy.ParseZone(got); got != "" && (!ok || !sameClock(z, time.Local, now)) {
		t.Errorf("%q is no zone of the database, or does not tell the times of this machine", got)
	}
}
