package transport

import (
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func chooseCongestion(c syscall.RawConn, name string) (err error) {
	_ = c.Control(func(fd uintptr) { err = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, name) })
	return err
}

func congestionOf(t *testing.T, c syscall.RawConn) (name string) {
	t.Helper()
	var err error
	_ = c.Control(func(fd uintptr) { name, err = unix.GetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION) })
	if err != nil {
		t.Fatal(err)
	}
	return name
}

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
	for _, name := range offered {
		if chooseCongestion(raw, name) != nil {
			continue // for privileged programs only
		}
		want := name
		if strings.HasPrefix(name, "bbr") && chooseCongestion(raw, "cubic") == nil {
			want = "cubic"
		}
		if err := chooseCongestion(raw, name); err != nil {
			t.Fatal(err)
		}
		shareLine(raw)
		if got := congestionOf(t, raw); got != want {
			t.Errorf("%s became %s, want %s", name, got, want)
		}
	}
}

// Whatever this system takes for all connections: those between machines of one LAN do not use BBR.
func TestSessionsWithinTheLANDoNotUseBBR(t *testing.T) {
	a, b := joined(t)
	for _, s := range []*session{a.sessionOf(b.ID()), b.sessionOf(a.ID())} {
		if !s.peer.SameSubnet {
			t.Errorf("%s is not of the subnet", s.peer.Addr)
		}
		if got := congestionOf(t, s.l.raw.gather.sys); strings.HasPrefix(got, "bbr") {
			t.Errorf("a session of the LAN uses %s", got)
		}
	}
}

// A machine of another subnet that is as near as one of the LAN shares the line with the rest, on each of its
// connections: the way is known from the first.
func TestAShortWayIsNoWayForBBR(t *testing.T) {
	a, b := joined(t)
	l := a.sessionOf(b.ID()).l
	c := l.raw.gather.sys
	if !isShortWay(c) {
		t.Fatal("loopback is no short way")
	}
	if err := chooseCongestion(c, "bbr"); err != nil {
		t.Skipf("this system has no BBR: %v", err)
	}
	(&session{l: l}).shares(l) // of a peer that is not in the subnet
	if got := congestionOf(t, c); got == "bbr" {
		t.Errorf("a short way uses %s", got)
	}
}

func TestWhatIsInASubnetOfThisMachine(t *testing.T) {
	for addr, want := range map[string]bool{"127.0.0.1:7700": true, "240.0.0.1:7700": false, "127.0.0.1": false, "": false} {
		if got := sameSubnet(addr); got != want {
			t.Errorf("%q counts as in the subnet: %v", addr, got)
		}
	}
}
