package swarm

import (
	"encoding/binary"
	"time"
)

// linkState is this machine's way to a seed across the WAN.
type linkState struct {
	wanted    bool      // Link{Want: true} stands
	downUntil time.Time // the seed was not reachable: this machine does not count as egress before
	backoff   time.Duration
	toldUp    bool // what neighbours were told last by TellEgress; starts as Self.Egress
	toldOnce  bool
}

// uplinkTurn is how long a machine stays first in line to be its site's uplink. News and reports of the
// whole site go through it: one that keeps them to itself must not be able to do so for long.
const uplinkTurn = 10 * time.Minute

// uplinkKey orders the egress peers for the role of uplink. Machines whose clocks differ may see two
// uplinks for a while, which costs a session.
func (c *Core) uplinkKey() []byte {
	return binary.BigEndian.AppendUint64([]byte("patchmesh uplink"), uint64(c.uplinkTurns()))
}

// uplinkTurns counts the turns of this machine's site. Sites change at different times: a seed must not get all
// their new uplinks at once.
func (c *Core) uplinkTurns() int64 {
	return (c.now.Unix() + c.turnShift()) / int64(uplinkTurn/time.Second)
}

func (c *Core) turnShift() int64 {
	return int64(weight([]byte("patchmesh turn"), 0, PeerID(c.self.Site)) % uint64(uplinkTurn/time.Second))
}

// uplinkTurnEnds is when another machine may come first.
func (c *Core) uplinkTurnEnds() time.Time {
	return time.Unix((c.uplinkTurns()+1)*int64(uplinkTurn/time.Second)-c.turnShift(), 0)
}

// egress says whether this machine may use the WAN right now.
func (c *Core) egress() bool {
	return c.self.Egress && !c.self.Seed && !c.now.Before(c.link.downUntil)
}

// firstEgress is the peer that comes first for a key among all live egress peers of the site, this
// machine included; empty if there is none.
func (c *Core) firstEgress(key []byte) PeerID {
	return c.firstEgressBut(key, func(PeerID) bool { return false })
}

// firstEgressBut is firstEgress with neighbours left out.
func (c *Core) firstEgressBut(key []byte, not func(PeerID) bool) PeerID {
	var best PeerID
	var bestWeight uint64
	consider := func(id PeerID) {
		if w := weight(key, 0, id); best == "" || before(w, id, bestWeight, best) {
			best, bestWeight = id, w
		}
	}
	if c.egress() {
		consider(c.self.Peer)
	}
	c.toNeighbours(func(p *peer) {
		if p.egress && !p.seed && !not(p.id) {
			consider(p.id)
		}
	})
	return best
}

// localSeed says whether a seed of the own site is connected: then nothing needs the WAN.
func (c *Core) localSeed() *peer {
	for _, p := range c.peers {
		if p.seed && c.neighbour(p) {
			return p
		}
	}
	return nil
}

// linkedSeed is a connected seed across the WAN, or nil.
func (c *Core) linkedSeed() *peer {
	for _, p := range c.peers {
		if c.wanSeed(p) {
			return p
		}
	}
	return nil
}

// driveLink asks for a session with a seed exactly while this machine has a use for it: as the
// uplink of the site, or for a WAN lease. Two sessions per site do, however large the site is.
func (c *Core) driveLink() {
	if c.self.Seed {
		return
	}
	c.tellEgress()
	want := false
	if c.egress() && c.localSeed() == nil {
		want = c.uplink() == c.self.Peer
		c.wakeBy(c.uplinkTurnEnds())
		for _, l := range c.payloads {
			want = want || c.far.seed && (l.lease.held || l.lease.asks > 0 || c.leaseDue(l))
		}
	}
	c.driveAdjacent(c.leases())
	if want != c.link.wanted {
		c.link.wanted = want
		c.act(Link{Want: want})
	}
	if c.now.Before(c.link.downUntil) {
		c.wakeBy(c.link.downUntil)
	}
}

// leases: this machine holds a WAN lease, or should.
func (c *Core) leases() bool {
	if !c.adjacent.allowed {
		return false
	}
	for _, l := range c.payloads {
		if l.lease.held || l.lease.asks > 0 || c.leaseDue(l) {
			return true
		}
	}
	return false
}

// tellEgress tells neighbours when this machine's answer to "may I use the WAN" has changed.
func (c *Core) tellEgress() {
	up := c.egress()
	if !c.link.toldOnce {
		c.link.toldOnce, c.link.toldUp = true, c.self.Egress
	}
	if up == c.link.toldUp {
		return
	}
	c.link.toldUp = up
	c.toNeighbours(func(p *peer) { c.act(TellEgress{To: p.id, Egress: up}) })
}

func (c *Core) linkUp() {
	c.link.backoff = 0
	c.act(Note{Kind: NoteLink, Text: "a seed is connected"})
}

// linkLost: the session with a seed ended. The driver is asked to make a new one at once; if it
// cannot, linkFailed follows.
func (c *Core) linkLost() {
	c.act(Note{Kind: NoteLink, Reason: "net-timeout", Text: "the session with the seed ended"})
	if c.link.wanted && c.linkedSeed() == nil {
		c.act(Link{Want: true})
	}
}

// linkFailed: this machine cannot reach a seed now. It steps back so that the next in line tries,
// and comes back after a growing pause with jitter.
func (c *Core) linkFailed() {
	if c.linkedSeed() != nil {
		return
	}
	b := min(max(2*c.link.backoff, c.cfg.LinkRetryMin), c.cfg.LinkRetryMax)
	c.link.backoff = b
	c.link.downUntil = c.now.Add(b/2 + time.Duration(c.rng.Int64N(int64(b))))
	c.act(Note{Kind: NoteLink, Reason: "net-timeout", Text: "no seed can be reached"})
	c.releaseAll("net-timeout")
	c.link.wanted = false
	c.membershipChanged()
}

func (c *Core) egressChanged(e EgressChanged) {
	if c.self.Egress == e.Egress {
		return
	}
	if !c.link.toldOnce {
		c.link.toldOnce, c.link.toldUp = true, c.self.Egress
	}
	c.self.Egress = e.Egress
	c.link.downUntil, c.link.backoff = time.Time{}, 0
	if !e.Egress {
		c.releaseAll("net-site-unknown")
	}
	c.membershipChanged()
}
