package transport

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// roundTrip asks the kernel; zero: not known.
func roundTrip(c syscall.RawConn) (rtt time.Duration) {
	_ = c.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			rtt = time.Duration(info.Rtt) * time.Microsecond
		}
	})
	return rtt
}
