package transport

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

func TestFoundPeersAreHintsWithPlainAddresses(t *testing.T) {
	m := newMachine(t)
	other := newMachine(t)
	var got []string
	d := &discovery{h: m.Host, found: func(id, addr string) { got = append(got, id+" "+addr) }}
	var addrs []ma.Multiaddr
	for _, a := range []string{"/ip4/10.0.0.1/tcp/7070", "/dns4/evil.example/tcp/80", "/ip4/10.0.0.1/udp/7070", "/ip6/fd00::1/tcp/7070"} {
		addrs = append(addrs, ma.StringCast(a))
	}
	d.HandlePeerFound(peer.AddrInfo{ID: other.stack.id, Addrs: addrs})
	want := []string{other.ID() + " 10.0.0.1:7070", other.ID() + " [fd00::1]:7070"}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Error(got)
	}
	for range 100 {
		addrs = append(addrs, addrs[0])
	}
	got = nil
	if d.HandlePeerFound(peer.AddrInfo{ID: other.stack.id, Addrs: addrs}); len(got) > maxFoundAddrs {
		t.Error("one answer gave", len(got), "addresses")
	}
}

// Machines on loopback only, or with the cable out, run as well; they just announce nothing.
func TestMDNSWithoutANetworkIsNotAnError(t *testing.T) {
	m := newMachine(t)
	c, err := m.StartMDNS(func(string, string) {})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// Where this machine has an interface with multicast, two hosts on it find each other; where it has
// none there is nothing to announce.
func TestMDNSFindsNeighbours(t *testing.T) {
	everywhere := func(c *Config) { c.Listen = "0.0.0.0:0" }
	a, b := newMachine(t, everywhere), newMachine(t, everywhere)
	type hint struct{ id, addr string }
	found := make(chan hint, 64)
	svc, err := a.StartMDNS(func(id, addr string) { found <- hint{id, addr} })
	if err != nil {
		t.Fatal(err)
	}
	defer svc.Close()
	svc2, err := b.StartMDNS(func(string, string) {})
	if err != nil {
		t.Fatal(err)
	}
	defer svc2.Close()
	if !multicastHere(t, b) {
		return
	}
	for {
		h := await(t, found, "neighbour")
		if h.id != b.ID() {
			continue
		}
		if _, err := netip.ParseAddrPort(h.addr); err != nil {
			t.Error(h)
		}
		return
	}
}

// multicastHere says whether this machine has an interface to announce on and hears its own multicast.
func multicastHere(t *testing.T, m *machine) bool {
	d := &discovery{h: m.Host, found: func(string, string) {}}
	svc := d.start(d.addrs())
	if svc == nil {
		t.Log("no interface with multicast on this machine")
		return false
	}
	_ = svc.Close()
	in, err := net.ListenMulticastUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: 0})
	if err != nil {
		t.Log(err)
		return false
	}
	defer in.Close()
	out, err := net.Dial("udp4", fmt.Sprintf("224.0.0.251:%d", in.LocalAddr().(*net.UDPAddr).Port))
	if err != nil {
		t.Log(err)
		return false
	}
	defer out.Close()
	_, _ = out.Write([]byte("echo"))
	_ = in.SetReadDeadline(time.Now().Add(time.Second))
	_, err = in.Read(make([]byte, 16))
	if err != nil {
		t.Log("multicast does not come back:", err)
	}
	return err == nil
}
