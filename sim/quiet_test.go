package sim

import (
	"strings"
	"testing"
)

// C-17: nothing that machines know of each other fades while nobody speaks of it. After more days than anything here is remembered
// for (swarm.Config.ForgetPeer is the longest), a machine that is set up anew has all from its neighbours, and the next update
// crosses the WAN once, at the speed of the line.
func TestC17NothingFadesInTwoQuietMonths(t *testing.T) {
	sc, err := ParseScenario("quiet", `
site   a machines=4 egress=2 wan=20Mbit/s lan=1Gbit/s delay=15ms
update u1 size=4MiB chunk=256KiB
update u2 size=4MiB chunk=256KiB
at     10s approve u1
fault  swap count=1 at=5270400s
at     5356800s approve u2
limit  63d
`)
	if err != nil {
		t.Fatal(err)
	}
	r, text := trace(t, sc, 1, 2)
	for _, v := range r.Violations {
		t.Error(v)
	}
	if r.Amplification != 1 || r.DuplicateRatio != 0 {
		t.Errorf("the WAN carried %.4f times the payload, %.4f came twice", r.Amplification, r.DuplicateRatio)
	}
	if r.Installed != r.Machines-1 || r.LastInstalled > 5356800+3*r.LowerBound {
		t.Errorf("%d of %d machines have all (one is gone for good), the last after %.1f s", r.Installed, r.Machines, r.LastInstalled)
	}
	if n := strings.Count(text, "\n"); n > 5000 {
		t.Errorf("%d lines of trace: something is done over and over", n)
	}
}
