package bench

import (
	"fmt"
	"slices"
	"time"
)

// Scenario is one piece of work that every contender is given. All of it is fixed: what may be chosen
// for a run is who takes part and how often.
type Scenario struct {
	Name, Title string
	Machines    int   // that must have the payload in the end
	SizeBytes   int64 // of one update
	Updates     int   // released at once, default 1
	Repeats     int   // releases one after the other on the same machines, default 1: a run is all of them

	WAN          bool  // the seed is beyond the WAN; else it is one more machine of the LAN
	LANBitPerSec int64 // of each machine's link, each way
	WANBitPerSec int64
	Unshaped     bool // links without a rate: what is measured is work, not waiting
	Churn        bool // a third dies half way, as many new machines come
	Liars        int  // machines whose stored payload is damaged behind their back; they come first
	Usual        []string
}

const mebi = 1 << 20

var (
	onLAN    = []string{"patchmesh", "aria2", "libtorrent", "libtorrent-plain", "transmission", "udpcast"}
	overWAN  = []string{"patchmesh", "aria2", "libtorrent", "libtorrent-plain", "transmission", "squid", "http-proxy", "http"}
	unshaped = []string{"patchmesh", "aria2", "libtorrent", "aria2-rc4", "libtorrent-rc4"}
)

// Scenarios are all of them, in the order of the results.
func Scenarios() []Scenario {
	return []Scenario{
		{Name: "cold10", Title: "Cold branch, seed on the LAN: 10 machines, 128 MiB, 50 Mbit/s links",
			Machines: 10, SizeBytes: 128 * mebi, LANBitPerSec: 50e6, Usual: onLAN},
		{Name: "cold24", Title: "Cold branch, seed on the LAN: 24 machines, 64 MiB, 50 Mbit/s links",
			Machines: 24, SizeBytes: 64 * mebi, LANBitPerSec: 50e6, Usual: onLAN},
		{Name: "fast10", Title: "Cold branch, seed on the LAN: 10 machines, 256 MiB, 200 Mbit/s links",
			Machines: 10, SizeBytes: 256 * mebi, LANBitPerSec: 200e6, Usual: onLAN},
		{Name: "wan10", Title: "Origin behind a 50 Mbit/s WAN: 10 machines on 200 Mbit/s, 64 MiB",
			Machines: 10, SizeBytes: 64 * mebi, WAN: true, LANBitPerSec: 200e6, WANBitPerSec: 50e6, Usual: overWAN},
		{Name: "churn10", Title: "The same, a third of the machines killed half way and as many new ones",
			Machines: 10, SizeBytes: 64 * mebi, WAN: true, LANBitPerSec: 200e6, WANBitPerSec: 50e6, Churn: true, Usual: overWAN[:5]},
		{Name: "many10", Title: "20 updates at once: 10 machines on 200 Mbit/s, 20 x 3.2 MiB behind a 50 Mbit/s WAN",
			Machines: 10, SizeBytes: 64 * mebi / 20, Updates: 20, WAN: true, LANBitPerSec: 200e6, WANBitPerSec: 50e6, Usual: overWAN[:5]},
		{Name: "raw10", Title: "No shaping: 10 machines, 256 MiB, seed on the LAN",
			Machines: 10, SizeBytes: 256 * mebi, Unshaped: true, Usual: unshaped},
		{Name: "small10", Title: "One 40 KiB update to 10 idle machines, seed on the LAN, 200 Mbit/s links",
			Machines: 10, SizeBytes: 40 << 10, Repeats: 50, LANBitPerSec: 200e6, Usual: []string{"patchmesh"}},
		{Name: "liars20", Title: "20 machines on 200 Mbit/s, 64 MiB: 4 of them hold damaged payloads and offer them",
			Machines: 16, SizeBytes: 64 * mebi, Liars: 4, LANBitPerSec: 200e6, Usual: []string{"patchmesh"}},
		{Name: "honest20", Title: "The same, with the 4 machines honest: what liars20 is compared with",
			Machines: 16, SizeBytes: 64 * mebi, Liars: -4, LANBitPerSec: 200e6, Usual: []string{"patchmesh"}},
		{Name: "smoke", Title: "A look whether everything runs: 3 machines, 2 MiB, 200 Mbit/s",
			Machines: 3, SizeBytes: 2 * mebi, LANBitPerSec: 200e6, Usual: onLAN},
		{Name: "smokewan", Title: "The same, with the seed behind a 50 Mbit/s WAN",
			Machines: 3, SizeBytes: 2 * mebi, WAN: true, LANBitPerSec: 200e6, WANBitPerSec: 50e6, Usual: overWAN},
	}
}

// ScenarioNamed finds one.
func ScenarioNamed(name string) (Scenario, error) {
	all := Scenarios()
	i := slices.IndexFunc(all, func(s Scenario) bool { return s.Name == name })
	if i < 0 {
		return Scenario{}, fmt.Errorf("there is no scenario %q", name)
	}
	return all[i], nil
}

func (s Scenario) updates() int { return max(s.Updates, 1) }
func (s Scenario) repeats() int { return max(s.Repeats, 1) }

// early is how many machines have the payload before the clock starts.
func (s Scenario) early() int { return max(s.Liars, -s.Liars) }

// late is how many machines come half way, and how many are killed then.
func (s Scenario) late() int {
	if !s.Churn {
		return 0
	}
	return (s.Machines + 1) / 3
}

// TotalBytes is what each machine must have in the end.
func (s Scenario) TotalBytes() int64 { return s.SizeBytes * int64(s.updates()) }

// Bound is payload / rate of the narrowest link, which no scheme can beat: headers come on top of it.
// It is zero where no link has a rate.
func (s Scenario) Bound() time.Duration {
	rate := s.LANBitPerSec
	if s.WAN {
		rate = min(rate, s.WANBitPerSec)
	}
	if s.Unshaped || rate == 0 {
		return 0
	}
	return time.Duration(float64(s.TotalBytes()) * 8 / float64(rate) * float64(time.Second))
}

// patience is when a run is given up: somewhat later than one sender serving all machines in turn.
func (s Scenario) patience() time.Duration {
	return s.Bound()*time.Duration(s.Machines+s.late()+2) + 90*time.Second
}
