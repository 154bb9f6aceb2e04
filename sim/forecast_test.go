package sim

import (
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC) // a Wednesday

// planted makes fleets for forecasts: an update of so many bytes that is approved by a.
func planted(t testing.TB, size int64, a policy.Approval, edit func(*policy.Manifest, *Fleet)) *Fleet {
	t.Helper()
	sum := content.Sum([]byte("plain")).SHA256()
	d := &policy.Descriptor{
		Update: "u1", Revision: 3, Title: "u1", Severity: "critical", Classification: "security", Installer: "file", Requires: []string{"file"},
		FileName: "u1.bin", Payload: content.Sum([]byte("payload of u1")), MapBytes: 200, PlainBytes: size, StoredBytes: size,
		SHA256: hex.EncodeToString(sum[:]), Removable: true, InstallerArgs: map[string]string{"dest": "/opt/u1"},
	}
	b, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	a.Update, a.Revision, a.Descriptor, a.DescriptorBytes, a.At = "u1", 3, content.Sum(b), len(b), noon
	if a.Action == "" {
		a.Action = policy.ActionInstall
	}
	if a.Group == "" {
		a.Group = policy.GroupAll
	}
	f := &Fleet{At: noon, Update: "u1", Descriptors: [][]byte{b}, SeedSite: "head", SeedUp: 1e9 / 8}
	m := &policy.Manifest{Org: "acme", Epoch: 7, IssuedAt: noon, Groups: []policy.Group{}, Approvals: []policy.Approval{a}, Holds: []policy.Hold{}}
	if edit != nil {
		edit(m, f)
	}
	if f.Manifest, err = m.Encode(); err != nil {
		t.Fatal(err)
	}
	return f
}

// branch adds a site with so many machines that are on, two of which may use the line.
func (f *Fleet) branch(name string, machines int, mbit float64, groups ...string) {
	f.Sites = append(f.Sites, FleetSite{Name: name, WAN: mbit * 1e6 / 8, LAN: 1e9 / 8, Delay: 15 * time.Millisecond})
	for i := range machines {
		f.Machines = append(f.Machines, FleetMachine{
			ID: fmt.Sprintf("%s-%d", name, i), Name: fmt.Sprintf("%s-%d", name, i), Site: name, Groups: groups, Egress: i < 2, On: true,
			LastContact: noon, Installed: map[string]int{}, Have: map[string]int64{},
		})
	}
}

func forecast(t testing.TB, f *Fleet) *Forecast {
	t.Helper()
	got, err := f.Forecast(ForecastOptions{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("affected %d done %d, WAN %d, done 50/95/100 %s %s %s, missing %d", got.Affected, got.Done, got.WANBytes,
		got.Done50.Sub(noon), got.Done95.Sub(noon), got.Done100.Sub(noon), got.Missing)
	for _, s := range got.Sites {
		t.Logf("  %s: %d affected, %d done, WAN %d, LAN %d, last %s, missing %d %v", s.Site, s.Affected, s.Done, s.WANBytes, s.LANBytes, s.Done100.Sub(noon), s.Missing, s.Why)
	}
	return got
}

func (f *Forecast) site(name string) SiteForecast {
	for _, s := range f.Sites {
		if s.Site == name {
			return s
		}
	}
	return SiteForecast{}
}

const mebi = 1 << 20

func TestForecastNamesTheSiteWhoseLineIsTooThin(t *testing.T) {
	f := planted(t, 32*mebi, policy.Approval{Deadline: noon.Add(90 * time.Second)}, func(m *policy.Manifest, f *Fleet) {
		m.Groups = []policy.Group{{Name: "kept"}, {Name: "office"}}
		m.Holds = []policy.Hold{{ID: "h-1", Update: "u1", Group: "kept", Kind: "pause", Reason: "not there", At: noon}}
		f.branch("fat", 6, 100, "office")
		f.branch("thin", 6, 2, "office")
		f.branch("quiet", 3, 100, "kept")
		f.Machines[0].Installed["u1"] = 3
		f.Machines[5].On, f.Machines[5].LastContact = false, noon.Add(-48*time.Hour)
	})
	got := forecast(t, f)
	if got.Affected != 11 || got.HaveIt != 1 || got.Held != 3 || got.Off != 1 || got.Done != 10 || got.Machines != 15 {
		t.Errorf("counts: %+v", got)
	}
	fat, thin := got.site("fat"), got.site("thin")
	if fat.WANBytes != 32*mebi || thin.WANBytes != 32*mebi || got.Amplification != 1 {
		t.Errorf("over the WAN: %d and %d bytes, %.4f times", fat.WANBytes, thin.WANBytes, got.Amplification)
	}
	if thin.LANBytes != 5*32*mebi {
		t.Errorf("within the thin site: %d bytes", thin.LANBytes)
	}
	// 32 MiB over 2 Mbit/s take 134 s, 141 s with headers; ten more for the installation.
	if took := thin.Done100.Sub(noon); took < 134*time.Second || took > 200*time.Second {
		t.Errorf("the thin site is done after %v", took)
	}
	if thin.Missing != 6 || len(thin.Why) != 1 || thin.Why[0].Reason != "wan-thin" || !strings.Contains(thin.Why[0].Text, "2 Mbit/s needs 2m14s") {
		t.Errorf("why the thin site misses the deadline: %+v", thin)
	}
	if fat.Missing != 1 || len(fat.Why) != 1 || fat.Why[0].Reason != "machines-off" {
		t.Errorf("why the fat site misses it: %+v", fat)
	}
	if got.Done100.IsZero() || got.Done50.After(got.Done95) || !got.Done95.Equal(thin.Done100) {
		t.Errorf("shares: %s %s %s", got.Done50, got.Done95, got.Done100)
	}
	again := forecast(t, f)
	if !reflect.DeepEqual(got, again) {
		t.Error("the same fleet gives two answers")
	}
}

// R-X13, R-B1: machines that only look for an update, since it is approved for others, are none that the approval addresses.
func TestForecastDoesNotCountWhoOnlyLooks(t *testing.T) {
	f := planted(t, mebi, policy.Approval{Group: "office"}, func(m *policy.Manifest, f *Fleet) {
		m.Groups = []policy.Group{{Name: "lab"}, {Name: "office"}}
		look := m.Approvals[0]
		look.Group, look.Action = policy.GroupAll, policy.ActionDetectOnly
		m.Approvals = append(m.Approvals, look)
		f.branch("north", 4, 100, "office")
		f.branch("south", 3, 100, "lab")
		f.Machines[3].Installed["u1"], f.Machines[4].Installed["u1"] = 3, 3
	})
	if got := forecast(t, f); got.Affected != 3 || got.HaveIt != 1 || got.NotForThem != 0 || got.Machines != 7 {
		t.Errorf("counts: %+v", got)
	}
}

func TestForecastWaitsForWindowsWithoutRunningThem(t *testing.T) {
	f := planted(t, 4*mebi, policy.Approval{Deadline: noon.Add(48 * time.Hour)}, func(m *policy.Manifest, f *Fleet) {
		m.Groups = []policy.Group{{Name: "night"}, {Name: "sunday"}}
		m.Windows = []policy.Window{
			{ID: "daily", Group: "night", Rule: "FREQ=DAILY", From: "2026-01-01", At: "22:00", Zone: "UTC", Minutes: 120, SpreadMinutes: 30},
			{ID: "weekly", Group: "sunday", Rule: "FREQ=WEEKLY;BYDAY=SU", From: "2026-01-04", At: "03:00", Zone: "UTC", Minutes: 120},
		}
		f.branch("a", 5, 50, "night")
		f.branch("b", 5, 50, "sunday")
	})
	got := forecast(t, f)
	a, b := got.site("a"), got.site("b")
	if from := noon.Add(10 * time.Hour); a.Done50.Before(from) || a.Done100.After(from.Add(31*time.Minute)) || a.Missing != 0 {
		t.Errorf("the site with a window each night: %+v", a)
	}
	sunday := time.Date(2026, 11, 29, 3, 0, 0, 0, time.UTC)
	if b.Done100.Before(sunday) || b.Done100.After(sunday.Add(time.Minute)) || b.Missing != 5 {
		t.Errorf("the site with a window each Sunday: %+v", b)
	}
	if len(b.Why) != 1 || b.Why[0].Reason != "window" || !strings.Contains(b.Why[0].Text, "2026-11-29") {
		t.Errorf("why it misses the deadline: %+v", b.Why)
	}
	if a.WANBytes != 4*mebi || b.WANBytes != 4*mebi {
		t.Errorf("WAN bytes %d, %d", a.WANBytes, b.WANBytes)
	}
}

func TestForecastGoesAlongRings(t *testing.T) {
	f := planted(t, 4*mebi, policy.Approval{RingPlan: "careful", RingsOpened: []time.Time{noon}, Deadline: noon.Add(20 * time.Hour)}, func(m *policy.Manifest, f *Fleet) {
		m.Groups = []policy.Group{{Name: "elsewhere"}, {Name: "office"}, {Name: "pilot"}}
		m.RingPlans = []policy.RingPlan{{Name: "careful", Rings: []policy.Ring{
			{Name: "pilot", Groups: []string{"pilot"}, SoakMinutes: 24 * 60, SuccessPercent: 100, Manual: true},
			{Name: "broad", Groups: []string{"office"}},
		}}}
		f.branch("a", 2, 50, "pilot")
		f.branch("b", 4, 50, "office")
		f.branch("c", 2, 50, "elsewhere")
	})
	got := forecast(t, f)
	if len(got.Rings) != 2 || !got.Rings[0].OpensAt.Equal(noon) || got.Rings[1].OpensAt.Before(noon.Add(24*time.Hour)) || got.Rings[1].OpensAt.After(noon.Add(24*time.Hour+time.Minute)) {
		t.Errorf("rings: %+v", got.Rings)
	}
	b := got.site("b")
	if b.Done != 4 || b.Done100.Before(got.Rings[1].OpensAt) || b.Done100.After(got.Rings[1].OpensAt.Add(2*time.Minute)) {
		t.Errorf("the second ring: %+v", b)
	}
	if b.Missing != 4 || b.Why[0].Reason != "ring" || !strings.Contains(b.Why[0].Text, "ring broad opens on 2026-11-26 12:00 UTC") || got.NoRing != 2 {
		t.Errorf("why it misses the deadline: %+v; %d in no ring", b.Why, got.NoRing)
	}
	if !strings.Contains(strings.Join(got.Assumptions, "\n"), "after pilot") {
		t.Errorf("nobody says that somebody must open a ring: %q", got.Assumptions)
	}
}

func TestForecastKeepsToBudgetsAndDisks(t *testing.T) {
	f := planted(t, 8*mebi, policy.Approval{Deadline: noon.Add(4 * time.Hour)}, func(m *policy.Manifest, f *Fleet) {
		f.branch("spent", 3, 50)
		f.Sites[0].DayBytes, f.Sites[0].DaySpent, f.Sites[0].Strict = 20*mebi, 17*mebi, true
		f.branch("full", 3, 50)
		f.Machines[3].DiskShort = true
		f.branch("shut", 2, 50)
		for i := range f.Machines[6:] {
			f.Machines[6+i].Egress = false
		}
		f.branch("begun", 4, 50)
		for i := range f.Machines[8:] {
			f.Machines[8+i].Have["u1"] = 8 * mebi
		}
	})
	got := forecast(t, f)
	spent := got.site("spent")
	if spent.Missing != 3 || spent.Why[0].Reason != "wan-budget" || spent.Done != 3 {
		t.Errorf("a site without budget: %+v", spent)
	}
	if midnight := noon.Add(12 * time.Hour); spent.Done100.Before(midnight) || spent.Done100.After(midnight.Add(5*time.Minute)) {
		t.Errorf("it goes on at %s, not when the budget begins anew", spent.Done100)
	}
	if full := got.site("full"); full.Missing != 1 || full.Done != 2 || full.Why[0].Reason != "disk-short" || full.WANBytes != 8*mebi {
		t.Errorf("a site with a full disk: %+v", full)
	}
	if shut := got.site("shut"); shut.Done != 0 || shut.Missing != 2 || shut.Why[0].Reason != "no-egress" {
		t.Errorf("a site without a way out: %+v", shut)
	}
	if begun := got.site("begun"); begun.WANBytes != 0 || begun.LANBytes != 0 || begun.Done != 4 || begun.Missing != 0 {
		t.Errorf("a site that has the bytes: %+v", begun)
	}
}

// A cache of a site stores what is approved for its neighbours: that crosses the site's own network once more, and
// the line not again.
func TestForecastCountsWhatCachesStore(t *testing.T) {
	const size = 4 << 20
	of := func(cache bool) *Forecast {
		return forecast(t, planted(t, size, policy.Approval{Group: "desks"}, func(m *policy.Manifest, f *Fleet) {
			m.Groups = append(m.Groups, policy.Group{Name: "desks"})
			f.branch("north", 4, 20, "desks")
			f.Machines[3].Groups, f.Machines[3].Cache = nil, cache
		}))
	}
	bare, with := of(false), of(true)
	if bare.WANBytes != size || with.WANBytes != size || bare.Done != 3 || with.Done != 3 {
		t.Errorf("the line carries %d bytes, with a cache %d; %d and %d machines are done", bare.WANBytes, with.WANBytes, bare.Done, with.Done)
	}
	if got := with.Sites[0].LANBytes - bare.Sites[0].LANBytes; got != size {
		t.Errorf("the cache stores %d bytes, want %d", got, size)
	}
}
