package inventory

import (
	"context"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"

	"patchmesh/policy"
)

var (
	globalMemoryStatus = kernel32.NewProc("GlobalMemoryStatusEx")
	getTickCount       = kernel32.NewProc("GetTickCount64")
)

// systemFacts reads what the system is. The distribution is its product name, such as "Windows 10 Pro".
func (q Question) systemFacts(v *policy.Inventory) {
	major, minor, build := windows.RtlGetNtVersionNumbers()
	v.Version = fmt.Sprintf("%d.%d.%d", major, minor, build&0xffff)
	v.Kernel = v.Version
	if k, err := registry.OpenKey(registry.LOCAL_MACHINE, `SOFTWARE\Microsoft\Windows NT\CurrentVersion`, registry.QUERY_VALUE); err == nil {
		v.Distribution = value(k, "EditionID")
		_ = k.Close()
	}
	var m struct {
		length, load                                                                      uint32
		total, available, totalPage, availablePage, totalVirtual, availableVirtual, extra uint64
	}
	m.length = uint32(unsafe.Sizeof(m))
	if ok, _, _ := globalMemoryStatus.Call(uintptr(unsafe.Pointer(&m))); ok != 0 && m.total < 1<<60 {
		v.MemoryBytes = int64(m.total)
	}
	if up, _, _ := getTickCount.Call(); up != 0 {
		// To the minute: the two clocks do not run alike, and the time of the start must not change with each look.
		v.BootedAt = q.Now.Add(-time.Duration(up) * time.Millisecond).UTC().Round(time.Minute)
	}
}

// uninstallKeys are where installers note their programs, of 64 and of 32 bits.
var uninstallKeys = []struct{ path, arch string }{
	{`SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall`, ""},
	{`SOFTWARE\WOW6432Node\Microsoft\Windows\CurrentVersion\Uninstall`, "x86"},
}

// maxPrograms bounds a key that anybody with rights could have filled.
const maxPrograms = 20000

// programs lists what Windows shows as installed.
func (q Question) programs(context.Context) ([]policy.Package, error) {
	if !q.system() {
		return nil, errNoSystem
	}
	var out []policy.Package
	for _, u := range uninstallKeys {
		k, err := registry.OpenKey(registry.LOCAL_MACHINE, u.path, registry.READ)
		if err != nil {
			if u.arch == "" {
				return out, err
			}
			continue // a system without programs of 32 bits
		}
		names, err := k.ReadSubKeyNames(maxPrograms)
		for _, n := range names {
			if p, ok := program(k, n, u.arch); ok {
				out = append(out, p)
			}
		}
		_ = k.Close()
		if err != nil && len(names) == 0 {
			return out, err
		}
	}
	return out, nil
}

func program(below registry.Key, name, arch string) (policy.Package, bool) {
	k, err := registry.OpenKey(below, name, registry.QUERY_VALUE)
	if err != nil {
		return policy.Package{}, false
	}
	defer k.Close()
	p := policy.Package{System: policy.SystemWindows, Name: value(k, "DisplayName"), Version: value(k, "DisplayVersion"), Arch: arch}
	return p, p.Name != ""
}

// value reads a text, empty if there is none.
func value(k registry.Key, name string) string {
	s, _, err := k.GetStringValue(name)
	if err != nil {
		return ""
	}
	return line(s)
}
