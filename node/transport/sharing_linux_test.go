package transport

import (
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// What the system offers is tried one after the other: only BBR gives way, and only where there is something else.
func TestBBRGivesWayOnTheLAN(t *testing.T) {
	b, err := os.ReadFile("/proc/sys/net/ipv4/tcp_available_congestion_control")
	if err != nil {
		t.Fatal(err)
	}
	offered := strings.Fields(string(b))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	choose := func(name string) (err error) {
		_ = raw.Control(func(fd uintptr) { err = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, name) })
		return err
	}
	for _, name := range offered {
		if choose(name) != nil {
			continue // for privileged programs only
		}
		want := name
		if strings.HasPrefix(name, "bbr") && choose("cubic") == nil {
			want = "cubic"
		}
		if err := choose(name); err != nil {
			t.Fatal(err)
		}
		shareLine(raw)
		var got string
		_ = raw.Control(func(fd uintptr) { got, err = unix.GetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION) })
		if err != nil || got != want {
			t.Errorf("%s became %s, want %s (%v)", name, got, want, err)
		}
	}
}
