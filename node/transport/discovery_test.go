package transport

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestFoundPeersAreHintsWithPlainAddresses(t *testing.T) {
	m := newMachine(t)
	other := newMachine(t)
	var got []string
	d := &discovery{h: m.Host, found: func(id, addr string) { got = append(got, id+" "+addr) }}
	var text []string
	for _, a := range []string{"/ip4/10.0.0.1/tcp/7070", "/dns4/evil.example/tcp/80", "/ip4/10.0.0.1/udp/7070", "/ip6/fd00::1/tcp/7070"} {
		text = append(text, mdnsAddr+a+"/p2p/"+other.ID())
	}
	d.heard(text)
	want := []string{other.ID() + " 10.0.0.1:7070", other.ID() + " [fd00::1]:7070"}
	if !slices.Equal(got, want) {
		t.Error(got)
	}
	got = nil
	d.heard([]string{
		"", mdnsAddr, mdnsAddr + "/ip4/10.0.0.1/tcp/7070", "/ip4/10.0.0.1/tcp/7070/p2p/" + other.ID(), mdnsAddr + "/p2p/" + other.ID(),
		mdnsAddr + "/ip4/10.0.0.1/tcp/7070/p2p/" + m.ID(),
	})
	if len(got) > 0 {
		t.Error("nobody's address, or the own one, was taken:", got)
	}
	for range 100 {
		text = append(text, text[0])
	}
	if d.heard(text); len(got) > maxFoundAddrs {
		t.Error("one answer gave", len(got), "addresses")
	}
}

// seeker asks by mDNS in virtual time, on a network that is not there. asked gets a word for each round.
func seeker(near *atomic.Int64, asked chan<- time.Duration) *discovery {
	began := time.Now()
	return &discovery{
		h:    &Host{addr: "10.1.2.3:7700", log: slog.New(slog.DiscardHandler)},
		near: func() int { return int(near.Load()) }, moved: NewBell(),
		ask: func(ctx context.Context, _ func([]string)) error {
			asked <- time.Since(began)
			<-ctx.Done()
			return nil
		},
	}
}

// Every question of one machine has all of a subnet answer, and all hear it. So who has neighbours asks seldom, the
// more of them the less; who has lost them, or has moved to another network, asks soon.
func TestAMachineWithNeighboursSeldomAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var near atomic.Int64
		asked := make(chan time.Duration)
		d := seeker(&near, asked)
		go d.seek(ctx)
		alone := <-asked
		if again := <-asked; again-alone > seekMost+2*mdnsEvery {
			t.Errorf("a machine without neighbours asks only every %v", again-alone)
		}
		near.Store(9)
		last := <-asked
		for range 3 {
			next := <-asked
			if p := next - last; p < 10*seekEach || p > 20*seekEach {
				t.Errorf("with nine neighbours it asks every %v", p)
			}
			last = next
		}
		near.Store(0)
		if next := <-asked; next-last > seekMost+2*mdnsEvery {
			t.Errorf("with no neighbours left it asked after %v", next-last)
		}
		near.Store(9)
		last = <-asked
		time.Sleep(time.Minute)
		d.moved.Ring()
		if next := <-asked; next-last > 2*time.Minute {
			t.Errorf("on another network it asked after %v", next-last)
		}
	})
}

// Anybody in the subnet can make up machines as fast as he can send.
func TestAFloodOfAnnouncementsEndsTheRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		found := 0
		d := seeker(new(atomic.Int64), nil)
		d.h.stack = &stack{}
		d.found = func(string, string) { found++ }
		id := PeerID(ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey))
		d.ask = func(ctx context.Context, answer func([]string)) error {
			for ctx.Err() == nil {
				answer([]string{mdnsAddr + "/ip4/10.0.0.1/tcp/7070/p2p/" + id})
			}
			return ctx.Err()
		}
		began := time.Now()
		d.round(t.Context())
		if found != seekAnswers || time.Since(began) > 0 {
			t.Errorf("%d taken in %v", found, time.Since(began))
		}
	})
}

// Machines on loopback only, or with the cable out, run as well; they just announce nothing.
func TestMDNSWithoutANetworkIsNotAnError(t *testing.T) {
	m := newMachine(t)
	c, err := m.StartMDNS(func(string, string) {}, func() int { return 0 })
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// Where this machine has an interface with multicast, two hosts on it find each other, also if one of them has
// neighbours enough and hardly asks; where it has none there is nothing to announce.
func TestMDNSFindsNeighbours(t *testing.T) {
	everywhere := func(c *Config) { c.Listen = "0.0.0.0:0" }
	a, b := newMachine(t, everywhere), newMachine(t, everywhere)
	type hint struct{ id, addr string }
	found := make(chan hint, 64)
	svc, err := a.StartMDNS(func(id, addr string) { found <- hint{id, addr} }, func() int { return 0 })
	if err != nil {
		t.Fatal(err)
	}
	defer svc.Close()
	svc2, err := b.StartMDNS(func(string, string) {}, func() int { return 100 })
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
	svc.Shutdown()
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
