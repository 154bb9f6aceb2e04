package sim

import (
	"errors"
	"regexp"
	"strings"
	"testing"
)

// Three sites without a line get news and bytes by a stick and by a laptop, stale sticks, cut off ones and
// those that somebody has changed among them.
func TestSticksAndALaptopReachSitesWithoutALine(t *testing.T) {
	sc := open(t, "offline-3")
	media, wrong := 0, 0
	for seed := range uint64(soak(3, 200)) {
		r, text := trace(t, sc, seed, 1)
		for _, v := range r.Violations {
			t.Errorf("seed %d: %v", seed, v)
		}
		if r.Installed != r.Machines || r.Ended != "done" {
			t.Errorf("seed %d: %d of %d machines have what is approved", seed, r.Installed, r.Machines)
		}
		media += strings.Count(text, "tier=media")
		wrong += len(regexp.MustCompile(`way=in .*wrong=1`).FindAllString(text, -1))
	}
	if media == 0 || wrong == 0 {
		t.Errorf("%d chunks came by stick, %d sticks were changed: nothing was shown", media, wrong)
	}
}

func TestMixedFaultsWithSticksBreakNoPromise(t *testing.T) {
	runs(t, "mixed-sticks", 1, soak(8, 1000))
}

// Machines in a network of their own get everything through the one neighbour that stands in both, and the
// line carries it once.
func TestIsolatedNetworkIsFedByItsNeighbour(t *testing.T) {
	r, text := trace(t, open(t, "vlan"), 1, 1)
	for _, v := range r.Violations {
		t.Error(v)
	}
	if r.Installed != 20 || r.Amplification != 1 {
		t.Errorf("%d of %d machines, %.3f times over the WAN", r.Installed, r.Machines, r.Amplification)
	}
	if bad := regexp.MustCompile(`stored m=plant-1[2-9] .* from=plant-([0-9]|10) `).FindString(text); bad != "" {
		t.Errorf("across the wall: %s", bad)
	}
	if !regexp.MustCompile(`stored m=plant-1[2-9] .* from=plant-11 `).MatchString(text) {
		t.Error("nothing came from the neighbour in both networks")
	}
}

func TestCheckerSeesPlantedSticks(t *testing.T) {
	_, text := trace(t, open(t, "offline-3"), 1, 1)
	read := regexp.MustCompile(`(?m)^(\d+) stick m=(a-\d) way=in head=\d+ wrong=0\n`).FindStringSubmatch(text)
	if read == nil {
		t.Fatal("nothing is read in the first site")
	}
	installed := regexp.MustCompile(`(?m)^\d+ installed m=b-3 .*\n`).FindString(text)
	for _, c := range []struct{ rule, old, now string }{
		{"stick", read[0], strings.Replace(read[0], "wrong=0", "wrong=1", 1)},
		{"stick", read[0], ""},
		{"stick", read[0], regexp.MustCompile(`head=\d+`).ReplaceAllString(read[0], "head=77")},
		{"carried", installed, ""},
		{"wrong-byte", "tier=media bytes=262144 fresh=1 good=1", "tier=media bytes=262144 fresh=1 good=0"},
	} {
		planted := strings.Replace(text, c.old, c.now, 1)
		if planted == text {
			t.Errorf("%s: nothing was planted", c.rule)
			continue
		}
		got, err := Check(strings.NewReader(planted))
		seen := false
		for _, v := range got {
			seen = seen || v.Rule == c.rule
		}
		if err != nil || !seen {
			t.Errorf("planted a violation of %q: the checker says %v, %v", c.rule, got, err)
		}
	}
}

func TestSticksAndNetworksAreReadOrRefused(t *testing.T) {
	for _, text := range []string{
		"site a machines=3\nfault stick path=a", "site a machines=3\nfault stick path=a-nowhere", "site a machines=3\nfault stick colour=red",
		"site a machines=3\nfault roam machine=b-1", "site a machines=3\nfault swap count=x", "site a machines=3 vlan=x",
	} {
		sc, err := ParseScenario("t", text)
		if err == nil {
			_, err = newWorld(sc, Options{Seed: 1})
		}
		if !errors.Is(err, ErrScenario) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
