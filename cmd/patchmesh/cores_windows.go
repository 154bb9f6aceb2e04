package main

import (
	"time"

	"golang.org/x/sys/windows"
)

// cpuTime is the processor time of this process, 0 if the system does not tell.
func cpuTime() time.Duration {
	var created, ended, kernel, user windows.Filetime
	if windows.GetProcessTimes(windows.CurrentProcess(), &created, &ended, &kernel, &user) != nil {
		return 0
	}
	ticks := func(f windows.Filetime) time.Duration {
		return time.Duration(int64(f.HighDateTime)<<32|int64(f.LowDateTime)) * 100 // of 100 ns
	}
	return ticks(kernel) + ticks(user)
}
