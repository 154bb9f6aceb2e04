package sim

import (
	"regexp"
	"strings"
	"testing"
)

// Every scenario that is promised by name has the shape that its name says, and keeps its promises. Large
// ones are only looked at here: 'patchmesh sim' and the soak run them.
func TestNamedScenariosHaveTheirShapeAndKeepTheirPromises(t *testing.T) {
	for _, c := range []struct {
		name            string
		sites, machines int
		run, words      string // run: always, soak, or empty for large ones
	}{
		{"shop-5", 1, 5, "always", "machines=5"},
		{"branch-40", 1, 40, "always", "wan=2Mbit/s"},
		{"sites-200x50", 200, 10_000, "", "count=200"},
		{"site-1000", 1, 1000, "", "machines=1000"},
		{"sites-20x50-thin", 20, 1000, "", "up=400Mbit/s"},
		{"sites-2000x50", 2000, 100_000, "", "size=64MB"},
		{"vlan", 1, 20, "always", "vlan=8"},
		{"offline-3", 4, 22, "always", "fault  roam machine=depot-2"},
		{"patch-tuesday", 10, 300, "soak", "start  20m"},
		{"pilot", 2, 80, "always", "group=pilot"},
		{"seed-down-week", 2, 16, "soak", "fault  seed-down from=20s until=21s times=1 lasts=7d"},
		{"liars-49", 1, 50, "soak", "share=98%"},
		{"hold-500", 1, 500, "soak", "held=10s"},
		{"silent", 1, 12, "always", "kinds=silent"},
		{"windows", 2, 14, "always", "window late"},
		{"orchestrated", 1, 9, "always", "orchestrate web"},
		{"shifts", 1, 21, "always", "caches=1"},
		{"late-documents", 1, 12, "always", "start  40s"},
	} {
		sc := open(t, c.name)
		if !strings.Contains(sc.text, c.words) {
			t.Errorf("%s does not say %q", c.name, c.words)
		}
		if c.machines <= 1000 {
			w, err := newWorld(sc, Options{Seed: 1})
			if err != nil || len(w.sites)-1 != c.sites || len(w.machines)-1 != c.machines {
				t.Errorf("%s: %d sites, %d machines, %v", c.name, len(w.sites)-1, len(w.machines)-1, err)
			}
		}
		if c.run == "" || c.run == "soak" && soak(0, 1) == 0 {
			continue
		}
		r, err := Run(sc, Options{Seed: 1, Check: true})
		if err != nil || len(r.Violations) > 0 || r.Installed+r.Lying == 0 && c.name != "pilot" {
			t.Errorf("%s: %v, %v; %d done", c.name, err, r.Violations, r.Installed)
		}
		t.Logf("%s: %s after %.0f s of virtual time, %d of %d machines done, WAN %.3f", c.name, r.Ended, r.Virtual, r.Installed, r.Machines, r.Amplification)
	}
}

// The bad patch of the pilot ring reaches the pilot alone.
func TestBadPatchStaysInThePilotRing(t *testing.T) {
	_, text := trace(t, open(t, "pilot"), 1, 1)
	got := regexp.MustCompile(`(?m)^\d+ installed m=(\S+) `).FindAllStringSubmatch(text, -1)
	if len(got) != 2 {
		t.Errorf("%d machines have it: %v", len(got), got)
	}
	for _, m := range got {
		if m[1] != "a-0" && m[1] != "a-1" {
			t.Errorf("%s has it", m[1])
		}
	}
}

// Windows and holds in the checker: an installation in a shut window, and a hold that comes too late.
func TestCheckerSeesWindowsAndLateHolds(t *testing.T) {
	_, text := trace(t, open(t, "windows"), 1, 1)
	if got, err := Check(strings.NewReader(text)); err != nil || len(got) > 0 {
		t.Fatalf("a good trace: %v, %v", got, err)
	}
	window := regexp.MustCompile(`(?m)^\d+ window .* id=late .*opens=(\d+) lasts=\d+$`)
	shifted := window.ReplaceAllStringFunc(text, func(s string) string { return regexp.MustCompile(`opens=\d+`).ReplaceAllString(s, "opens=0") })
	if got, _ := Check(strings.NewReader(shifted)); shifted == text || len(got) == 0 || got[0].Rule != "unapproved" || !strings.Contains(got[0].Text, "shut") {
		t.Errorf("installations in a shut window: %v", got)
	}
	late := "patchmesh-trace 1 scenario=x seed=1\n0 machine m=s site=hq egress=0 seed=1 groups=- lies=-\n0 machine m=a site=x egress=1 seed=0 groups=- lies=-\n" +
		"0 expect what=held limit=10s\n0 publish epoch=1 head=1 root=1 expires=900000000000\n0 boot m=a epoch=1 head=1\n" +
		"1000000000 publish epoch=2 head=2 root=1 expires=900000000000\n1000000000 hold head=2 id=h u=all group=- expires=0\n" +
		"TIME adopt m=a epoch=2 head=2 root=1\n60000000000 end why=done\n"
	for at, want := range map[string]int{"10000000000": 0, "12000000000": 1} {
		got, err := Check(strings.NewReader(strings.Replace(late, "TIME", at, 1)))
		if err != nil || len(got) != want {
			t.Errorf("a hold that is known at %s: %v, %v", at, got, err)
		}
	}
}
