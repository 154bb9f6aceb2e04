package node

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"patchmesh/swarm"
)

// links keeps the way to the seeds: whether there is a route at all, and a session when the core
// wants one.
type links struct {
	n *Node

	mu     sync.Mutex
	wanted bool
	trying bool
}

// egressEvery is how often the route to the seeds is looked at.
const egressEvery = 5 * time.Second

// unwantedGrace is how long a session with a seed that the core does not want stays open: a machine
// that has just come up learns its site's addresses through it.
const unwantedGrace = 10 * time.Second

// want is called by the loop: start trying, or let go.
func (l *links) want(w bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wanted = w
	if w && !l.trying {
		l.trying = true
		l.n.work(l.try)
	}
}

func (l *links) isWanted() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.wanted
}

// try makes one round over all seeds. Success shows as PeerUp; failure is told to the core, which
// decides when to try again and whether somebody else should.
func (l *links) try() {
	defer func() {
		l.mu.Lock()
		l.trying = false
		l.mu.Unlock()
	}()
	ctx, cancel := context.WithTimeout(l.n.ctx, 15*time.Second)
	defer cancel()
	for _, s := range l.n.believer.current().Roster().Seeds {
		if s.Site == l.n.member.Site {
			continue
		}
		for _, addr := range s.Addrs {
			if _, err := l.n.host.Connect(ctx, s.Peer, addr); err == nil {
				return
			} else if ctx.Err() == nil {
				l.n.log.Debug("seed not reached", "seed", s.Peer, "addr", addr, "err", err)
			}
		}
	}
	l.n.events.send(swarm.LinkFailed{})
}

// run watches the route and closes sessions with seeds that nobody wants.
func (l *links) run(ctx context.Context) {
	t := time.NewTicker(egressEvery)
	defer t.Stop()
	unwantedSince := time.Time{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		l.n.events.send(swarm.EgressChanged{Egress: l.n.mayEgress()})
		unwantedSince = l.dropUnwanted(unwantedSince)
	}
}

func (l *links) dropUnwanted(since time.Time) time.Time {
	if l.isWanted() || !l.n.hasNeighbours() {
		return time.Time{}
	}
	now := l.n.cfg.Now()
	if since.IsZero() {
		return now
	}
	if now.Sub(since) < unwantedGrace {
		return since
	}
	for _, p := range l.n.host.Peers() {
		if p.Seed && p.Site != l.n.member.Site {
			l.n.host.Disconnect(p.ID, errNotNeeded)
		}
	}
	return now
}

var errNotNeeded = errors.New("the session is not needed any more")

// mayEgress: allowed by configuration and, unless forced, a route to some seed exists. Looking up a
// route sends nothing: connecting a UDP socket only asks the kernel.
func (n *Node) mayEgress() bool {
	switch n.cfg.Egress {
	case EgressNo:
		return false
	case EgressYes:
		return true
	}
	for _, s := range n.believer.current().Roster().Seeds {
		if slices.ContainsFunc(s.Addrs, routable) {
			return true
		}
	}
	return false
}

func routable(addr string) bool {
	c, err := net.DialTimeout("udp", addr, time.Second)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}

// isSeedAddr: an address of a seed of another site, that a machine without egress must leave alone.
func (n *Node) isSeedAddr(addr string) bool {
	for _, s := range n.believer.current().Roster().Seeds {
		if s.Site != n.member.Site && slices.Contains(s.Addrs, addr) {
			return true
		}
	}
	return false
}
