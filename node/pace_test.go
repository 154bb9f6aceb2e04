package node

import (
	"context"
	"strings"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/transport"
	"patchmesh/policy"
	"patchmesh/swarm/rate"
)

// said is what a machine tells of a limit; nil: none holds.
func (r *running) said(t *testing.T, class, dir string) *api.Limit {
	t.Helper()
	i, err := r.Node.Node(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return limitOf(i.Traffic.Limits, class, dir)
}

// C-13: towards other sites a limit holds from the first day, without a word of anybody, and the machine says so. In its own
// subnet, to its own site and to its site's seed there is none, and who wants none at all says it.
func TestC13ALimitTowardsOtherSitesHoldsByDefault(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{})
	far := transport.Peer{ID: "x", Site: "elsewhere"}
	for _, c := range []struct {
		what string
		set  []string
		wifi bool
		peer transport.Peer
		want rate.Rate
	}{
		{"a machine of another site", nil, false, far, policy.UsualSiteUp},
		{"one of another site in the own subnet", nil, false, transport.Peer{ID: "x", Site: "elsewhere", SameSubnet: true}, rate.Unlimited},
		{"a seed elsewhere", nil, false, transport.Peer{ID: "x", Site: "elsewhere", Seed: true}, rate.Unlimited},
		{"a neighbour", nil, false, transport.Peer{ID: "x", Site: a.member.Site}, rate.Unlimited},
		{"lifted", []string{"site.up=unlimited"}, false, far, rate.Unlimited},
		{"another one", []string{"site.up=5Mbit"}, false, far, 5e6 / 8},
		{"another one in the own subnet", []string{"site.up=5Mbit"}, false, transport.Peer{ID: "x", Site: "elsewhere", SameSubnet: true}, 5e6 / 8},
		{"on Wi-Fi", nil, true, far, wifiUp},
		{"on Wi-Fi in the own subnet", nil, true, transport.Peer{ID: "x", Site: "elsewhere", SameSubnet: true}, wifiUp},
	} {
		n := &Node{cfg: a.cfg, member: a.member}
		for _, text := range c.set {
			l, err := ParseLimit(text)
			if err != nil {
				t.Fatal(err)
			}
			n.cfg.Limits = append(n.cfg.Limits, l)
		}
		n.limits = newLimits(n)
		n.limits.linkChanged(c.wifi)
		if got := n.limits.of(c.peer, rate.Up).Rate(); got != c.want {
			t.Errorf("%s: %d bytes per second, want %d", c.what, got, c.want)
		}
		if got := n.limits.of(c.peer, rate.Down).Rate(); got != rate.Unlimited {
			t.Errorf("%s: what comes is limited to %d", c.what, got)
		}
	}
	l := a.said(t, "site", "up")
	if l == nil || l.From != api.LimitDefault || l.BytesPerSec != policy.UsualSiteUp {
		t.Errorf("the machine says of site.up %+v", l)
	}
	d, err := a.Doctor(context.Background(), api.DoctorQuery{Scopes: []string{api.ScopeWAN, api.ScopeStore}})
	if err != nil {
		t.Fatal(err)
	}
	for check, want := range map[string]string{"limit site.up": "default", "no limit": "wan.down, wan.up", "WAN budget": "none", "room": "default"} {
		if f := checkOf(d, check); f == nil || !f.OK || !strings.Contains(f.Detail, want) {
			t.Errorf("doctor says of %s: %+v", check, f)
		}
	}
}

func checkOf(d *api.Diagnosis, check string) *api.Finding {
	for i, f := range d.Findings {
		if f.Check == check {
			return &d.Findings[i]
		}
	}
	return nil
}

// A limit that somebody sets, and that of Wi-Fi, is one for all machines of other sites together, those of the own subnet
// too, also where their session began before.
func TestALimitTowardsOtherSitesIsOne(t *testing.T) {
	t.Parallel()
	a := newMesh(t).machine("a", "", Config{})
	far, near := transport.Peer{ID: "x", Site: "elsewhere"}, transport.Peer{ID: "y", Site: "elsewhere", SameSubnet: true}
	l := newLimits(&Node{cfg: a.cfg, member: a.member})
	if l.of(near, rate.Up) != nil || l.of(far, rate.Up) == nil {
		t.Error("the default is for those alone that are elsewhere")
	}
	l.linkChanged(true)
	if l.of(near, rate.Up) != l.of(far, rate.Up) {
		t.Error("on Wi-Fi each of two has a rate of its own")
	}
	l.linkChanged(false)
	l.stated.Store(readStated(map[string]policy.Effective{"limit-site-up": {Value: "5Mbit", Source: "office"}}))
	l.apply(time.Now())
	if l.of(near, rate.Up) != l.of(far, rate.Up) || l.of(near, rate.Up).Rate() != 5e6/8 {
		t.Error("what is signed does not hold for all of them together")
	}
}

// C-70: what is signed for a group holds on its running machines at once, beside what each one's command line says, of
// which the stricter counts, and goes again when it is taken back.
func TestC70SignedLimitsHoldOnRunningMachines(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	own, err := ParseLimit("wan.down=1Mbit")
	if err != nil {
		t.Fatal(err)
	}
	a := m.machine("a", "", Config{StoreQuota: "8GiB"})
	b := m.machine("b", a.addr, Config{Limits: rate.Limits{own}})
	sign := func(name, value string) {
		t.Helper()
		if _, err := m.seed.SetSetting(context.Background(), api.SettingRequest{Setting: policy.Setting{Name: name, Group: "office", Value: value}, Drop: value == ""}); err != nil {
			t.Fatal(err)
		}
	}
	sign("limit-wan-down", "10Mbit")
	sign("limit-site-up", "unlimited")
	sign("wan-budget-day", "3GB@Europe/Berlin")
	sign("store-quota", "5GiB")
	sign("store-reserve", "1MiB")
	until(t, "the rate to hold on a", func() bool {
		l := a.said(t, "wan", "down")
		return l != nil && l.BytesPerSec == 1250e3 && l.From == api.LimitSigned && l.Group == "office"
	})
	if got := a.limits.pace[rate.WAN][rate.Down].Rate(); got != 1250e3 {
		t.Errorf("bytes are paced at %d", got)
	}
	until(t, "the default to be lifted", func() bool { return a.said(t, "site", "up") == nil && b.said(t, "site", "up") == nil })
	if l := b.said(t, "wan", "down"); l == nil || l.BytesPerSec != 125e3 || l.From != api.LimitFlag {
		t.Errorf("b, which was told less by its command line, says %+v", l)
	}
	until(t, "the budget to hold", func() bool {
		i, err := a.Node.Node(context.Background())
		return err == nil && i.Traffic.Budget != nil && i.Traffic.Budget.DayLimit == 3e9
	})
	until(t, "the quota to hold", func() bool {
		u, err := a.store.Usage()
		return err == nil && u.QuotaBytes == 5<<30 && u.ReserveBytes == 1<<20
	})
	d, err := a.Doctor(context.Background(), api.DoctorQuery{})
	if err != nil {
		t.Fatal(err)
	}
	for check, want := range map[string]string{"limit wan.down": "signed for office", "WAN budget": "wan-budget-day (office)", "room": "from --store-quota, and signed for office"} {
		if f := checkOf(d, check); f == nil || !strings.Contains(f.Detail, want) {
			t.Errorf("doctor says of %s: %+v", check, f)
		}
	}
	for _, name := range []string{"limit-wan-down", "limit-site-up", "wan-budget-day", "store-quota", "store-reserve"} {
		sign(name, "")
	}
	until(t, "all to be as before", func() bool {
		u, err := a.store.Usage()
		i, ierr := a.Node.Node(context.Background())
		return err == nil && ierr == nil && u.QuotaBytes == 8<<30 && i.Traffic.Budget == nil && a.said(t, "wan", "down") == nil && a.said(t, "site", "up") != nil
	})
}

// What is signed by the hour holds by the hour, and of what holds together the lowest.
func TestC70SignedTimetables(t *testing.T) {
	at := func(text string) time.Time {
		x, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	s := readStated(map[string]policy.Effective{"limit-wan-down": {Value: "10Mbit,1Mbit@Mon-Fri/08:00-18:00@UTC&off@12:00-13:00@UTC", Source: "a, b"}})
	for when, want := range map[string]rate.Rate{"2026-03-02T07:00:00Z": 1250e3, "2026-03-02T09:00:00Z": 125e3, "2026-03-02T12:30:00Z": 0, "2026-03-01T12:30:00Z": 0, "2026-03-01T14:00:00Z": 1250e3} {
		h, stated := s.rate(rate.WAN, rate.Down).at(rate.WAN, rate.Down, at(when))
		if h.rate != want || !stated || !h.until.After(at(when)) || h.group != "a, b" {
			t.Errorf("at %s: %+v, want %d", when, h, want)
		}
	}
	if s.rate(rate.WAN, rate.Up) != nil || (*statedLimits)(nil).rate(rate.LAN, rate.Up) != nil {
		t.Error("a rate of which nobody spoke")
	}
}

// A limit for some hours says nothing of the others: there the default goes on, unless somebody has lifted it.
func TestALimitOfSomeHoursLiftsNoDefault(t *testing.T) {
	t.Parallel()
	a := newMesh(t).machine("a", "", Config{})
	office, night := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC), time.Date(2026, 3, 2, 20, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		what, flag, signed string
		wifi               bool
		office, night      rate.Rate
		from               string // at night
	}{
		{"signed", "", "5Mbit@08:00-18:00@UTC", false, 5e6 / 8, policy.UsualSiteUp, api.LimitDefault},
		{"signed, on Wi-Fi", "", "5Mbit@08:00-18:00@UTC", true, 5e6 / 8, wifiUp, api.LimitDefault},
		{"on the command line", "site.up=5Mbit@08:00-18:00@UTC", "", false, 5e6 / 8, policy.UsualSiteUp, api.LimitDefault},
		{"both, of other hours", "site.up=5Mbit@08:00-12:00@UTC", "3Mbit@19:00-23:00@UTC", false, 5e6 / 8, 3e6 / 8, api.LimitSigned},
		{"several of a depth", "", "5Mbit@08:00-18:00@UTC&4Mbit@08:00-10:00@UTC", false, 4e6 / 8, policy.UsualSiteUp, api.LimitDefault},
		{"lifted for the rest", "", "unlimited,5Mbit@08:00-18:00@UTC", false, 5e6 / 8, rate.Unlimited, api.LimitSigned},
		{"lifted at night", "site.up=unlimited@18:00-08:00@UTC", "", false, policy.UsualSiteUp, rate.Unlimited, api.LimitFlag},
	} {
		n := &Node{cfg: a.cfg, member: a.member}
		if c.flag != "" {
			l, err := ParseLimit(c.flag)
			if err != nil {
				t.Fatal(err)
			}
			n.cfg.Limits = rate.Limits{l}
		}
		l := newLimits(n)
		if c.signed != "" {
			l.stated.Store(readStated(map[string]policy.Effective{"limit-site-up": {Value: c.signed, Source: "office"}}))
		}
		l.wifi.Store(c.wifi)
		day, dark := l.at(rate.Site, rate.Up, office), l.at(rate.Site, rate.Up, night)
		if day.rate != c.office || dark.rate != c.night || dark.from != c.from {
			t.Errorf("%s: %d by day, %d at night from %q; want %d, %d from %q", c.what, day.rate, dark.rate, dark.from, c.office, c.night, c.from)
		}
		if !day.until.After(office) || !dark.until.After(night) {
			t.Errorf("%s: it is not looked at again: %v, %v", c.what, day.until, dark.until)
		}
	}
}
