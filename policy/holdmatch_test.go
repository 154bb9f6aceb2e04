package policy

import (
	"errors"
	"testing"
	"time"
)

func TestRB13ASafeguardStopsOnlyMachinesThatItIsFor(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	m := &Manifest{Holds: []Hold{{ID: "h", Update: "u", Kind: "safeguard", Reason: "hangs", Match: &HoldMatch{Arch: []string{"arm64"}, Present: []UpdateID{"driver"}}}}}
	detected := func(present bool) map[UpdateID]Detection { return map[UpdateID]Detection{"driver": {Present: present}} }
	for _, c := range []struct {
		name string
		mach Machine
		held bool
	}{
		{"both fit", Machine{Arch: "arm64", Detected: detected(true)}, true},
		{"another architecture", Machine{Arch: "amd64", Detected: detected(true)}, false},
		{"without the driver", Machine{Arch: "arm64", Detected: detected(false)}, false},
		{"not looked at yet", Machine{Arch: "arm64"}, true},
		{"looking did not work", Machine{Arch: "arm64", Detected: map[UpdateID]Detection{"driver": {Err: ReasonDiskError}}}, true},
	} {
		if _, held := m.holdsFor(belonging{in: m.depths(nil)}, c.mach, now).on("u", 1); held != c.held {
			t.Errorf("%s: held %v", c.name, held)
		}
	}
}

func TestRB11HoldsOfEachKindAreChecked(t *testing.T) {
	end := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	arm := &HoldMatch{Arch: []string{"arm64"}}
	for _, h := range []Hold{
		{Update: "u", Kind: "stop"}, {Update: "u", Kind: "freeze", ExpiresAt: end}, {Update: AllUpdates, Kind: "freeze"},
		{Update: "u", Kind: "pause", Match: arm}, {Update: "u", Kind: "safeguard", Match: &HoldMatch{}},
		{Update: "u", Kind: "safeguard", Match: &HoldMatch{Arch: []string{"a b"}}}, {Update: "u", Kind: "safeguard", Match: &HoldMatch{Present: []UpdateID{"../x"}}},
	} {
		h.ID, h.Reason = "h", "why"
		if err := h.Validate(); !errors.Is(err, ErrFormat) {
			t.Errorf("%+v was taken: %v", h, err)
		}
	}
	for _, h := range []Hold{{Update: "u", Kind: "pause"}, {Update: "u", Kind: "safeguard", Match: arm}, {Update: AllUpdates, Kind: "freeze", ExpiresAt: end}} {
		h.ID, h.Reason = "h", "why"
		if err := h.Validate(); err != nil {
			t.Error(err)
		}
	}
}

func TestRB11AFreezeEndsByItself(t *testing.T) {
	end := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	m := &Manifest{Holds: []Hold{{ID: "h", Update: AllUpdates, Kind: "freeze", Reason: "year end", ExpiresAt: end}}}
	for at, want := range map[time.Time]bool{end.Add(-time.Second): true, end: false} {
		if _, held := m.holdsFor(belonging{in: m.depths(nil)}, Machine{}, at).on("u", 1); held != want {
			t.Errorf("at %s it is held: %v", at, held)
		}
	}
}
