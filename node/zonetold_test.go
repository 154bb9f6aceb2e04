package node

import (
	"context"
	"strings"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// tellsZone keeps an inventory of a machine that does not run; an empty zone is what older agents tell.
func (m *mesh) tellsZone(id, zone string) {
	m.t.Helper()
	facts := policy.Inventory{OS: "linux", Arch: "amd64", Zone: zone, At: time.Now(), Systems: []policy.PackageSystem{}, Packages: []policy.Package{}}
	if err := m.seed.seed.keepStock(id, &stock{Facts: facts, Base: baseName(nil), Whole: true}, 0); err != nil {
		m.t.Fatal(err)
	}
}

// R-H1: a seed reads the local windows of a machine by the zone that the machine has told, and a forecast is made with
// it; only where a machine has told none it takes its own, and says so.
func TestRH1ASeedReadsLocalWindowsByTheZoneOfTheMachine(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	m := newMesh(t)
	m.member("tokyo", nil)
	m.member("older", nil)
	m.tellsZone("tokyo", "Asia/Tokyo")
	m.tellsZone("older", "")
	if _, err := m.seed.SetWindow(ctx, api.WindowRequest{Window: policy.Window{ID: "w", Group: "all", Rule: "FREQ=DAILY", From: "2026-01-01", At: "01:00", Zone: policy.ZoneLocal, Minutes: 60}}); err != nil {
		t.Fatal(err)
	}
	w, err := m.seed.Windows(ctx, api.WindowsQuery{Machine: "tokyo", Count: 2})
	if err != nil || w.ZoneAssumed || w.Zone != "Asia/Tokyo" || len(w.Openings) != 2 || w.Openings[1].From.UTC().Format("15:04") != "16:00" {
		t.Errorf("%+v, %v", w, err)
	}
	if w, err := m.seed.Windows(ctx, api.WindowsQuery{Machine: "older"}); err != nil || !w.ZoneAssumed || w.Zone != time.Local.String() {
		t.Errorf("%+v, %v", w, err)
	}
	m.file("u", payload(1000))
	p, err := m.seed.WhatIf(ctx, api.ApproveRequest{Update: "u", Group: "all"})
	if err != nil || len(p.Zones) == 0 || p.Zones["tokyo"] != "Asia/Tokyo" || p.Zones["older"] != "" {
		t.Errorf("%+v, %v", p, err)
	}
}

// R-H1: the warning at approval asks of windows what machines ask: whether the update's run time fits, and by which clock.
func TestRH1WarningsAskOfWindowsWhatMachinesAsk(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	m := newMesh(t)
	m.member("tokyo", nil)
	m.tellsZone("tokyo", "Asia/Tokyo")
	now := time.Now().UTC()
	// It opens in about half an hour by Tokyo's clock, and by others much later or earlier.
	at := now.Add(30 * time.Minute).Add(9 * time.Hour).Format("15:04")
	if _, err := m.seed.SetWindow(ctx, api.WindowRequest{Window: policy.Window{ID: "w", Group: "all", Rule: "FREQ=DAILY", From: "2026-01-01", At: at, Zone: policy.ZoneLocal, Minutes: 60}}); err != nil {
		t.Fatal(err)
	}
	a := policy.Approval{Group: "all", Action: policy.ActionInstall, At: now, Deadline: now.Add(2 * time.Hour)}
	warned := func(id string, seconds int, a policy.Approval) string {
		t.Helper()
		r := api.ImportRequest{FileName: id, SizeBytes: 1, ID: id, Installer: "file", InstallerArgs: map[string]string{"dest": "/srv/" + id}}
		r.MaxRunSeconds = seconds
		i, err := m.seed.Import(ctx, r, strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		row, err := m.seed.db.Update(i.Update)
		if err != nil {
			t.Fatal(err)
		}
		a.Update, a.Revision, a.Descriptor = policy.UpdateID(id), row.Revision, row.Descriptor
		return strings.Join(m.seed.seed.tooLate(a), "\n")
	}
	has := func(text string, want, not policy.Reason) {
		t.Helper()
		if want != "" && !strings.Contains(text, string(want)) || strings.Contains(text, string(not)) {
			t.Errorf("warned of %q, not %q: %s", want, not, text)
		}
	}
	// The seed itself, on another clock, may be late; tokyo is not, and is named first where it is.
	if text := warned("fits", 600, a); strings.Contains(text, "tokyo") {
		t.Error(text)
	}
	has(warned("long", 7200, a), policy.ReasonWindowTooShort, policy.ReasonWindowLate)
	early := a
	early.Deadline = now.Add(time.Minute)
	has(warned("late", 600, early), policy.ReasonWindowLate, policy.ReasonWindowTooShort)
	m.tellsZone("tokyo", "")
	if text := warned("assumed", 600, early); !strings.Contains(text, "not told their time zone") {
		t.Error(text)
	}
}
