package transport

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	ma "github.com/multiformats/go-multiaddr"

	"patchmesh/swarm/wire"
)

// A peer that is refused by its identity is told why once, and then cut right after TLS: no stream of
// it is looked at, its hello is not read.
func TestRefusedPeerIsToldOnceAndThenCut(t *testing.T) {
	b := newMachine(t)
	var admits atomic.Int64
	a := newMachine(t, func(c *Config) {
		c.Allow = func(id string) bool { return id != b.ID() }
		c.Farewell = func(string) string { return "stolen" }
		admit := c.Admit
		c.Admit = func(id string, h wire.Hello) (Peer, error) { admits.Add(1); return admit(id, h) }
	})
	if id, err := b.Probe(context.Background(), a.ListenAddr()); err != nil || id != a.ID() {
		t.Fatal(id, err) // looking who is there does not use the farewell up
	}
	_, err := b.Connect(context.Background(), a.ID(), a.ListenAddr())
	if !errors.Is(err, ErrRevoked) || !strings.Contains(err.Error(), "stolen") {
		t.Fatalf("the refused peer hears %v", err)
	}
	for range 5 {
		if _, err := b.Connect(context.Background(), a.ID(), a.ListenAddr()); err == nil || errors.Is(err, ErrRevoked) {
			t.Errorf("again: %v", err)
		}
	}
	if admits.Load() != 0 || len(a.up) != 0 {
		t.Error("its hello was read")
	}
	if n := seatsTaken(a); n != 0 {
		t.Error(n, "seats still taken")
	}
	c := newMachine(t) // and others come in
	join(t, c, a)
}

func TestFarewellsAreFew(t *testing.T) {
	f := &farewells{clock: &clock{start: time.Now()}, text: func(string) string { return "why" }, given: map[string]farewell{}}
	told := 0
	for i := range 10 * maxFarewells {
		if f.due(string(rune(i + 1000))) {
			told++
		}
	}
	if told != maxFarewells || len(f.given) > maxFarewells {
		t.Errorf("%d peers told, %d remembered", told, len(f.given))
	}
	again := 0
	for range 100 {
		if f.due(string(rune(1000))) {
			again++
		}
	}
	if again >= farewellTries {
		t.Errorf("one peer was let in %d times more in the same minute", again)
	}
	f.clock.start = f.clock.start.Add(-2 * farewellEvery)
	if !f.due("later") {
		t.Error("nobody is told any more")
	}
}

// Whoever names an address, no socket is opened to one that is not allowed.
func TestNoSocketGoesOutside(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var knocks atomic.Int64
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			knocks.Add(1)
			_ = c.Close()
		}
	}()
	outside := errors.New("loopback")
	a := newMachine(t, func(c *Config) {
		c.MayDial = func(ap netip.AddrPort) error {
			if ap.Addr().IsLoopback() {
				return outside
			}
			return nil
		}
	})
	b, ctx := newMachine(t), context.Background()
	for name, dial := range map[string]func() error{
		"connect":            func() error { _, err := a.Connect(ctx, b.ID(), ln.Addr().String()); return err },
		"connect to anybody": func() error { _, err := a.Connect(ctx, "", ln.Addr().String()); return err },
		"probe":              func() error { _, err := a.Probe(ctx, ln.Addr().String()); return err },
		"gossip":             func() error { _, err := a.DialGossip(ctx, b.ID(), ln.Addr().String()); return err },
		"enrol":              func() error { _, err := a.EnrolWith(ctx, b.ID(), ln.Addr().String(), []byte("x")); return err },
		"mapped": func() error {
			_, err := a.Probe(ctx, strings.Replace(ln.Addr().String(), "127.0.0.1", "[::ffff:127.0.0.1]", 1))
			return err
		},
	} {
		if err := dial(); !errors.Is(err, ErrOutside) || !errors.Is(err, outside) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if knocks.Load() != 0 {
		t.Errorf("%d sockets were opened", knocks.Load())
	}
	if _, err := b.Connect(ctx, a.ID(), a.ListenAddr()); err != nil {
		t.Error("an incoming peer:", err)
	}
}

// seatOf is a connection from an address, as far as the door looks at it.
func seatOf(from string) *rawConn {
	c := &fakeConn{from: net.TCPAddrFromAddrPort(netip.MustParseAddrPort(from))}
	return newRawConn(c, &clock{start: time.Now()}, time.Second)
}

type fakeConn struct {
	net.Conn
	from   net.Addr
	closed atomic.Bool
}

func (f *fakeConn) RemoteAddr() net.Addr          { return f.from }
func (f *fakeConn) Close() error                  { f.closed.Store(true); return nil }
func (f *fakeConn) LocalMultiaddr() ma.Multiaddr  { return nil }
func (f *fakeConn) RemoteMultiaddr() ma.Multiaddr { return nil }

// One machine that keeps all seats taken, each for less than a second, must not keep others out.
func TestOneAddressDoesNotHoldTheDoor(t *testing.T) {
	d := newDoor(&clock{start: time.Now()}, 5*time.Second)
	for i := range maxStrangers {
		if !d.enter(seatOf("10.0.0.66:" + string(rune('1'+i%9)) + "000")) {
			t.Fatal("no seat")
		}
	}
	honest := []*rawConn{}
	for _, from := range []string{"10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1", "[fd00::1]:1", "[fd00:0:0:1::1]:1"} {
		c := seatOf(from)
		if !d.enter(c) {
			t.Fatalf("%s gets no seat", from)
		}
		honest = append(honest, c)
		d.enter(seatOf("10.0.0.66:7")) // and it pushes on
	}
	for _, c := range honest {
		if _, ok := d.seats[c]; !ok {
			t.Errorf("%s lost its seat to the one who has most", c.RemoteAddr())
		}
	}
	if len(d.seats) > maxStrangers {
		t.Errorf("%d seats", len(d.seats))
	}
	six := newDoor(&clock{start: time.Now()}, 5*time.Second) // a machine has a whole /64 to speak from
	for i := range maxStrangers {
		six.enter(seatOf("[fd00::" + string(rune('a'+i%6)) + "]:1"))
	}
	if !six.enter(seatOf("[fd00:0:0:2::1]:1")) {
		t.Error("one /64 holds the door")
	}
}

// T25: a stranger at the door, TLS done and a stream open, costs at most 64 KiB.
func TestStrangerCostsLittleMemory(t *testing.T) {
	m := newMachine(t, func(c *Config) { c.Timing.Hello = time.Minute })
	measure := func() uint64 {
		var s runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&s)
		return s.HeapAlloc + s.StackInuse
	}
	var strangers []*machine
	for range maxStrangers - 2 {
		strangers = append(strangers, newMachine(t))
	}
	before := measure()
	for _, self := range strangers {
		l, err := self.dialLink(context.Background(), m.ID(), m.ListenAddr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(l.close)
		st, err := l.conn.OpenStream(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = st.Write([]byte("x"))
	}
	both := int64(measure()-before) / int64(len(strangers))
	each := (both - gatherBytes) / 2 // whoever dials is a member to itself and reads ahead
	t.Logf("a stranger's connection costs %d bytes", each)
	if each > 64<<10 {
		t.Error("that is more than 64 KiB")
	}
}

// T25's figures as the resource manager has them.
func TestConnectionsPerSubnetAreBounded(t *testing.T) {
	m := newMachine(t)
	open := func(addr string) error {
		a, err := ma.NewMultiaddr(addr)
		if err != nil {
			t.Fatal(err)
		}
		_, err = m.stack.rcmgr.OpenConnection(network.DirInbound, true, a)
		return err
	}
	count := func(addr func(i int) string, upTo int) int {
		for i := range upTo {
			if open(addr(i)) != nil {
				return i
			}
		}
		return upTo
	}
	if n := count(func(int) string { return "/ip4/10.9.9.9/tcp/1" }, 2*connsPerAddr); n > connsPerAddr {
		t.Errorf("%d connections of one address", n)
	}
	subnet := func(i int) string { return "/ip4/10.8.8." + strconv.Itoa(1+i%250) + "/tcp/1" }
	if n := count(subnet, 2*connsPerSubnet); n > connsPerSubnet {
		t.Errorf("%d connections of one subnet", n)
	}
	if err := open("/ip4/10.7.7.7/tcp/1"); err != nil {
		t.Error("another subnet is locked out:", err)
	}
}
