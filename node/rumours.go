package node

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"patchmesh/node/gossip"
	"patchmesh/node/transport"
)

// Gossip: the member list of the site and the rumour of new heads. Nothing here has authority: a
// member is a candidate to connect to, a rumour a hint of what to ask for.

// Gossip numbers. A site's news should be everywhere within a second.
const (
	gossipInterval = 100 * time.Millisecond
	probeInterval  = time.Second
	countEvery     = time.Second // how often the members of the site are counted
	rejoinRounds   = 5           // of those, until who is no member is joined again
	meetWait       = time.Second // for gossip to tell of a machine that has just come
)

func (n *Node) openGossip() error {
	if len(n.member.GossipKey) == 0 {
		return nil
	}
	if err := n.loadGossipKeys(); err != nil {
		return fmt.Errorf("gossip keys: %w", err)
	}
	g, err := gossip.Start(gossip.Config{
		Self: n.id, Listen: n.host.ListenAddr(), Org: n.member.Org, Site: n.member.Site, Key: n.member.GossipKey,
		Dial: n.host.DialGossip, Meta: n.gossipMeta, CheckMeta: n.checkMeta, MayReach: n.mayDial,
		MemberUp:   func(id, addr string, _ []byte) { n.connector.add(id, addr, false) },
		MemberDown: func(string) {}, // the session itself says when it is gone
		Heard:      func(ts []byte) { n.heardHead("", ts) },
		Head:       func() []byte { return n.believer.current().Files().Timestamp },
		Log:        n.log, GossipInterval: gossipInterval, ProbeInterval: probeInterval,
	})
	if err != nil {
		return fmt.Errorf("open gossip: %w", err)
	}
	n.gossip = g
	n.applyGossipKeys()
	return nil
}

// gossipMeta is the membership certificate: it shows that one was issued for the name, no more.
// Possession of the key is proved by the session, which is the only thing that counts.
func (n *Node) gossipMeta() []byte { return n.renewal.certificate() }

var errForeignMember = errors.New("member of another site")

// checkMeta refuses a member without a certificate of this site, one that is locked out, and one that
// says it is where no machine of the site can be.
func (n *Node) checkMeta(id, addr string, meta []byte) error {
	if _, err := n.reach.Load().check(addr); err != nil {
		return err
	}
	cert, err := n.checkCert(id, meta)
	if err != nil {
		return err
	}
	if cert.Site != n.member.Site {
		return errForeignMember
	}
	return nil
}

// gossipMeet brings a peer that has just come into the member list. The first one is joined at once and brings all
// the others: if each of a site joined each, whole member lists would be exchanged by the square of its machines
// when they start. So who has members, or is about to, gives gossip the time to bring the peer by itself.
func (n *Node) gossipMeet(p transport.Peer) {
	if n.gossip == nil || p.Site != n.member.Site {
		return
	}
	n.work(func() {
		if n.gossip.Size() > 1 || !n.joining.CompareAndSwap(false, true) {
			sleep(n.ctx, meetWait+rand.N(meetWait))
		} else {
			defer n.joining.Store(false)
		}
		if n.ctx.Err() == nil && !n.gossip.Has(p.ID) {
			n.gossipJoin(p)
		}
	})
}

// gossipJoin exchanges member lists with a peer of the own site, whether or not it is a member.
func (n *Node) gossipJoin(p transport.Peer) {
	if _, err := n.gossip.Join([]string{p.ID + "/" + p.Addr}); err != nil {
		n.log.Debug("gossip not joined", "peer", p.ID, "err", err)
	}
}

// rejoin tells the core how large the site is and heals a gossip pool that has fallen apart: for ever, whoever has a session but is no member
// is joined again.
func (n *Node) rejoin(ctx context.Context) {
	t, told := time.NewTicker(countEvery), 0
	defer t.Stop()
	for round := 1; ; round++ {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if n.gossip == nil {
			continue
		}
		told = n.countSite(told)
		if round%rejoinRounds > 0 {
			continue
		}
		// By lot: one that cannot be joined must not stand before the others. One a round: its list brings the rest.
		away := slices.DeleteFunc(n.host.Peers(), func(p transport.Peer) bool {
			return p.Site != n.member.Site || n.gossip.Has(p.ID)
		})
		if len(away) > 0 {
			n.work(func() { n.gossipJoin(away[rand.IntN(len(away))]) })
		}
	}
}

// isForeign: a machine of another site answered.
func isForeign(err error) bool { return errors.Is(err, errForeignSite) }
