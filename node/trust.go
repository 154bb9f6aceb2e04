package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/node/transport"
	"patchmesh/policy"
	"patchmesh/swarm"
	"patchmesh/swarm/wire"
)

// docTimeout bounds one document: 30 s carry 2 MiB over 0.5 Mbit/s.
const docTimeout = 30 * time.Second

// heardHead looks at a head from gossip or from a peer. It tells the core only of heads whose
// signature holds; anything else is counted and dropped, whoever sent it.
func (n *Node) heardHead(from string, ts []byte) {
	if len(ts) == 0 {
		return
	}
	b := n.believer
	b.mu.Lock()
	same := string(ts) == string(b.head)
	t, newest := b.trust, b.headV
	b.mu.Unlock()
	root := t.RootVersion()
	if same {
		if from != "" {
			n.events.send(swarm.Heard{From: swarm.PeerID(from), Version: newest, Root: root})
		}
		return
	}
	newer, version, err := t.CheckHead(ts, n.cfg.Now().Add(-n.late()))
	if errors.Is(err, policy.ErrRollback) {
		n.olderHead(from, version)
		return
	}
	if errors.Is(err, policy.ErrUnknownKey) {
		if !n.explain(from, ts) {
			n.judgeLater(from, ts)
		}
		return
	}
	if err != nil {
		n.refuse(from, policy.ReasonOf(err), "head: "+err.Error())
		return
	}
	if newer {
		b.newer(ts, version, root)
	}
	if n.seed != nil && from != "" && n.believer.missing() != nil {
		n.work(func() { n.recover(swarm.PeerID(from)) })
	}
	n.events.send(swarm.Heard{From: swarm.PeerID(from), Version: version, Root: root})
}

// rootChase bounds the walks that heads of unknown keys start: anybody can make such a head.
type rootChase struct {
	mu      sync.Mutex
	waiting bool                 // a head waits to be judged, see judgeLater
	unread  swarm.Unread[[]byte] // what is followed next
	busy    bool                 // somebody follows them, one after the other
}

// rootChaseEvery is the pause between two walks: three in a minute.
const rootChaseEvery = 20 * time.Second

// judgeLater tells of a head of an unknown key once the root that would explain it has had the time to
// come: a rumour names nobody to be asked for it, and runs ahead of those who can be. One waits at a
// time; a flood of such heads is told of once per wait.
func (n *Node) judgeLater(from string, ts []byte) {
	n.roots.mu.Lock()
	defer n.roots.mu.Unlock()
	if n.roots.waiting {
		return
	}
	n.roots.waiting = true
	n.work(func() {
		sleep(n.ctx, strangeHeadWait)
		n.roots.mu.Lock()
		n.roots.waiting = false
		n.roots.mu.Unlock()
		if _, _, err := n.believer.current().CheckHead(ts, n.cfg.Now().Add(-n.late())); errors.Is(err, policy.ErrUnknownKey) && n.ctx.Err() == nil {
			n.refuse(from, policy.ReasonOf(err), "head: "+err.Error())
		}
	})
}

// strangeHeadWait is long enough for one walk over a slow line to begin with the root.
const strangeHeadWait = 5 * time.Second

// explain looks for the root behind a head of an unknown key: at whoever shows it, or at any peer if it came
// by gossip. A machine that was not told of a new key, or could not follow it at that moment, would otherwise
// stay behind until the next head. While another is followed it waits for its turn: whoever sent it will not
// say it twice. False: nobody can be asked.
func (n *Node) explain(from string, head []byte) bool {
	if from == "" && len(n.newsPeers()) == 0 {
		return false
	}
	c := &n.roots
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.unread.Keep(swarm.PeerID(from), head) {
		return false
	}
	if !c.busy {
		c.busy = true
		n.work(n.followUnread)
	}
	return true
}

// followUnread follows the heads that are kept, with a pause after each.
func (n *Node) followUnread() {
	for {
		from, head, ok := n.nextUnread()
		if !ok {
			return
		}
		source := from
		if from == "" {
			if peers := n.newsPeers(); len(peers) > 0 {
				source = swarm.PeerID(peers[n.cfg.Now().UnixNano()%int64(len(peers))].ID)
			}
		}
		if source != "" {
			n.followRoot(source, string(from), head)
		}
		sleep(n.ctx, cmp.Or(n.cfg.chaseEvery, rootChaseEvery))
	}
}

// nextUnread is the head to follow now. False: there is none, and whoever keeps the next one has it followed.
func (n *Node) nextUnread() (from swarm.PeerID, head []byte, ok bool) {
	c := &n.roots
	c.mu.Lock()
	defer c.mu.Unlock()
	if n.ctx.Err() == nil {
		from, head, ok = c.unread.Take()
	}
	c.busy = ok
	return from, head, ok
}

// reread looks again at the heads that were not understood under the keys of before.
func (n *Node) reread() {
	n.roots.mu.Lock()
	all := n.roots.unread.TakeAll()
	n.roots.mu.Unlock()
	for _, k := range all {
		n.heardHead(string(k.From), k.Head)
	}
}

func (c *rootChase) forget(from string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unread.Forget(swarm.PeerID(from))
}

// followRoot asks whoever shows a head that is signed by a key nobody knows here for a newer root: that
// is what a new timestamp key looks like from behind. Without such a root the head is refused, and told of
// whoever showed it; one that came by gossip is judged when its root has had the time to come.
func (n *Node) followRoot(ask swarm.PeerID, from string, head []byte) {
	t, err := n.refreshTo(n.ctx, ask, head)
	if err != nil && from == "" {
		n.judgeLater(from, head)
		return
	}
	if err != nil {
		n.refuse(from, policy.ReasonTrustUnknownKey, "head of an unknown key: "+err.Error())
		return
	}
	n.events.send(n.manifestEvent(0, t))
}

// recover fetches what a seed has lost from a machine that has it. The core of a seed asks no machine
// for news, since as a rule there is none that the seed has not made.
func (n *Node) recover(from swarm.PeerID) {
	t, err := n.refresh(n.ctx, from)
	if err != nil {
		n.log.Warn("the lost documents were not fetched", "from", from, "err", err)
		return
	}
	n.events.send(n.manifestEvent(0, t))
}

// olderHead: an old rumour, or a peer that has not caught up, is no attack. A seed that goes back is:
// it was restored from a backup, or somebody else speaks with its key.
func (n *Node) olderHead(from string, version int64) {
	b := n.believer
	b.mu.Lock()
	ours, since := b.trust.HeadVersion(), b.adoptedAt
	b.mu.Unlock()
	if !n.isSeed(from) || version >= ours || n.cfg.Now().Sub(since) < rollbackGrace {
		return
	}
	n.refuse(from, policy.ReasonTrustRollbackEpoch,
		fmt.Sprintf("the seed shows head %d, this machine has trusted head %d already", version, ours))
}

// rollbackGrace is how long after a new head an older one of a seed may still be on its way.
const rollbackGrace = 5 * time.Second

// fetchManifest walks from the newest head to the manifest, asking one peer for each document that
// is not at home. Only when all of it verifies is it saved, and only then does the core hear of it.
func (n *Node) fetchManifest(ctx context.Context, a swarm.AskManifest) {
	v := n.fromPeer(api.SyncNews, a.From)
	t, err := n.refresh(ctx, a.From)
	if err != nil {
		n.syncMissed(v, err)
		n.events.send(docFailure(a.Req, err))
		return
	}
	n.events.send(n.manifestEvent(a.Req, t))
}

func (n *Node) refresh(ctx context.Context, from swarm.PeerID) (*policy.Trust, error) {
	head, _ := n.believer.newestHead()
	if len(head) == 0 {
		return nil, errNoHead
	}
	return n.refreshTo(ctx, from, head)
}

// refreshTo walks to one head. Every root on the way is kept: whoever is further behind asks for it.
func (n *Node) refreshTo(ctx context.Context, from swarm.PeerID, head []byte) (*policy.Trust, error) {
	v := n.fromPeer(api.SyncNews, from)
	r := n.believer.current().RefreshLate(head, n.cfg.Now(), n.late())
	var roots []api.TrustRoot
	for need, more := r.Need(); more; need, more = r.Need() {
		b, err := n.needed(ctx, from, need)
		if err != nil {
			return nil, err
		}
		if err := r.Supply(b); err != nil {
			return nil, fmt.Errorf("%s from %s: %w", need.Role, from, err)
		}
		if need.RootVersion > 0 && b != nil {
			roots = append(roots, api.TrustRoot{Version: need.RootVersion, Body: b})
		}
	}
	t, err := r.Result()
	if err != nil {
		return nil, err
	}
	if err := keepRoots(n.db, roots); err != nil {
		return nil, err
	}
	if err := n.takeUp(t, v); err != nil {
		return nil, err
	}
	return t, nil
}

// takeUp makes a verified trust durable, current and servable.
func (n *Node) takeUp(t *policy.Trust, v via) error {
	lost, was := n.believer.missing(), n.believer.current()
	if err := n.believer.adopt(t, n.cfg.Now()); err != nil {
		return err
	}
	if at := n.cfg.Now(); n.believer.current() != was { // else another was faster, with the same or a newer one
		n.work(func() { n.keepSync(syncDone(v, was, t, at)) }) // nobody waits for the comparison of two manifests
	}
	if lost != nil {
		n.log.Info("trust is whole again", "head", t.HeadVersion(), "epoch", t.Epoch(), "was", lost)
		n.work(func() {
			if err := n.prepareSeed(); err != nil {
				n.log.Error("the seed's addresses were not published", "err", err)
			}
		})
	}
	f := t.Files()
	if err := n.db.PutValue(rootKey(t.RootVersion()), f.Root); err != nil {
		return err
	}
	n.docs.setTrusted(f)
	n.trustChanged(t)
	if t.RootVersion() > was.RootVersion() {
		n.work(n.reread)
	}
	if err := witness(n.db, t, n.cfg.Now()); err != nil {
		n.log.Warn("the approval log's checkpoint was not kept", "err", err) // a witness less; patches go on
	}
	return nil
}

// needed gets one document of a refresh; nil without error is "there is no newer root".
func (n *Node) needed(ctx context.Context, from swarm.PeerID, need policy.Need) ([]byte, error) {
	if need.RootVersion > 0 {
		b, err := n.ask(ctx, from, wire.DocAsk{Kind: wire.DocRoot, RootVersion: need.RootVersion, MaxBytes: need.MaxBytes})
		if errors.Is(err, transport.ErrNotFound) {
			return nil, nil
		}
		return b, err
	}
	if b, err := n.docs.document(need.ID); err == nil {
		return b, nil
	}
	b, err := n.ask(ctx, from, wire.DocAsk{Kind: wire.DocContent, ID: need.ID, MaxBytes: need.MaxBytes})
	if err != nil {
		return nil, err
	}
	if content.Sum(b) != need.ID {
		return nil, fmt.Errorf("%s: %w", need.Role, policy.ErrHash)
	}
	return b, nil
}

func (n *Node) manifestEvent(req swarm.Req, t *policy.Trust) swarm.ManifestArrived {
	return swarm.ManifestArrived{Req: req, Version: t.HeadVersion(), Root: t.RootVersion(), Manifest: t.Manifest(), ExpiresAt: t.ExpiresAt().Add(siteLate(t, n.member))}
}

// announce spreads the adopted head: as rumour in the site, and at once to every session of it. A
// seed tells all its sessions: the uplinks of other sites.
func (n *Node) announce() {
	ts := n.believer.current().Files().Timestamp
	if n.gossip != nil {
		if err := n.gossip.Announce(ts); err != nil {
			n.log.Warn("head not gossiped", "err", err)
		}
	}
	for _, p := range n.newsPeers() {
		if p.Seed && p.Site != n.member.Site {
			continue // it told us
		}
		n.tell(swarm.PeerID(p.ID), wire.Head{Timestamp: ts})
	}
}
