package node

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// What somebody carries between headquarters and a site is handled at both ends without a word, once policy
// says so, and not before.
func TestMediumIsHandledBothWaysWherePolicyAllows(t *testing.T) {
	m := newMesh(t)
	a := m.offline("a", "north")
	b := m.offline("b", "north", a.addr)
	m.file("u1", static(1<<20))
	m.approve("u1")
	stick := t.TempDir()
	m.export(ExportRequest{Dir: stick, Site: "north"})
	var seen MediaSeen
	put := func(r *running) (*HandledMedium, error) {
		t.Helper()
		dirs := seen.Look([]string{filepath.Join(stick, "none"), stick, filepath.Dir(stick) + "/*"})
		if len(dirs) != 1 || dirs[0] != stick {
			t.Fatalf("looked at %v", dirs)
		}
		c := r.socket(t)
		h, err := HandleMedium(context.Background(), c, c.(api.Service), stick, 1<<30, time.Now)
		seen.Done(stick)
		if again := seen.Look([]string{stick}); len(again) != 0 {
			t.Errorf("its own work is handled again: %v", again)
		}
		seen = MediaSeen{} // it is pulled out
		return h, err
	}
	if h, err := put(a); api.ClassOf(err) != api.ClassRefused || a.believer.current().Epoch() == m.seed.believer.current().Epoch() {
		t.Fatalf("without policy: %+v, %v", h, err)
	}
	if _, err := m.seed.SetSetting(context.Background(), api.SettingRequest{Setting: policy.Setting{Name: policy.SetMediaImport, Group: "office", Value: "yes"}}); err != nil {
		t.Fatal(err)
	}
	m.export(ExportRequest{Dir: stick, Site: "north"})
	a.feed(t, stick) // by hand once: this brings the policy
	for _, r := range []*running{a, b} {
		until(t, "u1 to be installed", func() bool { return r.update(t, "u1").State == "installed" })
	}
	m.file("u2", static(1<<20))
	m.approve("u2")
	if h, err := put(m.seed); err != nil || h.Site != "north" || !h.Exported.Complete {
		t.Fatalf("at home: %+v, %v", h, err)
	}
	if h, err := put(a); err != nil || h.Imported.Approvals != "newer" || h.Returned.Reports != 2 || h.AsOf.IsZero() {
		t.Fatalf("at the site: %+v, %v", h, err)
	}
	for _, r := range []*running{a, b} {
		until(t, "u2 to be installed", func() bool { return r.update(t, "u2").State == "installed" })
	}
	if h, err := put(m.seed); err != nil || len(h.Imported.Returns) != 1 || h.Imported.Returns[0].Newer != 2 {
		t.Fatalf("home again: %+v, %v", h, err)
	}
	c := a.socket(t)
	if _, err := HandleMedium(context.Background(), c, c.(api.Service), stick, 1000, time.Now); api.ClassOf(err) != api.ClassRefused {
		t.Errorf("a medium that is too large: %v", err)
	}
	if _, err := HandleMedium(context.Background(), c, c.(api.Service), t.TempDir(), 1000, time.Now); api.ClassOf(err) != api.ClassNotFound {
		t.Errorf("no medium: %v", err)
	}
	m.noSeed(a, b)
}
