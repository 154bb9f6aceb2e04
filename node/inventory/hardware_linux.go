package inventory

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Hardware tells facts "kind:value" that stay when the system is set up anew, the most telling first.
// Empty if none can be read: /sys shows the firmware's numbers to root alone. /etc/machine-id is no
// such fact: it belongs to the installation, not to the machine.
func Hardware() []string { return hardwareIn("/sys") }

func hardwareIn(sys string) []string {
	dmi := filepath.Join(sys, "class", "dmi", "id")
	var out []string
	if v := firmwareText(filepath.Join(dmi, "product_uuid")); v != "" {
		out = append(out, "uuid:"+v)
	}
	// A board's serial number is unique only together with who made it.
	if v := firmwareText(filepath.Join(dmi, "board_serial")); v != "" {
		out = append(out, "board:"+strings.Join([]string{firmwareText(filepath.Join(dmi, "board_vendor")), firmwareText(filepath.Join(dmi, "board_name")), v}, "/"))
	}
	if macs := cardAddresses(filepath.Join(sys, "class", "net")); len(macs) > 0 {
		out = append(out, "mac:"+strings.Join(macs, ","))
	}
	return out
}

// firmwareText is one value; empty if it cannot be read or is what makers leave in every machine.
func firmwareText(path string) string {
	v := strings.ToLower(firmwareLine(path))
	if len(v) < 4 || strings.Trim(v, "0-. ") == "" || strings.Trim(v, "f-. ") == "" || slices.Contains(fillers, v) {
		return ""
	}
	for _, word := range []string{"to be filled", "not specified", "not applicable", "o.e.m", "default string", "123456789"} {
		if strings.Contains(v, word) {
			return ""
		}
	}
	return v
}

// fillers are values that many machines share.
var fillers = []string{"none", "n/a", "unknown", "empty", "invalid", "serial", "system serial number", "base board serial number", "03000200-0400-0500-0006-000700080009"}

// cardAddresses lists the burnt-in addresses of real network cards, in order. Bridges, containers and
// tunnels have none, and an address that software chose says nothing about hardware.
func cardAddresses(net string) []string {
	cards, err := os.ReadDir(net)
	if err != nil {
		return nil
	}
	var out []string
	for _, c := range cards[:min(len(cards), 256)] {
		dir := filepath.Join(net, c.Name())
		if _, err := os.Stat(filepath.Join(dir, "device")); err != nil {
			continue
		}
		if firmwareLine(filepath.Join(dir, "addr_assign_type")) != "0" {
			continue
		}
		if mac := strings.ToLower(firmwareLine(filepath.Join(dir, "address"))); len(mac) == 17 && mac != "00:00:00:00:00:00" {
			out = append(out, mac)
		}
	}
	slices.Sort(out)
	out = slices.Compact(out)
	return out[:min(len(out), 16)]
}

func firmwareLine(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 256))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
