package gossip

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"
)

func key(n byte) []byte { return bytes.Repeat([]byte{n}, 32) }

// Two members change keys one after the other: at every step each hears the other.
func TestKeysChangeWithoutLosingARumour(t *testing.T) {
	w := &wires{all: map[string]*Gossip{}}
	a, b := w.start(t, "a", 1), w.start(t, "b", 1)
	if _, err := b.Join([]string{a.name(t, "a")}); err != nil {
		t.Fatal(err)
	}
	await(t, a.up, "b")
	news := 0
	hear := func(step string) {
		t.Helper()
		news++
		from, to, text := a, b, step
		if news%2 == 0 {
			from, to = b, a
		}
		if err := from.Announce([]byte(text)); err != nil {
			t.Fatal(err)
		}
		awaitHead(t, to, text)
	}
	set := func(m *member, use byte, also ...byte) {
		t.Helper()
		var more [][]byte
		for _, k := range also {
			more = append(more, key(k))
		}
		if err := m.SetKeys(key(use), more...); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []func(){
		func() { set(a, 1, 2) }, func() { set(b, 1, 2) }, // added everywhere
		func() { set(a, 2, 1) }, func() { set(b, 2, 1) }, // used
		func() { set(a, 2) }, func() { set(b, 2) }, // the old one removed
		func() { set(b, 2) }, // and nothing changes nothing
	} {
		s()
		hear("step " + string(rune('0'+news)))
		hear("step " + string(rune('0'+news)))
	}
	stale := w.start(t, "stale", 1)
	if n, err := stale.Join([]string{a.name(t, "a")}); n != 0 || err == nil {
		t.Error("the old key still opens the door")
	}
	if err := a.SetKeys([]byte("short")); err == nil {
		t.Error("a short key was taken")
	}
	hear("and all is well")
}

// A member that is locked out is not heard any more, from where it was.
func TestBlockedMemberFallsSilent(t *testing.T) {
	w := &wires{all: map[string]*Gossip{}}
	a, b := w.start(t, "a", 1), w.start(t, "b", 1)
	if _, err := b.Join([]string{a.name(t, "a")}); err != nil {
		t.Fatal(err)
	}
	await(t, a.up, "b")
	a.Block("nobody")
	w.mu.Lock()
	delete(w.all, "b") // its sessions end as well
	delete(w.all, "a")
	w.mu.Unlock()
	a.Block("b")
	await(t, a.down, "b")
}

// Members name addresses for each other, and ask for probes of third ones. No packet goes there.
func TestPacketsGoToAllowedAddressesOnly(t *testing.T) {
	bad := errors.New("outside")
	sink, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	at := sink.LocalAddr().(*net.UDPAddr).AddrPort()
	p, err := listen(Config{
		Listen: "127.0.0.1:0", Org: "acme", Site: "main", Key: key(1), Dial: func(context.Context, string, string) (net.Conn, error) { return nil, bad },
		MayReach: func(a netip.AddrPort) error {
			if a == at {
				return bad
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Shutdown()
	mapped := "[::ffff:" + at.Addr().String() + "]:" + netip.AddrPortFrom(at.Addr(), at.Port()).String()[len("127.0.0.1:"):]
	for _, to := range []string{at.String(), mapped} {
		if _, err := p.WriteTo([]byte("x"), to); !errors.Is(err, bad) {
			t.Errorf("%s: %v", to, err)
		}
	}
	for _, to := range []string{"localhost:1", "metadata.example:80", "1.2.3.4", ""} {
		if _, err := p.WriteTo([]byte("x"), to); err == nil {
			t.Errorf("%q was looked up", to)
		}
	}
	if _, err := p.WriteTo([]byte("x"), p.conn.LocalAddr().String()); err != nil {
		t.Error("an allowed address:", err)
	}
	_ = sink.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if n, _, err := sink.ReadFromUDP(make([]byte, 10)); err == nil {
		t.Errorf("%d bytes arrived outside", n)
	}
}

func TestGuardBoundsEverySourceAndLetsOthersThrough(t *testing.T) {
	g, now := newGuard(), time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	liar, honest := netip.MustParseAddrPort("10.0.0.66:7700"), netip.MustParseAddrPort("10.0.0.1:7700")
	passed, heads := 0, 0
	for ms := range 10_000 { // ten seconds of ten thousand packets a second
		at := now.Add(time.Duration(ms) * time.Millisecond)
		for i := range 10 {
			if g.packet(netip.AddrPortFrom(liar.Addr(), uint16(1000+i)), 0, at) { // another port is no other source
				passed++
			}
		}
		if g.packet(liar, 3, at) {
			heads += 3
		}
		if ms%50 == 0 && !g.packet(honest, 0, at) {
			t.Fatalf("an honest packet was dropped after %d ms", ms)
		}
		if ms%1000 == 0 && !g.packet(honest, 1, at) {
			t.Fatalf("an honest rumour was dropped after %d ms", ms)
		}
	}
	if most := sourceBurst + 10*sourcePacketsPerSec + 1; passed > most {
		t.Errorf("%d packets of one source passed in 10 s, at most %d", passed, most)
	}
	if most := sourceHeadBurst + 10*sourceHeadsPerSec + 3; heads > most {
		t.Errorf("%d rumours of one source passed in 10 s, at most %d", heads, most)
	}
	for i := range 100_000 { // a holder of the key invents senders
		g.packet(netip.AddrPortFrom(netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}), 7700), 1, now.Add(10*time.Second))
	}
	if len(g.sources) > maxSources {
		t.Errorf("%d sources are remembered", len(g.sources))
	}
}

func TestHeadIsLookedAtOnce(t *testing.T) {
	g, now := newGuard(), time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	if !g.head([]byte("head"), now) || g.head([]byte("head"), now.Add(time.Second)) {
		t.Error("a head is looked at once")
	}
	if !g.head([]byte("head"), now.Add(headAgain)) {
		t.Error("much later it may mean more")
	}
	looked := 0
	for i := range 100_000 {
		if g.head([]byte{byte(i), byte(i >> 8), byte(i >> 16), 1}, now.Add(time.Duration(i)*100*time.Microsecond)) {
			looked++
		}
	}
	if most := headBurst + 10*headsPerSec + 1; looked > most || len(g.seen) > headsKept {
		t.Errorf("%d of 100,000 heads were looked at in 10 s, at most %d; %d kept", looked, most, len(g.seen))
	}
}
