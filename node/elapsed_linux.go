package node

import (
	"time"

	"golang.org/x/sys/unix"
)

// elapsed is a clock that nobody can set and that goes on while the machine sleeps.
func elapsed() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return time.Since(programBegan)
	}
	return time.Duration(ts.Nano())
}
