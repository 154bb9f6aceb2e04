package node

import (
	"testing"
	"time"

	"patchmesh/policy"
)

// A corrected wall clock must not stop a machine: everything that waits is counted in the time that the
// node reads.
func TestTimeNeitherGoesBackNorStandsStill(t *testing.T) {
	start := time.Date(2030, 3, 1, 12, 0, 0, 0, time.UTC)
	wall, mono := start, start
	k := newTrustClock(func() time.Time { return wall }, policy.ClockState{})
	k.mono, k.last = func() time.Time { return mono }, start
	pass := func(d time.Duration) time.Duration {
		before := k.now()
		wall, mono = wall.Add(d), mono.Add(d)
		return k.now().Sub(before)
	}
	if got := pass(time.Minute); got != time.Minute {
		t.Errorf("a minute counts as %v", got)
	}
	before := k.now()
	wall = wall.Add(-time.Hour)
	if got := k.now().Sub(before); got != 0 {
		t.Errorf("set back by an hour, time moves by %v", got)
	}
	if got := pass(time.Minute); got != 30*time.Second {
		t.Errorf("behind, a minute counts as %v, want half of it", got)
	}
	for range 121 {
		pass(time.Minute)
	}
	if got := k.now(); !got.Equal(wall) {
		t.Errorf("two hours later it is %v, the wall clock says %v", got, wall)
	}
	wall = wall.Add(8 * time.Hour) // a machine that slept
	if got := k.now(); !got.Equal(wall) {
		t.Errorf("after a sleep it is %v, the wall clock says %v", got, wall)
	}
}
