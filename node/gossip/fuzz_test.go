package gossip

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"patchmesh/swarm/wire"
)

// FuzzGate: of what arrives from wherever, memberlist sees nothing that was not sealed with a key of
// this site, and of what is sealed nothing that our machines do not send: nothing empty, nothing
// compressed or sealed again, and no compound within a compound.
func FuzzGate(f *testing.F) {
	s := testSieve(f)
	f.Add(uint32(1), []byte{typeUser, 'x'})
	f.Add(uint32(1), []byte{typeCompound, 2, 0, 1, 0, 1, typeUser, typeUser})
	f.Add(uint32(2), []byte{typeCompound, 1, 0, 2, typeCompound, 0})
	f.Add(uint32(0), []byte{typeAlive, 0x80})
	f.Add(uint32(0), []byte{9, 0x80})
	f.Add(uint32(0), []byte{})
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, source uint32, plain []byte) {
		g := &Gate{site: "main", sieve: s, guard: newGuard()}
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, source))), 1)
		if g.Packet(plain, from, now) {
			t.Fatalf("%x was let through unsealed", plain)
		}
		if g.Packet(sealed(s, 0, plain), from, now) {
			t.Fatalf("%x was let through in the version with padding", plain)
		}
		if !g.Packet(sealed(s, 1, plain), from, now) {
			return
		}
		inner := plain
		if len(inner) > 5 && inner[0] == typeCRC {
			inner = inner[5:]
		}
		if len(inner) == 0 || inner[0] > typeNack || inner[0] == typeEncrypt || inner[0] == 9 || inner[0] == typePushPull {
			t.Fatalf("%x was let through", plain)
		}
	})
}

// FuzzRumour: what a member may say of a head, any number of times: the head that is handed on is the
// one that was said, of this site, and no larger than a head can be.
func FuzzRumour(f *testing.F) {
	for _, site := range []string{"main", "other"} {
		b, err := wire.EncodeRumour(wire.Rumour{Site: site, Timestamp: []byte(`{"signed":{},"signatures":[]}`)})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[:len(b)-1])
		f.Add(append(b, 0))
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, b []byte) {
		g := &Gate{site: "main", guard: newGuard()}
		head, ok := g.Rumour(b, now)
		if !ok {
			return
		}
		r, err := wire.DecodeRumour(b)
		if err != nil || r.Site != "main" || !bytes.Equal(r.Timestamp, head) {
			t.Fatalf("%x was heard as %q", b, head)
		}
		if _, again := g.Rumour(b, now); again {
			t.Fatal("the same head is news twice")
		}
	})
}
