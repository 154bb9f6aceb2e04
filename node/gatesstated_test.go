package node

import (
	"context"
	"testing"

	"patchmesh/node/api"
	"patchmesh/policy"
	"patchmesh/swarm"
)

// The defaults that people read in the list of settings are those that hold.
func TestDefaultGatesAreThoseOfTheSettings(t *testing.T) {
	g := Gates{Metered: DefaultGates().Metered}
	for _, name := range signedGates {
		for _, i := range policy.SettingInfos {
			if i.Name == policy.SetGate(name) {
				g.state(name, i.Default)
			}
		}
	}
	if g != DefaultGates() {
		t.Errorf("%+v, not %+v", g, DefaultGates())
	}
}

func TestWhatIsSignedAboutGatesCountsUnlessThisMachineStopsSooner(t *testing.T) {
	for _, c := range []struct {
		own, name, value string
		want             func(*Gates) bool
	}{
		{"", "battery", "20", func(g *Gates) bool { return g.BatteryPercent == 20 }}, // looser than the default
		{"battery=60", "battery", "20", func(g *Gates) bool { return g.BatteryPercent == 60 }},
		{"battery=0", "battery", "20", func(g *Gates) bool { return g.BatteryPercent == 20 }},
		{"", "battery", "none", func(g *Gates) bool { return g.BatteryPercent == 0 }},
		{"", "cpu", "80", func(g *Gates) bool { return g.CPUPercent == 80 }},
		{"cpu=50", "cpu", "80", func(g *Gates) bool { return g.CPUPercent == 50 }},
		{"cpu=0", "cpu", "80", func(g *Gates) bool { return g.CPUPercent == 80 }},
		{"cpu=50", "cpu", "none", func(g *Gates) bool { return g.CPUPercent == 50 }},
		{"disk-queue=5", "disk-queue", "3", func(g *Gates) bool { return g.DiskQueue == 3 }},
		{"", "free", "1MiB", func(g *Gates) bool { return g.FreeBytes == 1<<20 }},
		{"free=2MiB", "free", "1MiB", func(g *Gates) bool { return g.FreeBytes == 2<<20 }},
		{"", "other-traffic", "8Mbit", func(g *Gates) bool { return g.YieldAbove == 1e6 }},
		{"vpn=off", "vpn", "full", func(g *Gates) bool { return g.VPN == swarm.UseNothing }},
		{"", "vpn", "full", func(g *Gates) bool { return g.VPN == swarm.UseAll }},
		{"", "battery", "of a later version", func(g *Gates) bool { return *g == DefaultGates() }},
	} {
		var texts []string
		vpn := ""
		if c.own == "vpn=off" {
			vpn = "off"
		} else if c.own != "" {
			texts = []string{c.own}
		}
		g, err := ParseGates(texts, "", vpn)
		if err != nil {
			t.Fatal(err)
		}
		if g.state(c.name, c.value); !c.want(g) {
			t.Errorf("%s here, %s=%s signed: %+v", c.own, c.name, c.value, g)
		}
	}
}

// C-65: a running machine goes by what is signed for its group, and back when that is withdrawn.
func TestC65SignedGatesTakeEffectOnRunningMachines(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	short := func() bool {
		i, err := a.Node.Node(context.Background())
		if err != nil || i.Traffic == nil {
			t.Fatalf("%+v, %v", i, err)
		}
		for _, g := range i.Traffic.Gates {
			if g.Reason == string(policy.ReasonDiskShort) {
				return true
			}
		}
		return false
	}
	m.setting(policy.SetGate("free"), "office", "9000TiB")
	until(t, "the gate to close", short)
	if _, err := m.seed.SetSetting(context.Background(), api.SettingRequest{Setting: policy.Setting{Name: policy.SetGate("free"), Group: "office"}, Drop: true}); err != nil {
		t.Fatal(err)
	}
	until(t, "the gate to open", func() bool { return !short() })
}
