package gossip

import (
	"crypto/sha256"
	"net/netip"
	"sync"
	"time"
)

// Limits of what gossip may cost, whoever holds the key. An honest site of some hundred machines
// stays far below: each sends a few packets a second to each of a few others.
const (
	sourcePacketsPerSec = 100 // from one address
	sourceBurst         = 400
	allPacketsPerSec    = 2000 // from all together
	allBurst            = 4000
	maxSources          = 1024 // remembered; the rest share one allowance

	sourceHeadsPerSec = 2 // rumours from one address; there is one for every publication
	sourceHeadBurst   = 20
	headsPerSec       = 50 // heads looked at, whoever sent them
	headBurst         = 200
	headsKept         = 512 // digests of heads that were looked at
	headAgain         = 30 * time.Second

	blockFor   = 15 * time.Minute // longer than the overlap of two gossip keys
	maxBlocked = 256
)

// bucket is a token bucket; now is any clock that does not go back.
type bucket struct {
	tokens float64
	at     time.Time
}

func (b *bucket) take(now time.Time, perSec, burst float64) bool {
	if b.at.IsZero() {
		b.tokens = burst
	} else if d := now.Sub(b.at); d > 0 {
		b.tokens = min(burst, b.tokens+d.Seconds()*perSec)
	}
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

type allowance struct{ packets, heads bucket }

// guard bounds what packets and heads cost before anything looks into them: per source, over all,
// and once per head. Gossip has no sender that is proven, so a source is where a packet came from.
type guard struct {
	mu      sync.Mutex
	all     bucket
	rest    allowance // of sources beyond maxSources
	sources map[netip.AddrPort]*allowance
	blocked map[netip.AddrPort]time.Time // until when

	droppedAt time.Time

	heads    bucket
	seen     map[[32]byte]time.Time
	seenRing [headsKept][32]byte
	seenNext int
}

func newGuard() *guard {
	return &guard{sources: map[netip.AddrPort]*allowance{}, blocked: map[netip.AddrPort]time.Time{}, seen: map[[32]byte]time.Time{}}
}

// source is what shares one allowance: a machine, and on loopback, where all are one machine, a port.
func source(from netip.AddrPort) netip.AddrPort {
	ip := from.Addr().Unmap().WithZone("")
	if ip.IsLoopback() {
		return netip.AddrPortFrom(ip, from.Port())
	}
	return netip.AddrPortFrom(ip, 0)
}

// packet says whether a packet from there with so many rumours in it may be looked at now. It is
// asked only about packets that open with the site's key: others could use up what a victim may send.
func (g *guard) packet(from netip.AddrPort, rumours int, now time.Time) bool {
	key := source(from)
	g.mu.Lock()
	defer g.mu.Unlock()
	if until, ok := g.blocked[key]; ok {
		if now.Before(until) {
			return false
		}
		delete(g.blocked, key)
	}
	b := g.sources[key]
	if b == nil {
		if len(g.sources) >= maxSources {
			g.dropIdle(now)
		}
		if len(g.sources) >= maxSources {
			b = &g.rest
		} else {
			b = &allowance{}
			g.sources[key] = b
		}
	}
	for range rumours {
		if !b.heads.take(now, sourceHeadsPerSec, sourceHeadBurst) {
			return false
		}
	}
	return b.packets.take(now, sourcePacketsPerSec, sourceBurst) && g.all.take(now, allPacketsPerSec, allBurst)
}

// dropIdle forgets sources whose allowance is full again: forgetting them changes nothing. It looks
// at all of them, so it does that once a second.
func (g *guard) dropIdle(now time.Time) {
	if now.Sub(g.droppedAt) < time.Second {
		return
	}
	g.droppedAt = now
	for k, b := range g.sources {
		if now.Sub(b.packets.at) > sourceHeadBurst/sourceHeadsPerSec*time.Second && now.Sub(b.heads.at) > sourceHeadBurst/sourceHeadsPerSec*time.Second {
			delete(g.sources, k)
		}
	}
}

// block turns away packets from an address for a while.
func (g *guard) block(a netip.AddrPort, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for k, until := range g.blocked {
		if !now.Before(until) {
			delete(g.blocked, k)
		}
	}
	if len(g.blocked) < maxBlocked {
		g.blocked[source(a)] = now.Add(blockFor)
	}
}

// head says whether a head is worth a look: not looked at lately, and not too many at once. Each
// look checks a signature.
func (g *guard) head(b []byte, now time.Time) bool {
	sum := sha256.Sum256(b)
	g.mu.Lock()
	defer g.mu.Unlock()
	if at, ok := g.seen[sum]; ok && now.Sub(at) < headAgain { // once in a while it may mean more: keys change
		return false
	}
	if !g.heads.take(now, headsPerSec, headBurst) {
		return false
	}
	delete(g.seen, g.seenRing[g.seenNext])
	g.seenRing[g.seenNext] = sum
	g.seenNext = (g.seenNext + 1) % headsKept
	g.seen[sum] = now
	return true
}

// Block turns away packets from where a member is, for longer than two keys overlap: it was locked
// out, and until the key it knows has gone nothing else keeps it from talking. The failure detector
// then takes it for dead. Unknown is no error.
func (g *Gossip) Block(id string) {
	if a, ok := g.alive.find(id); ok {
		g.trans.gate.guard.block(a, time.Now())
	}
}
