package node

import (
	"context"
	"strings"
	"testing"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// R-H1: a seed that is asked for the windows of another machine says that it read local times by its own clock; the machine
// itself knows, and windows with a zone of their own are the same everywhere.
func TestRH1ASeedSaysByWhichClockItReadLocalWindows(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	m := newMesh(t)
	a := m.machine("a", "", Config{})
	until(t, "the inventory to reach the seed", func() bool { return m.inventory("a").Inventory != nil })
	told := m.inventory("a").Inventory.Zone != "" // not on a system that does not name its zone
	for zone, assumed := range map[string]bool{policy.ZoneLocal: !told, "Europe/Berlin": false} {
		if _, err := m.seed.SetWindow(ctx, api.WindowRequest{Window: policy.Window{ID: "w", Group: "all", Rule: "FREQ=DAILY", From: "2026-01-01", At: "01:00", Zone: zone, Minutes: 60}}); err != nil {
			t.Fatal(err)
		}
		if w, err := m.seed.Windows(ctx, api.WindowsQuery{Machine: "a"}); err != nil || len(w.Openings) == 0 || w.ZoneAssumed != assumed {
			t.Errorf("%s: %+v, %v", zone, w, err)
		}
		until(t, "the window to be known", func() bool {
			w, err := a.Windows(ctx, api.WindowsQuery{})
			return err == nil && len(w.Windows) == 1 && w.Windows[0].Zone == zone && !w.ZoneAssumed
		})
	}
}

// A zone that was signed and that a machine does not know, as its zone database is older than that of the seed, costs it neither its
// approvals nor other updates; doctor, explain and 'windows next' say which it is.
func TestAZoneThatIsNotKnownIsTold(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	m := newMesh(t)
	a := m.machine("a", "", Config{})
	const nowhere = "America/Newtown"
	w := policy.Window{ID: "w", Group: "office", Rule: "FREQ=DAILY", From: "2026-01-01", At: "01:00", Zone: nowhere, Minutes: 60}
	if _, err := m.seed.SetWindow(ctx, api.WindowRequest{Window: w}); err == nil {
		t.Fatal("a seed that does not know the zone lets it be stated")
	}
	if _, err := m.seed.seed.change(wish{summary: "a window"}, func(s *sheet) error { // as one that knows it would
		s.windows = append(s.windows, w)
		s.settings = append(s.settings, policy.Setting{Name: "limit-wan-down", Group: "office", Value: "5Mbit,1Mbit@00:00-24:00@" + nowhere})
		return m.seed.seed.needGroup(s, "office")
	}); err != nil {
		t.Fatal(err)
	}
	until(t, "the limit to hold by the machine's own clock", func() bool {
		l := a.said(t, "wan", "down")
		return l != nil && l.BytesPerSec == 125e3
	})
	m.file("u1", payload(1000))
	m.approve("u1")
	until(t, "the update to wait", func() bool {
		u := a.update(t, "u1")
		return u.Reason == string(policy.ReasonWindowNone) && strings.Contains(u.Detail, nowhere)
	})
	d, err := a.Doctor(ctx, api.DoctorQuery{Scopes: []string{api.ScopeTime}})
	if err != nil {
		t.Fatal(err)
	}
	for _, check := range []string{"window w", "limit-wan-down"} {
		if f := checkOf(d, check); f == nil || f.OK || !strings.Contains(f.Detail, nowhere) {
			t.Errorf("doctor says of %s: %+v", check, f)
		}
	}
	if v, err := a.Windows(ctx, api.WindowsQuery{}); err != nil || len(v.UnknownZones) != 2 || v.Anytime || len(v.Openings) != 0 {
		t.Errorf("windows: %+v, %v", v, err)
	}
}
