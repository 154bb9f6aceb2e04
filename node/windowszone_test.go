package node

import (
	"context"
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
