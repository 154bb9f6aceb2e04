package inventory

import (
	"unsafe"

	"golang.org/x/sys/windows"

	"patchmesh/swarm"
)

var (
	kernel32       = windows.NewLazySystemDLL("kernel32.dll")
	getPowerStatus = kernel32.NewProc("GetSystemPowerStatus")
	getSystemTimes = kernel32.NewProc("GetSystemTimes")
)

// system finds out about power. What a link costs is not asked here: that needs the runtime of Windows
// itself, and a machine can be told with --gate link=metered.
func (s *Sampler) system(c *swarm.Conditions) {
	var p struct {
		acLine, battery, percent, saver byte
		life, full                      uint32
	}
	if ok, _, _ := getPowerStatus.Call(uintptr(unsafe.Pointer(&p))); ok == 0 || p.percent > 100 {
		return
	}
	c.OnBattery, c.BatteryPercent = p.acLine == 0, int(p.percent)
}

// processor is the time that the processors were busy and that they were there, in 100 ns.
func (s *Sampler) processor() (busy, total uint64, ok bool) {
	var idle, kernel, user windows.Filetime
	if r, _, _ := getSystemTimes.Call(uintptr(unsafe.Pointer(&idle)), uintptr(unsafe.Pointer(&kernel)), uintptr(unsafe.Pointer(&user))); r == 0 {
		return 0, 0, false
	}
	ticks := func(t windows.Filetime) uint64 { return uint64(t.HighDateTime)<<32 | uint64(t.LowDateTime) }
	total = ticks(kernel) + ticks(user) // kernel time has the idle time in it
	return total - min(total, ticks(idle)), total, true
}

func (s *Sampler) disk() (uint64, bool) { return 0, false }

func (s *Sampler) link() (bytes uint64, ok bool) { return 0, false }
