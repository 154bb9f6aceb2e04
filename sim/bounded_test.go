package sim

import (
	"fmt"
	"testing"
)

// Sites in which each machine has sessions with a few of the others only.

func run(t *testing.T, sc *Scenario, seed uint64) *Report {
	t.Helper()
	r, err := Run(sc, Options{Seed: seed, Check: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Violations) > 0 {
		t.Errorf("%v\nrepeat it with: patchmesh sim %s --seed %d", r.Violations[0], sc.Name, seed)
	}
	return r
}

func TestBoundedSitesCrossTheWANOnce(t *testing.T) {
	for name, seeds := range map[string]int{"bounded-80": soak(2, 400), "bounded-few": soak(1, 200), "bounded-split": soak(1, 200), "bounded-liars": soak(1, 200)} {
		for seed := range uint64(seeds) {
			if r := run(t, open(t, name), seed+1); r.Installed != r.Machines-r.Lying && name != "bounded-few" {
				t.Errorf("%s, seed %d: %d of %d machines have what is approved", name, seed+1, r.Installed, r.Machines)
			}
		}
	}
}

// What a lease holder has under way when it dies has crossed the WAN in vain, and no more than that.
func TestBoundedSitesUnderChurn(t *testing.T) {
	n, sum := soak(1, 100), 0.0
	for seed := range uint64(n) {
		sum += run(t, open(t, "bounded-churn"), seed+1).Amplification
	}
	if mean := sum / float64(n); mean > 1.05 {
		t.Errorf("the WAN carried %.3f times the payload on average", mean)
	}
}

// What a site costs each of its machines, and how long it takes, must not grow with the site.
func TestLargeSitesCostEachMachineNoMore(t *testing.T) {
	type cost struct{ seconds, events float64 }
	of := func(machines int) cost {
		sc, err := ParseScenario("large", fmt.Sprintf(`
			title large
			site big machines=%d egress=10 wan=200Mbit/s lan=1Gbit/s delay=10ms neighbours=8
			update u1 size=%dMiB chunk=256KiB
			at 10s approve u1
			expect wan=1.0`, machines, soak(8, 64)))
		if err != nil {
			t.Fatal(err)
		}
		w, err := newWorld(sc, Options{Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		w.run(nil, nil)
		r := w.report()
		if r.Installed != machines || r.Amplification != 1 {
			t.Errorf("%d machines: %d are done, the WAN carried %.3f times the payload", machines, r.Installed, r.Amplification)
		}
		most := 0
		for _, m := range w.machines[1:] {
			most = max(most, m.neighbours())
		}
		c := cost{r.LastInstalled, float64(w.sites[1].q.seq) / float64(machines)}
		t.Logf("%d machines: %.2f s, %.0f events each, at most %d sessions", machines, c.seconds, c.events, most)
		return c
	}
	small, large := of(soak(50, 100)), of(soak(200, 1000))
	if large.seconds > 1.3*small.seconds || large.events > 1.3*small.events {
		t.Errorf("a larger site takes %.2f times as long and costs each machine %.2f times as much", large.seconds/small.seconds, large.events/small.events)
	}
}
