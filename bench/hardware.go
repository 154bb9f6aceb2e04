//go:build linux

package bench

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// thisMachine describes what a run is made on. What cannot be read stays empty.
func thisMachine() Hardware {
	h := Hardware{CPU: procLine("/proc/cpuinfo", "model name"), Cores: runtime.NumCPU(), System: strings.Trim(procLine("/etc/os-release", "PRETTY_NAME"), `"`)}
	_, _ = fmt.Sscan(procLine("/proc/meminfo", "MemTotal"), &h.MemoryBytes)
	h.MemoryBytes <<= 10 // the kernel counts KiB
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		h.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		_, _ = fmt.Sscan(string(text), &h.Load1)
	}
	return h
}

// procLine finds "name : value" or "name=value".
func procLine(path, name string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if at := strings.IndexAny(line, ":="); at > 0 && strings.TrimSpace(line[:at]) == name {
			return strings.TrimSpace(line[at+1:])
		}
	}
	return ""
}
