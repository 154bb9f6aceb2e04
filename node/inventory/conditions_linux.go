package inventory

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"patchmesh/swarm"
)

func (s *Sampler) read(path string) string {
	b, err := os.ReadFile(s.root + path)
	if err != nil || len(b) > 1<<20 {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// system finds out about power and the link.
func (s *Sampler) system(c *swarm.Conditions) {
	c.OnBattery, c.BatteryPercent = s.battery()
	if name := s.wayOut(); name != "" {
		c.VPN, c.Metered, c.WiFi = s.isTunnel(name), s.isMetered(name), s.isWiFi(name)
	}
}

// battery says whether the machine runs on one, and how full it is: the fullest counts where there are
// several. Batteries of mice and headsets are none of the machine's.
func (s *Sampler) battery() (on bool, percent int) {
	dirs, _ := filepath.Glob(s.root + "/sys/class/power_supply/*")
	for _, d := range dirs {
		d = strings.TrimPrefix(d, s.root)
		if s.read(d+"/type") != "Battery" || s.read(d+"/scope") == "Device" {
			continue
		}
		n, err := strconv.Atoi(s.read(d + "/capacity"))
		if err != nil || n < 0 || n > 100 {
			continue
		}
		percent = max(percent, n)
		on = on || s.read(d+"/status") == "Discharging"
	}
	return on, percent
}

// processor is the time that the processors were busy and that they were there, in ticks.
func (s *Sampler) processor() (busy, total uint64, ok bool) {
	line, _, _ := strings.Cut(s.read("/proc/stat"), "\n")
	f := strings.Fields(line)
	if len(f) < 5 || f[0] != "cpu" {
		return 0, 0, false
	}
	for i, text := range f[1:min(len(f), 9)] { // guest time, behind these, is in user time already
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return 0, 0, false
		}
		total += n
		if i != 3 && i != 4 { // idle, and waiting for the disk, which has its own gate
			busy += n
		}
	}
	return busy, total, true
}

// disk is the time that requests have spent at the disk of the data folder, together, in ms. Divided by the
// time that passed it is how many were there on average.
func (s *Sampler) disk() (uint64, bool) {
	fi, err := os.Stat(s.dir)
	if err != nil {
		return 0, false
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	major := (uint64(st.Dev)>>8)&0xfff | (uint64(st.Dev)>>32)&^uint64(0xfff)
	minor := uint64(st.Dev)&0xff | (uint64(st.Dev)>>12)&^uint64(0xff)
	f := strings.Fields(s.read(fmt.Sprintf("/sys/dev/block/%d:%d/stat", major, uint32(minor))))
	if len(f) < 11 {
		return 0, false // no disk of its own: memory, network, layers
	}
	n, err := strconv.ParseUint(f[10], 10, 64)
	return n, err == nil
}

// wayOut is the interface of the default route with the lowest metric; empty: there is none.
func (s *Sampler) wayOut() string {
	best, bestMetric := "", uint64(0)
	for line := range strings.Lines(s.read("/proc/net/route")) {
		f := strings.Fields(line)
		if len(f) < 8 || f[1] != "00000000" || f[7] != "00000000" {
			continue
		}
		metric, err := strconv.ParseUint(f[6], 10, 64)
		if err == nil && filepath.Base(f[0]) == f[0] && (best == "" || metric < bestMetric) {
			best, bestMetric = f[0], metric
		}
	}
	return best
}

// isTunnel: the kernel says what an interface is, whatever its name.
func (s *Sampler) isTunnel(name string) bool {
	dir := "/sys/class/net/" + name
	if _, err := os.Stat(s.root + dir + "/tun_flags"); err == nil {
		return true
	}
	uevent := s.read(dir + "/uevent")
	for _, kind := range []string{"wireguard", "ipip", "gre", "vti", "xfrm"} {
		if strings.Contains(uevent, "DEVTYPE="+kind) {
			return true
		}
	}
	switch s.read(dir + "/type") { // ARPHRD: tunnels over IP and IPv6, GRE
	case "768", "769", "778":
		return true
	}
	return false
}

// isWiFi: a radio stands behind the interface.
func (s *Sampler) isWiFi(name string) bool {
	dir := "/sys/class/net/" + name
	for _, sign := range []string{"/phy80211", "/wireless"} {
		if _, err := os.Stat(s.root + dir + sign); err == nil {
			return true
		}
	}
	return strings.Contains(s.read(dir+"/uevent"), "DEVTYPE=wlan")
}

// androidMetered is what a telephone that shares its link says in the vendor's part of DHCP.
const androidMetered = "ANDROID_METERED"

// isMetered: a mobile modem, or a lease that says so.
func (s *Sampler) isMetered(name string) bool {
	if strings.Contains(s.read("/sys/class/net/"+name+"/uevent"), "DEVTYPE=wwan") {
		return true
	}
	index := s.read("/sys/class/net/" + name + "/ifindex")
	if _, err := strconv.Atoi(index); err != nil {
		return false
	}
	lease := s.read("/run/systemd/netif/leases/" + index)
	for line := range strings.Lines(lease) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "VENDOR_SPECIFIC="); ok {
			b, err := hex.DecodeString(strings.ReplaceAll(text, ":", ""))
			return err == nil && strings.Contains(string(b), androidMetered)
		}
	}
	return false
}

// link is the bytes that went over the way out so far, both directions.
func (s *Sampler) link() (bytes uint64, ok bool) {
	name := s.wayOut()
	if name == "" {
		return 0, false
	}
	for _, d := range []string{"rx_bytes", "tx_bytes"} {
		n, err := strconv.ParseUint(s.read("/sys/class/net/"+name+"/statistics/"+d), 10, 64)
		if err != nil {
			return 0, false
		}
		bytes += n
	}
	return bytes, true
}
