package node

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"patchmesh/node/transport"
	"patchmesh/swarm/wire"
)

// connector keeps trying to have sessions with the machines of this site: those given by hand, those
// remembered from before, and those that gossip, mDNS or a seed have named. It never gives up, so
// that a site heals by itself after any outage.
type connector struct {
	n *Node

	mu    sync.Mutex
	cands []*candidate // small: bounded by maxCandidates
	kick  transport.Bell
}

// candidate is one address worth trying.
type candidate struct {
	id     string // empty: not known yet
	addr   string
	fixed  bool // given by hand: never forgotten
	trying bool
	nextAt time.Time
	fails  int
}

const (
	maxCandidates = 512
	dialers       = 8
	retryFirst    = 300 * time.Millisecond
	retryMost     = 20 * time.Second
	lookMost      = 2 * time.Second  // without news, it is looked so often who is to be dialled
	maxPerAddr    = 4                // candidates for one address, and addresses of one machine
	foreignPause  = 10 * time.Minute // an address where another site's machine answered
)

func newConnector(n *Node) *connector {
	return &connector{n: n, kick: transport.NewBell()}
}

// add makes an address known. It is a hint: what answers there must still show its certificate.
func (c *connector) add(id, addr string, fixed bool) {
	if id == c.n.id || addr == c.n.listenAddr() || c.n.isRevoked(id) {
		return
	}
	if _, err := c.n.reach.Load().check(addr); err != nil && !fixed {
		c.n.outside(id, addr, err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	same, ofPeer := 0, 0
	for _, k := range c.cands {
		if k.addr == addr && (k.id == id || k.id == "" || id == "") {
			if k.id == "" && id != "" {
				k.id, k.nextAt, k.fails = id, time.Time{}, 0
			}
			k.fixed = k.fixed || fixed
			c.poke()
			return
		}
		if k.addr == addr {
			same++
		}
		if k.id == id {
			ofPeer++
		}
	}
	// Gossip may name somebody else's address for a machine. That becomes another candidate and takes
	// nothing from the one that is there; a few such lies are all that fit.
	if !fixed && (same >= maxPerAddr || ofPeer >= maxPerAddr) {
		return
	}
	if len(c.cands) >= maxCandidates {
		i := slices.IndexFunc(c.cands, func(k *candidate) bool { return !k.fixed && !k.trying })
		if i < 0 {
			return
		}
		c.cands = slices.Delete(c.cands, i, i+1)
	}
	c.cands = append(c.cands, &candidate{id: id, addr: addr, fixed: fixed})
	c.poke()
}

// lost: a session ended; try again soon.
func (c *connector) lost(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.cands {
		if k.id == id {
			k.fails, k.nextAt = 0, c.n.cfg.Now().Add(retryFirst)
		}
	}
	c.poke()
}

// forget drops every address of a machine but those given by hand, which may be somebody else's now.
func (c *connector) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cands = slices.DeleteFunc(c.cands, func(k *candidate) bool { return k.id == id && !k.fixed })
	for _, k := range c.cands {
		if k.id == id {
			k.id = ""
		}
	}
}

func (c *connector) poke() {
	c.kick.Ring()
}

// run dials whatever is due, a few at a time.
func (c *connector) run(ctx context.Context) {
	t := time.NewTimer(retryFirst)
	defer t.Stop()
	slots := make(chan struct{}, dialers)
	for {
		now, next := c.due()
		t.Reset(next)
		for _, k := range now {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
			c.n.work(func() {
				defer func() { <-slots }()
				c.dial(ctx, k)
			})
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case <-c.kick:
		}
	}
}

// due picks the candidates to dial now and marks them, and says when to look again if nothing is heard before.
func (c *connector) due() (out []*candidate, next time.Duration) {
	if c.n.renewal.stranger() {
		return nil, retryFirst // nobody would admit it: the renewal comes first
	}
	next = lookMost
	up, seeds, neighbours := c.n.sessionsNow()
	now := c.n.cfg.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	room := maxNeighbours - neighbours
	for _, k := range c.cands {
		if k.trying {
			room--
		}
	}
	// By lot: if all took the first that they hear of, all would take the same, and a site would hang on a few.
	for _, i := range rand.Perm(len(c.cands)) {
		k := c.cands[i]
		switch {
		case k.trying || k.id != "" && up[k.id]:
		case now.Before(k.nextAt):
			next = max(min(next, k.nextAt.Sub(now)), retryFirst)
		case len(out) >= room:
		case c.isSeed(k.id, k.addr) && (neighbours > 0 || seeds > 0 || !c.n.mayEgress()):
			// A seed across the WAN is dialled from here only to find a site to join; for news and
			// chunks the core asks for a link by itself.
		default:
			k.trying = true
			out = append(out, k)
		}
	}
	return out, next
}

func (c *connector) isSeed(id, addr string) bool {
	return (id != "" && c.n.isSeed(id) || c.n.isSeedAddr(addr)) && c.n.seed == nil
}

func (c *connector) dial(ctx context.Context, k *candidate) {
	c.mu.Lock()
	id, addr := k.id, k.addr
	c.mu.Unlock()
	got, err := c.n.host.Connect(ctx, id, addr)
	c.mu.Lock()
	defer c.mu.Unlock()
	k.trying = false
	now := c.n.cfg.Now()
	if got != "" {
		k.id = got
	}
	if err == nil {
		k.fails, k.nextAt = 0, now.Add(retryFirst)
		return
	}
	c.n.log.Debug("peer not reached", "addr", addr, "err", err)
	c.n.toldRevoked(got, err)
	c.n.renewal.turnedAway(err)
	if id != "" && k.fails > 2 && k.fixed {
		k.id = "" // somebody else may have taken over the address: look again who is there
	}
	pause := min(retryFirst<<min(k.fails, 10), retryMost)
	switch {
	case c.n.mule.turnedAway(got, addr, err):
		pause = retryMost
	case isForeign(err):
		pause = foreignPause
	case errors.Is(err, errRevoked):
		pause = retryMost
	}
	k.fails++
	k.nextAt = now.Add(pause)
	c.poke() // nobody knew of that time
	if !k.fixed && k.fails > 12 {
		c.cands = slices.DeleteFunc(c.cands, func(o *candidate) bool { return o == k })
	}
}

// sessionsNow tells who is connected, how many seeds of other sites, and how many of the own site.
func (n *Node) sessionsNow() (up map[string]bool, seeds, neighbours int) {
	up = map[string]bool{}
	for _, p := range n.host.Peers() {
		up[p.ID] = true
		if p.Site == n.member.Site {
			neighbours++
		} else if p.Seed {
			seeds++
		}
	}
	return up, seeds, neighbours
}

func (n *Node) hasNeighbours() bool {
	_, _, k := n.sessionsNow()
	return k > 0
}

// rememberPeer keeps an address for the next start.
func (n *Node) rememberPeer(p transport.Peer) {
	if p.Seed && p.Site != n.member.Site {
		return // seeds stand in the roster
	}
	if err := n.db.PutPeer(p.ID, p.Addr, n.cfg.Now()); err != nil {
		n.log.Debug("peer address not kept", "err", err)
	}
	n.connector.add(p.ID, p.Addr, false)
}

// sendHints: a seed tells a machine the addresses of others of its site, so that sites find
// themselves without multicast.
func (n *Node) sendHints(p transport.Peer) {
	var m wire.Peers
	for _, q := range n.host.Peers() {
		if q.Site == p.Site && q.ID != p.ID && !q.Seed && len(m.Peers) < 16 {
			m.Peers = append(m.Peers, wire.PeerAddr{ID: q.ID, Addr: q.Addr})
		}
	}
	m.Peers = append(m.Peers, n.seed.recentAddrs(p.Site, p.ID, 16-len(m.Peers))...)
	n.seed.sawAddr(p)
	if len(m.Peers) > 0 {
		n.work(func() { _ = n.host.Send(p.ID, m) })
	}
}

// hintsArrived believes a seed's word as a hint, and nobody else's: an address that a peer invents
// would make this machine dial it.
func (n *Node) hintsArrived(from string, m wire.Peers) {
	if !n.isSeed(from) {
		return
	}
	for _, p := range m.Peers {
		n.connector.add(p.ID, p.Addr, false)
	}
}
