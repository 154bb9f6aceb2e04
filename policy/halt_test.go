package policy

import (
	"testing"
	"time"
)

// R-B13, R-B10: the halt of a ring plan is opened for a machine as a brake is; what only looks like one is not: an
// admin's pause, one of everything, of a group, or of a role.
func TestRB13AHaltIsOpenedAndNothingThatOnlyLooksLikeOne(t *testing.T) {
	halt := Hold{ID: "ring-20260302T090000-1", Update: "u", Kind: HoldPause, Reason: "halted", At: t0}
	for name, c := range map[string]struct {
		edit func(*Hold)
		open bool
	}{
		"a halt":                    {func(*Hold) {}, true},
		"a pause":                   {func(h *Hold) { h.ID = "h-0f3a5c2b9d11" }, false},
		"a pause of all":            {func(h *Hold) { h.Update = AllUpdates }, false},
		"a pause of a group":        {func(h *Hold) { h.Group = GroupAll }, false},
		"a freeze":                  {func(h *Hold) { h.Update, h.Kind, h.ExpiresAt = AllUpdates, HoldFreeze, t0.Add(time.Hour) }, false},
		"a role's":                  {func(h *Hold) { h.role = "ring" }, false},
		"one that cannot be read":   {func(h *Hold) { h.Reason = unreadable }, false},
		"a brake of that name":      {func(h *Hold) { h.Kind, h.revision = HoldBrake, 1 }, true},
		"a halt of another version": {func(h *Hold) { h.ID = "ring-1" }, true},
	} {
		h := halt
		c.edit(&h)
		m := &Manifest{Holds: []Hold{h}, HoldExceptions: []HoldException{{ID: "x", Hold: h.ID, Machine: "m1", Reason: "r", At: t0, Until: t0.Add(time.Hour)}}}
		_, held := m.holdsFor(m.belongs(Machine{ID: "m1"}), Machine{ID: "m1"}, t0).on("u", 1)
		if held == c.open {
			t.Errorf("%s: held %v", name, held)
		}
	}
}
