package sim

import "testing"

// A seed with a fast line serves a hundred sites at the same time: what bounds it is its line and theirs, not how long
// a round trip to a site takes.
func TestASeedFillsItsLineToManySites(t *testing.T) {
	sc, err := ParseScenario("far", `
seed   up=10Gbit/s
site   s count=100 machines=2 egress=1 wan=100Mbit/s lan=1Gbit/s delay=40ms
update u1 size=16MB chunk=256KiB
at     10s approve u1
`)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Run(sc, Options{Seed: 1, Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the last of %d machines after %.2f s; the line alone needs %.2f s", r.Installed, r.LastInstalled, r.LowerBound)
	if r.Installed != 200 || r.Amplification != 1 {
		t.Errorf("%d of 200 machines are done, the WAN carried %.3f payloads a site", r.Installed, r.Amplification)
	}
	if r.LastInstalled > 4*r.LowerBound {
		t.Errorf("the last machine is done after %.2f s, the line alone needs %.2f s", r.LastInstalled, r.LowerBound)
	}
}
