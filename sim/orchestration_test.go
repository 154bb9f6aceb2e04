package sim

import (
	"fmt"
	"strings"
	"testing"
)

// R-X14: over many seeds never more than two at once, with parts, crashes and no seed; all get there.
func TestRX14OrchestratedSiteNeverExceedsItsNumber(t *testing.T) {
	sc := open(t, "orchestrated")
	for seed := range uint64(soak(2, 60)) {
		r, err := Run(sc, Options{Seed: seed + 2, Check: true})
		if err != nil || len(r.Violations) > 0 || r.Installed != 9 {
			t.Errorf("seed %d: %v, %v, %d of 9", seed+2, err, r.Violations, r.Installed)
		}
	}
}

// The checker counts by itself: two that install where one may are a broken promise.
func TestTheCheckerSeesTooManyAtWork(t *testing.T) {
	for slots, want := range map[int]int{1: 1, 2: 0} {
		lines := []string{
			fmt.Sprintf("patchmesh-trace %d x", TraceVersion), "0 site name=s", "0 update u=u chunks=1 chunk_bytes=1 bytes=1",
			"0 machine m=a site=s seed=0 egress=0 lies=- groups=g", "0 machine m=b site=s seed=0 egress=0 lies=- groups=g",
			"1 publish epoch=1 head=1 root=1 expires=99", "1 approval head=1 u=u rev=1 group=all action=install not_before=0 deadline=0",
			fmt.Sprintf("1 orchestration head=1 id=o slots=%d members=a,b", slots),
		}
		for _, m := range []string{"a", "b"} {
			lines = append(lines, "2 boot m="+m+" epoch=0 head=0", "2 adopt m="+m+" epoch=1 head=1 root=1", "2 whole m="+m+" u=u")
		}
		lines = append(lines, "5 install m=a u=u rev=1 clock=5 whole=1 bad=0", "6 install m=b u=u rev=1 clock=6 whole=1 bad=0")
		c := NewChecker()
		got := 0
		for _, l := range lines {
			c.Line(l)
		}
		for _, v := range c.violations {
			if v.Rule == "orchestration" && strings.Contains(v.Text, "2 members of o install at once, 1 may") {
				got++
			} else if v.Rule == "trace" {
				t.Fatal(v)
			}
		}
		if got != want {
			t.Errorf("%d slots: %d violations: %v", slots, got, c.violations)
		}
	}
}
