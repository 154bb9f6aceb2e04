package gossip

import (
	"fmt"
	"net/netip"
	"time"

	"patchmesh/swarm/wire"
)

// Gate is all that stands between a packet and memberlist, and between a rumour and whoever asks for
// documents because of it: the sieve, which knows what our machines send, and the guard, which knows
// how much. It does no I/O and takes the time as argument, so that attacks on it run in virtual time.
type Gate struct {
	site  string
	sieve *sieve
	guard *guard
}

// NewGate is the gate of a site that opens with the keys given, of 32 bytes each.
func NewGate(org, site string, keys ...[]byte) (*Gate, error) {
	for _, k := range keys {
		if len(k) != 32 {
			return nil, fmt.Errorf("gossip key of %d bytes, want 32", len(k))
		}
	}
	s, err := newSieve(label(org, site), keys...)
	if err != nil {
		return nil, err
	}
	return &Gate{site: site, sieve: s, guard: newGuard()}, nil
}

// Packet says whether memberlist may see a packet now.
func (g *Gate) Packet(b []byte, from netip.AddrPort, now time.Time) bool {
	rumours, ok := g.sieve.look(b)
	return ok && g.guard.packet(from, rumours, now)
}

// Rumour gives the head in a rumour of this site that is worth a look now.
func (g *Gate) Rumour(b []byte, now time.Time) (head []byte, ok bool) {
	r, err := wire.DecodeRumour(b)
	if err != nil || r.Site != g.site || !g.guard.head(r.Timestamp, now) {
		return nil, false // a member's nonsense: nothing is lost by not hearing it
	}
	return r.Timestamp, true
}
