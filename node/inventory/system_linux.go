package inventory

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"patchmesh/policy"
)

// systemFacts reads what the system is; what is below another root says which distribution.
func (q Question) systemFacts(v *policy.Inventory) {
	for _, p := range []string{"/etc/os-release", "/usr/lib/os-release"} {
		if f, err := os.Open(q.below(p)); err == nil {
			v.Distribution, v.Version = osRelease(io.LimitReader(f, 64<<10))
			_ = f.Close()
			break
		}
	}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		v.Kernel = line(string(bytes.TrimRight(name.Release[:], "\x00")))
	}
	v.MemoryBytes = memoryBytes("/proc/meminfo")
	v.BootedAt = bootedAt("/proc/stat")
}

func osRelease(r io.Reader) (id, version string) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		key, value, _ := strings.Cut(strings.TrimSpace(lines.Text()), "=")
		value = line(strings.Trim(value, `"'`))
		switch key {
		case "ID":
			id = value
		case "VERSION_ID":
			version = value
		}
	}
	return id, version
}

func memoryBytes(path string) int64 {
	for f := range fieldsOf(path) {
		if len(f) == 3 && f[0] == "MemTotal:" && f[2] == "kB" {
			n, err := strconv.ParseInt(f[1], 10, 64)
			if err == nil && n > 0 && n < 1<<50 {
				return n << 10
			}
		}
	}
	return 0
}

// bootedAt is btime of proc_stat(5), in whole seconds: the same until the next start, if nobody sets the clock.
func bootedAt(path string) time.Time {
	for f := range fieldsOf(path) {
		if len(f) == 2 && f[0] == "btime" {
			if n, err := strconv.ParseInt(f[1], 10, 64); err == nil && n > 0 {
				return time.Unix(n, 0).UTC()
			}
		}
	}
	return time.Time{}
}

func fieldsOf(path string) func(func([]string) bool) {
	return func(yield func([]string) bool) {
		f, err := os.Open(path)
		if err != nil {
			return
		}
		defer f.Close()
		lines := bufio.NewScanner(io.LimitReader(f, 4<<20))
		lines.Buffer(nil, 1<<20) // /proc/stat has one line with a number for every interrupt
		for lines.Scan() {
			if !yield(strings.Fields(lines.Text())) {
				return
			}
		}
	}
}

func (q Question) programs(context.Context) ([]policy.Package, error) { return nil, errNoSystem }
