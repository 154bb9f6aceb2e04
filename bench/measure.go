//go:build linux

package bench

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Counters is what one interface has carried, headers included.
type Counters struct {
	RXBytes, TXBytes     int64
	RXPackets, TXPackets int64
}

// Sub is the traffic between an earlier reading and c.
func (c Counters) Sub(earlier Counters) Counters {
	return Counters{
		RXBytes: c.RXBytes - earlier.RXBytes, TXBytes: c.TXBytes - earlier.TXBytes,
		RXPackets: c.RXPackets - earlier.RXPackets, TXPackets: c.TXPackets - earlier.TXPackets,
	}
}

// counters reads one interface inside the namespace of h.
func (h Host) counters(link string) (Counters, error) {
	var c Counters
	err := h.Do(func() error {
		text, err := os.ReadFile("/proc/thread-self/net/dev")
		if err != nil {
			return fmt.Errorf("read counters of %s: %w", h.Name, err)
		}
		c, err = parseNetDev(string(text), link)
		return err
	})
	return c, err
}

// parseNetDev finds one interface in the text of proc_net_dev: "name: rxBytes rxPackets" and six
// more, then the same for sending.
func parseNetDev(text, link string) (Counters, error) {
	for line := range strings.Lines(text) {
		name, rest, ok := strings.Cut(line, ":")
		if !ok || strings.TrimSpace(name) != link {
			continue
		}
		f := strings.Fields(rest)
		if len(f) < 16 {
			return Counters{}, fmt.Errorf("counters of %s: %d columns", link, len(f))
		}
		var c Counters
		var errs [4]error
		c.RXBytes, errs[0] = strconv.ParseInt(f[0], 10, 64)
		c.RXPackets, errs[1] = strconv.ParseInt(f[1], 10, 64)
		c.TXBytes, errs[2] = strconv.ParseInt(f[8], 10, 64)
		c.TXPackets, errs[3] = strconv.ParseInt(f[9], 10, 64)
		return c, errors.Join(errs[:]...)
	}
	return Counters{}, fmt.Errorf("no interface %s", link)
}

// Usage is what one process has cost up to now.
type Usage struct {
	CPU          time.Duration // user and system time, with that of children it has waited for
	PeakRSSBytes int64         // the most memory it ever held
}

// clockTick is USER_HZ, which Linux fixes at 100 towards user space on amd64 and arm64.
const clockTick = 10 * time.Millisecond

// ProcessUsage reads /proc; it fails once the process is gone.
func ProcessUsage(pid int) (Usage, error) {
	f, err := statFields(pid)
	if err != nil {
		return Usage{}, err
	}
	var u Usage
	for _, i := range []int{14, 15, 16, 17} { // utime, stime, cutime, cstime
		ticks, err := strconv.ParseInt(f[i-3], 10, 64)
		if err != nil {
			return Usage{}, fmt.Errorf("processor time of process %d: %w", pid, err)
		}
		u.CPU += time.Duration(ticks) * clockTick
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return Usage{}, fmt.Errorf("read memory of process %d: %w", pid, err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			if err != nil {
				return Usage{}, fmt.Errorf("memory of process %d: %w", pid, err)
			}
			u.PeakRSSBytes = kib << 10
		}
	}
	return u, nil
}

// processMark names a process for good: ids are used again, an id with its start time is not.
func processMark(pid int) (string, error) {
	f, err := statFields(pid)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d.%s", pid, f[22-3]), nil
}

// statFields are the fields of /proc/PID/stat from the third on (state): the second, the program's
// name, may hold spaces and parentheses.
func statFields(pid int) ([]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, fmt.Errorf("read process %d: %w", pid, err)
	}
	end := bytes.LastIndexByte(text, ')')
	f := strings.Fields(string(text[end+1:]))
	if end < 0 || len(f) < 20 {
		return nil, fmt.Errorf("read process %d: %d fields", pid, len(f))
	}
	return f, nil
}
