package transport

import (
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// shortWay is the round trip up to which a lost segment is a sign of a full queue, and sent again before anybody
// misses it: of the LAN, of a fibre through a town. BBR is made for longer ways, where much is lost on the way itself.
const shortWay = 5 * time.Millisecond

// shareLine has what is sent on a connection share the line by what its queue drops, where the peer is of the LAN or the way
// to it short. In a cold site every machine sends to every other at once. BBR, which some systems take for all
// connections, goes on sending at the rate that it measured before, whatever is lost: on links of 50 Mbit/s a thirtieth
// of all was sent in vain, and lines that had become free idled meanwhile. So did a WAN line of 50 Mbit/s with the
// queue of a home router, a thirtieth of the time, though it was the only connection there. Any other way that the
// system chose stays as it is.
func shareLine(c syscall.RawConn) {
	_ = c.Control(func(fd uintptr) {
		now, err := unix.GetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION)
		if err == nil && strings.HasPrefix(now, "bbr") {
			_ = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, "cubic") // not to be had: it stays
		}
	})
}

// isShortWay is by the shortest round trip that the connection has seen: its handshakes, mostly.
func isShortWay(c syscall.RawConn) bool {
	info := tcpInfo(c)
	return info != nil && time.Duration(info.Min_rtt)*time.Microsecond < shortWay
}
