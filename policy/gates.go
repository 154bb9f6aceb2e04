package policy

import (
	"cmp"
	"fmt"
)

// When machines of a group stop to give chunks to others, or to fetch for them. As limits, these are signed and go by group;
// a machine's own file and its command line may only have it stop sooner.

// SetGate is the setting of a gate: battery, cpu, disk-queue, free, other-traffic or vpn. What a metered link is for is a
// setting of its own, SetMetered.
func SetGate(name string) string { return "gate-" + name }

// What a tunnel is used for.
const (
	VPNOff          = "off"
	VPNDownloadOnly = "download-only"
	VPNFull         = "full"
)

var vpnValues = []string{VPNOff, VPNDownloadOnly, VPNFull}

var gateInfos = []SettingInfo{
	{SetGate("battery"), "40", "how full a battery must be, in percent, for a machine that runs on it to give chunks to others and to fetch over the WAN; none: it always does", noneOr(checkCount(1, 100)), noneLoosestOf(byMore)},
	{SetGate("cpu"), valueNone, "how busy the processor may be, in percent, for a machine to give chunks to others; none: any", noneOr(checkCount(1, 100)), noneLoosestOf(byLessCount)},
	{SetGate("disk-queue"), valueNone, "how many requests may wait at the disk for a machine to give chunks to others; none: any", noneOr(checkCount(1, 100)), noneLoosestOf(byLessCount)},
	{SetGate("free"), "512MiB", "how much of the disk must be free for a machine to fetch what only others need; none: nothing", noneOr(checkSize), noneLoosestOf(bySize)},
	{SetGate("other-traffic"), valueNone, "from how much other traffic of the machine on, as 1Mbit, background fetching over the WAN becomes a trickle; none: never", noneOr(checkTraffic), noneLoosestOf(byLessTraffic)},
	{SetGate("vpn"), VPNDownloadOnly, "what a tunnel is used for: off, download-only (nothing is given to machines of other subnets), full", oneOf(vpnValues), byPlace(vpnValues)},
}

func byLessCount(a, b string) int { return byMore(b, a) }

func checkSize(s string) error {
	n, err := ParseSize(s)
	if err != nil || n <= 0 {
		return fmt.Errorf("%.60q is no size like 512MiB, nor none: %w", s, ErrFormat)
	}
	return nil
}

// bySize: to leave more free is stricter.
func bySize(a, b string) int { return byLess(b, a) }

func checkTraffic(s string) error {
	n, err := ParseRate(s)
	if err != nil || n < leastRate || n > mostRate {
		return fmt.Errorf("%.60q is no rate like 1Mbit, nor none: %w", s, ErrFormat)
	}
	return nil
}

func byLessTraffic(a, b string) int {
	x, _ := ParseRate(a)
	y, _ := ParseRate(b)
	return cmp.Compare(x, y)
}
