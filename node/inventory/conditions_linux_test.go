package inventory

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"patchmesh/swarm"
)

// fakeSystem is a tree of files as the kernel shows them.
type fakeSystem struct {
	t    *testing.T
	root string
}

func (f fakeSystem) write(path, text string) {
	f.t.Helper()
	p := filepath.Join(f.root, path)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(text+"\n"), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

func (f fakeSystem) route(lines ...string) {
	text := "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT"
	for _, l := range lines {
		text += "\n" + l
	}
	f.write("/proc/net/route", text)
}

func newFake(t *testing.T) (fakeSystem, *Sampler) {
	f := fakeSystem{t, t.TempDir()}
	return f, &Sampler{dir: f.root, root: f.root}
}

func TestBatteries(t *testing.T) {
	f, s := newFake(t)
	if c := s.Sample(time.Unix(0, 0)); c.OnBattery || c.VPN || c.Metered || c.CPUPercent != 0 {
		t.Errorf("a system that tells nothing: %+v", c)
	}
	f.write("/sys/class/power_supply/AC/type", "Mains")
	f.write("/sys/class/power_supply/mouse/type", "Battery")
	f.write("/sys/class/power_supply/mouse/scope", "Device")
	f.write("/sys/class/power_supply/mouse/status", "Discharging")
	f.write("/sys/class/power_supply/mouse/capacity", "3")
	for i, c := range []struct {
		status, capacity string
		on               bool
		percent          int
	}{{"Charging", "55", false, 55}, {"Discharging", "31", true, 31}, {"Full", "100", false, 100}, {"Discharging", "300", false, 0}, {"Discharging", "", false, 0}} {
		f.write("/sys/class/power_supply/BAT0/type", "Battery")
		f.write("/sys/class/power_supply/BAT0/status", c.status)
		f.write("/sys/class/power_supply/BAT0/capacity", c.capacity)
		if got := s.Sample(time.Unix(int64(i), 0)); got.OnBattery != c.on || got.BatteryPercent != c.percent {
			t.Errorf("%+v: %+v", c, got)
		}
	}
}

func TestLinks(t *testing.T) {
	const via = "%s\t00000000\t0100000A\t0003\t0\t0\t%d\t00000000\t0\t0\t0"
	f, s := newFake(t)
	f.write("/sys/class/net/eth0/type", "1")
	f.write("/sys/class/net/eth0/ifindex", "2")
	f.write("/sys/class/net/office/tun_flags", "0x1001")
	f.write("/sys/class/net/wg/uevent", "DEVTYPE=wireguard\nINTERFACE=wg")
	f.write("/sys/class/net/modem/uevent", "DEVTYPE=wwan\nINTERFACE=modem")
	f.write("/sys/class/net/gre/type", "778")
	f.write("/sys/class/net/wlan0/phy80211/name", "phy0")
	f.write("/sys/class/net/ath0/wireless/status", "0x0")
	f.write("/sys/class/net/wlp3/uevent", "DEVTYPE=wlan\nINTERFACE=wlp3")
	f.write("/sys/class/net/usb0/ifindex", "7")
	f.write("/run/systemd/netif/leases/7", "ADDRESS=192.168.42.5\nVENDOR_SPECIFIC=414e44524f49445f4d455445524544")
	local := "eth0\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0"
	half := "office\t00000000\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\t0" // 0.0.0.0/1: no default route
	for _, c := range []struct {
		name         string
		routes       []string
		vpn, metered bool
		wifi         bool
	}{
		{"wire", []string{local, fmt.Sprintf(via, "eth0", 100)}, false, false, false},
		{"no way out", []string{local}, false, false, false},
		{"half a tunnel", []string{half, fmt.Sprintf(via, "eth0", 100)}, false, false, false},
		{"tunnel first", []string{fmt.Sprintf(via, "eth0", 100), fmt.Sprintf(via, "office", 50)}, true, false, false},
		{"tunnel second", []string{fmt.Sprintf(via, "eth0", 100), fmt.Sprintf(via, "office", 500)}, false, false, false},
		{"wireguard", []string{fmt.Sprintf(via, "wg", 0)}, true, false, false},
		{"gre", []string{fmt.Sprintf(via, "gre", 0)}, true, false, false},
		{"modem", []string{fmt.Sprintf(via, "modem", 0)}, false, true, false},
		{"telephone", []string{fmt.Sprintf(via, "usb0", 0)}, false, true, false},
		{"radio", []string{fmt.Sprintf(via, "wlan0", 600)}, false, false, true},
		{"radio of an old driver", []string{fmt.Sprintf(via, "ath0", 600)}, false, false, true},
		{"radio that only says so", []string{fmt.Sprintf(via, "wlp3", 600)}, false, false, true},
		{"docked", []string{fmt.Sprintf(via, "wlan0", 600), fmt.Sprintf(via, "eth0", 100)}, false, false, false},
		{"a name that is a path", []string{fmt.Sprintf(via, "../../office", 0)}, false, false, false},
		{"nonsense", []string{"x", "\x00"}, false, false, false},
	} {
		f.route(c.routes...)
		if got := s.Sample(time.Now()); got.VPN != c.vpn || got.Metered != c.metered || got.WiFi != c.wifi {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

func TestLoadsAreAverages(t *testing.T) {
	f, s := newFake(t)
	fi, err := os.Stat(f.root)
	if err != nil {
		t.Fatal(err)
	}
	dev := uint64(fi.Sys().(*syscall.Stat_t).Dev)
	stat := fmt.Sprintf("/sys/dev/block/%d:%d/stat", dev>>8&0xfff, dev&0xff)
	at := time.Unix(1000, 0)
	var busy, idle, queued int
	look := func(addBusy, addIdle, addQueued int) (int, int) {
		busy, idle, queued = busy+addBusy, idle+addIdle, queued+addQueued
		f.write("/proc/stat", fmt.Sprintf("cpu  %d 0 0 %d 0 0 0 0 0 0\ncpu0 1 2 3 4", busy, idle))
		f.write(stat, fmt.Sprintf("1 2 3 4 5 6 7 8 0 10 %d 0 0 0 0", queued))
		c := s.Sample(at)
		at = at.Add(5 * time.Second)
		return c.CPUPercent, c.DiskQueue
	}
	if cpu, queue := look(900000, 100, 900000); cpu != 0 || queue != 0 {
		t.Errorf("the first look says %d %%, %d", cpu, queue)
	}
	if cpu, queue := look(1000, 0, 60000); cpu < 10 || cpu > 25 || queue != 2 {
		t.Errorf("a peak of five seconds: %d %%, %d", cpu, queue)
	}
	cpu, queue := 0, 0
	for range 30 {
		cpu, queue = look(1000, 0, 60000)
	}
	if cpu < 98 || queue != 12 {
		t.Errorf("busy for long: %d %%, %d requests", cpu, queue)
	}
	for range 30 {
		cpu, queue = look(0, 1000, 0)
	}
	if cpu > 2 || queue != 0 {
		t.Errorf("idle for long: %d %%, %d requests", cpu, queue)
	}
}

// Only what others moved over the way out counts, not what this program moved itself.
func TestOtherTraffic(t *testing.T) {
	f, s := newFake(t)
	var own int64
	s.own = func() int64 { return own }
	f.route("eth0\t00000000\t0100000A\t0003\t0\t0\t1\t00000000\t0\t0\t0")
	at := time.Unix(1000, 0)
	look := func(rx, tx int) int64 {
		f.write("/sys/class/net/eth0/statistics/rx_bytes", fmt.Sprint(rx))
		f.write("/sys/class/net/eth0/statistics/tx_bytes", fmt.Sprint(tx))
		c := s.Sample(at)
		at = at.Add(5 * time.Second)
		return c.OtherBytes
	}
	if n := look(1e9, 1e6); n != 0 {
		t.Errorf("the first look says %d", n)
	}
	own += 10e6
	if n := look(1e9+10.5e6, 1e6+2e5); n != 0 {
		t.Errorf("our own traffic is said to be others': %d B/s", n)
	}
	if n := look(1e9+10.5e6+4e6, 1e6+2e5+1e6); n != 1e6 {
		t.Errorf("5 MB in 5 s of others are %d B/s", n)
	}
	if n := look(5, 5); n != 0 { // the counters began anew
		t.Errorf("%d B/s after the counters began anew", n)
	}
}

// The real machine answers something, whatever it is.
func TestRealConditions(t *testing.T) {
	s := NewSampler(t.TempDir(), nil)
	var c swarm.Conditions
	for i := range 2 {
		c = s.Sample(time.Now().Add(time.Duration(i) * time.Second))
	}
	if !c.FreeKnown || c.FreeBytes <= 0 || c.CPUPercent < 0 || c.CPUPercent > 100 || c.DiskQueue < 0 {
		t.Errorf("%+v", c)
	}
	if _, _, ok := s.processor(); !ok {
		t.Error("the processor time of this machine is not known")
	}
}
