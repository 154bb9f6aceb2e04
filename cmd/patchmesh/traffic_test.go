package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"patchmesh/node"
	"patchmesh/node/api"
)

func TestTrafficFlags(t *testing.T) {
	good := trafficFlags{
		limits: []string{"wan.down=2Mbit@Mon-Fri/08:00-18:00@Europe/Berlin", "lan.up=100Mbit"}, budget: []string{"day=2GB", "month=20GB"},
		gates: []string{"battery=30"}, metered: "never", vpn: "off", origin: "first", peersOnly: true,
	}
	var cfg node.Config
	if err := good.into(&cfg); err != nil || len(cfg.Limits) != 2 || cfg.Budget.MonthBytes != 20e9 || cfg.Gates.BatteryPercent != 30 || cfg.Origin != "first" || !cfg.PeersOnly {
		t.Errorf("%+v, %v", cfg, err)
	}
	for _, bad := range []trafficFlags{{limits: []string{"wan=1"}}, {budget: []string{"year=1GB"}}, {gates: []string{"x=1"}}, {metered: "perhaps"}, {vpn: "perhaps"}} {
		err := bad.into(&node.Config{})
		if api.ClassOf(err) != api.ClassUsage {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func TestPeersTellWhatIsHeldBack(t *testing.T) {
	var out bytes.Buffer
	writeTraffic(&out, nil)
	writeTraffic(&out, &api.Traffic{})
	if out.Len() != 0 {
		t.Errorf("nothing is limited, yet: %s", &out)
	}
	writeTraffic(&out, &api.Traffic{
		Limits: []api.Limit{{Class: "wan", Dir: "down", BytesPerSec: 250000, Until: time.Date(2026, 3, 2, 18, 0, 0, 0, time.Local), From: "signed", Group: "all"}, {Class: "wan", Dir: "down", Off: true}, {Class: "lan", Dir: "up", Unlimited: true, From: "flag"}, {Class: "site", Dir: "up", BytesPerSec: 6250000, Why: "wifi", From: "default", NowBytesPerSec: 1 << 20}},
		Budget: &api.Budget{DayBytes: 1 << 20, DayLimit: 2 << 20, MonthBytes: 5 << 20},
		Gates:  []api.Gate{{What: "serve", Reason: "host-battery", Detail: "30 % left\x1b[2J"}},
		Origin: []api.Mirror{{Host: "vendor.example", Bytes: 1 << 20, Failed: 2}}, Sources: []string{"cache", "seed"},
	})
	for _, want := range []string{
		"limit wan.down: 244.1 KiB/s until Mon 18:00, signed for all; now 0 B/s\n", "limit wan.down: nothing; now", "limit lan.up: no limit, from --limit", "limit site.up: 6.0 MiB/s, default on Wi-Fi; now 1.0 MiB/s\n",
		"WAN budget of the site: 1.0 MiB of 2.0 MiB today\n", "gate: does not serve others: host-battery (30 % left", "web host vendor.example: 1.0 MiB, 2 failed\n", "sources, in this order: cache, seed\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &out)
		}
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("a control character reaches the terminal")
	}
}
