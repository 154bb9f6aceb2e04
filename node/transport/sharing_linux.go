package transport

import (
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// shareLine has what is sent on a connection within the LAN share the line by what its queue drops. In a cold site
// every machine sends to every other at once. BBR, which some systems take for all connections, goes on sending at
// the rate that it measured before, whatever is lost: on links of 50 Mbit/s a thirtieth of all was sent in vain, and
// lines that had become free idled meanwhile. Any other way that the system chose stays as it is, and so does BBR
// beyond the LAN, where losses are no sign of a full queue.
func shareLine(c syscall.RawConn) {
	_ = c.Control(func(fd uintptr) {
		now, err := unix.GetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION)
		if err == nil && strings.HasPrefix(now, "bbr") {
			_ = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, "cubic") // not to be had: it stays
		}
	})
}
