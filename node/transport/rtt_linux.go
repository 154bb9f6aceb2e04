package transport

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// roundTrip asks the kernel; zero: not known.
func roundTrip(c syscall.RawConn) time.Duration {
	info := tcpInfo(c)
	if info == nil {
		return 0
	}
	return time.Duration(info.Rtt) * time.Microsecond
}

// tcpInfo is what the kernel tells of a connection; nil: nothing.
func tcpInfo(c syscall.RawConn) (info *unix.TCPInfo) {
	_ = c.Control(func(fd uintptr) {
		if told, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			info = told
		}
	})
	return info
}
