package node

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/receipt"
	"patchmesh/node/transport"
	"patchmesh/policy"
	"patchmesh/swarm/wire"
)

// This file is how receipts get signed and collected. Everything is asked for, over document streams of the
// sessions that there are: who gave asks for receipts to sign, who got asks for the signed ones, and who has a way
// to headquarters asks for all. A machine of a version without receipts answers none of it and is left alone.

// Times of receipts.
const (
	receiptRound  = 10 * time.Second // between two looks at what is to be done
	receiptIdle   = 5 * time.Second  // without a chunk: then a receipt is made
	receiptAge    = 5 * time.Minute  // of the first chunk: then it is made at the latest
	receiptGather = 5 * time.Minute  // between two questions for all that a peer holds
	receiptMaxGap = 10 * time.Minute // the longest pause after questions that brought nothing
	receiptPages  = 16               // answers to one question for all
)

// openReceipts opens the books of what is to be signed for.
func (n *Node) openReceipts() {
	n.receipts = newReceipts(n.db, n.key, n.id, n.docs, n.cfg.Now, n.seed != nil)
	n.receipts.judge = n.judgeSigner
	if every := n.cfg.receiptEvery; every > 0 {
		n.receipts.doubt = min(receiptDoubt, every)
	}
	n.ledger.receipts = n.receipts.book
	if n.seed != nil {
		n.seed.receipts = n.receipts
	}
}

// signerOf is who can sign for having given: nobody for a medium or a mirror.
func signerOf(c contact) string {
	if c.tier == api.TierMedia || c.tier == api.TierOrigin {
		return ""
	}
	return c.ID
}

// judgeSigner says whether what a machine has signed counts here: on a seed what it has enrolled, elsewhere seeds
// and the machines of the site that were met. Others nobody could tell from machines that there are not.
func (n *Node) judgeSigner(id string) (receipt.Machine, error) {
	if id == n.id {
		return receipt.Machine{Name: n.member.Name, Site: n.member.Site, Seed: n.seed != nil}, nil
	}
	if n.seed != nil {
		m, err := n.seed.judgeSigner(id)
		if c := n.contacts.of(id); err == nil && m.Name == "" {
			m.Name = c.Name
		}
		return m, err
	}
	if v, ok := n.believer.current().Roster().Revocation(id); ok {
		return receipt.Machine{}, revokedError(v)
	}
	c := n.contacts.of(id)
	if c.Site == "" || c.Site != n.member.Site && !c.Seed {
		return receipt.Machine{}, fmt.Errorf("no machine of this site that was met")
	}
	return receipt.Machine{Name: c.Name, Site: c.Site, Seed: c.Seed}, nil
}

func (s *seed) judgeSigner(id string) (receipt.Machine, error) {
	r := s.believer.current().Roster()
	if v, ok := r.Revocation(id); ok {
		return receipt.Machine{}, revokedError(v)
	}
	m, err := s.db.Member(id)
	if err == nil {
		return receipt.Machine{Name: m.Name, Site: m.Site}, nil
	}
	if r != nil {
		if i := slices.IndexFunc(r.Seeds, func(e policy.SeedEntry) bool { return e.Peer == id }); i >= 0 {
			return receipt.Machine{Site: r.Seeds[i].Site, Seed: true}, nil
		}
	}
	return receipt.Machine{}, fmt.Errorf("no such machine is enrolled")
}

// receiptsAsked answers a question for receipts. The list of all goes to neighbours and seeds: it shows within
// the site what have-lists show anyhow, and to nobody else.
func (n *Node) receiptsAsked(from string, ask wire.DocAsk) ([]byte, bool) {
	if n.cfg.receiptEvery < 0 {
		return nil, false
	}
	var b []byte
	var err error
	switch after := ask.RootVersion; ask.Kind {
	case wire.DocReceiptsOwed:
		b, err = n.receipts.giveOwed(from, uint64(after))
	case wire.DocReceiptsSigned:
		n.receipts.nudged.Store(from, true) // it waits: perhaps for the word that nothing of it is true
		b, err = n.receipts.giveSigned(from, uint64(after))
	default:
		site, ok := n.siteOfPeer(from)
		near := site == n.member.Site
		if !ok || !near && !n.isSeed(from) {
			return nil, false
		}
		b, err = n.receipts.giveHeld(after, !near)
	}
	if err != nil {
		n.log.Warn("receipts not given", "peer", from, "err", err)
	}
	return b, err == nil
}

// receiptPause is when a peer is asked again.
type receiptPause struct {
	next time.Time
	gap  time.Duration
}

// keepReceipts makes, signs and collects receipts until ctx ends.
func (n *Node) keepReceipts(ctx context.Context) {
	every := cmp.Or(n.cfg.receiptEvery, receiptRound)
	if every < 0 {
		return
	}
	pauses := map[string]*receiptPause{}
	lull := lull{at: n.cfg.Now()}
	for sleep(ctx, every) {
		if err := n.receipts.close(min(receiptIdle, every), receiptAge); err != nil {
			n.log.Warn("receipts not made; they are tried again", "err", err)
			continue
		}
		n.settleReceipts(ctx, every, pauses, lull.come(n.cfg.Now(), n.chunkBytes()))
	}
}

// lull tells when what can wait may be done: no chunk has moved since the last look, or it has waited for long.
type lull struct {
	moved int64
	at    time.Time // of the last
}

// come is given how many bytes have moved so far. To ask everybody for everything is a twentieth of what a
// payload of 64 MiB costs the machines of a site, just while they are busy with it.
func (l *lull) come(now time.Time, moved int64) bool {
	busy := moved != l.moved
	l.moved = moved
	if busy && now.Sub(l.at).Abs() < receiptGather {
		return false
	}
	l.at = now
	return true
}

func (n *Node) chunkBytes() int64 {
	in, out := n.host.Traffic()
	return in + out
}

// settleReceipts asks each peer with which something is open, one after the other: nothing of it is urgent.
func (n *Node) settleReceipts(ctx context.Context, every time.Duration, pauses map[string]*receiptPause, lull bool) {
	waiting, err := n.db.Unsettled(n.id)
	if err != nil {
		n.log.Warn("receipts not read", "err", err)
		return
	}
	// Not while chunks still go there: the receiver makes its receipt in a pause.
	gave := n.receipts.book.Receivers(n.cfg.Now().Add(-min(receiptIdle, every) - every))
	gather := lull && n.gathersReceipts()
	present := map[string]bool{}
	for _, p := range n.host.Peers() {
		present[p.ID] = true
		if _, nudged := n.receipts.nudged.Load(p.ID); nudged || slices.Contains(gave, p.ID) {
			n.pacedReceipts("owed "+p.ID, pauses, every, func() bool {
				n.receipts.nudged.Delete(p.ID)
				return n.signReceipts(ctx, p)
			})
		}
		if after, ok := waiting[p.ID]; ok {
			n.pacedReceipts("signed "+p.ID, pauses, every, func() bool {
				t, err := n.fetchReceipts(ctx, p.ID, wire.DocReceiptsSigned, int64(after-1))
				return err == nil && t.fresh > 0
			})
		}
		if gather && (p.Site == n.member.Site || n.seed != nil) && !p.Seed {
			n.pacedReceipts("all "+p.ID, pauses, max(every, min(receiptGather, 30*every)), func() bool { return n.gatherReceipts(ctx, p.ID) == nil })
		}
		if ctx.Err() != nil {
			return
		}
	}
	maps.DeleteFunc(pauses, func(name string, p *receiptPause) bool { return n.cfg.Now().Sub(p.next) > time.Hour })
}

// pacedReceipts asks unless it is too early. What brings nothing is asked for less and less often.
func (n *Node) pacedReceipts(name string, pauses map[string]*receiptPause, every time.Duration, ask func() bool) {
	p := pauses[name]
	if p == nil {
		p = &receiptPause{gap: every}
		pauses[name] = p
	}
	if now := n.cfg.Now(); now.Before(p.next) && p.next.Sub(now) <= receiptMaxGap { // else the clock went back
		return
	}
	if ask() {
		p.gap = every
	} else {
		p.gap = max(every, min(2*p.gap, receiptMaxGap))
	}
	p.next = n.cfg.Now().Add(p.gap)
}

// gathersReceipts: this machine has a way to headquarters, or is it. Elsewhere whoever packs a medium asks.
func (n *Node) gathersReceipts() bool { return n.seed != nil || n.hasSeedSession() }

// signReceipts asks a peer for receipts of what this machine gave it, and signs those that hold.
func (n *Node) signReceipts(ctx context.Context, p transport.Peer) (progress bool) {
	last, err := n.receipts.lastSigned(p.ID)
	if err != nil {
		n.log.Warn("receipts not read", "err", err)
		return false
	}
	pack, err := n.askReceipts(ctx, p.ID, wire.DocReceiptsOwed, int64(min(last, 1<<63-1)))
	if err != nil {
		return false
	}
	t, err := n.receipts.sign(p.ID, pack)
	if err != nil {
		n.log.Warn("receipts not signed; they are tried again", "peer", p.ID, "err", err)
	}
	n.refuseReceipts(p.ID, t)
	return t.fresh > 0
}

func (n *Node) askReceipts(ctx context.Context, from string, kind wire.DocKind, after int64) (*receipt.Pack, error) {
	ctx, cancel := context.WithTimeout(ctx, reportAskEvery)
	defer cancel()
	b, err := n.host.FetchDoc(ctx, from, wire.DocAsk{Kind: kind, RootVersion: after, MaxBytes: receipt.MaxPackBytes})
	if err != nil {
		return nil, err
	}
	return receipt.DecodePack(b)
}

func (n *Node) refuseReceipts(from string, t takenReceipts) {
	if t.refused > 0 {
		n.refuse(from, policy.ReasonTrustBadSignature, fmt.Sprintf("%d receipts: %s", t.refused, t.detail))
	}
}

func (n *Node) fetchReceipts(ctx context.Context, from string, kind wire.DocKind, after int64) (takenReceipts, error) {
	pack, err := n.askReceipts(ctx, from, kind, after)
	if err != nil {
		return takenReceipts{}, err
	}
	t, err := n.receipts.take(pack)
	n.refuseReceipts(from, t)
	return t, err
}

// receiptCursor is where the list of a peer goes on.
func receiptCursor(peer string) string { return "receipt-cursor." + peer }

// gatherReceipts asks a peer for all that it holds and this machine has not seen. What is kept is on the disk
// before the place in the peer's list is.
func (n *Node) gatherReceipts(ctx context.Context, from string) error {
	var at int64
	if b, err := n.db.Value(receiptCursor(from)); err == nil {
		_ = json.Unmarshal(b, &at) // else from the beginning: what is known changes nothing
	}
	begun := at
	for range receiptPages {
		pack, err := n.askReceipts(ctx, from, wire.DocReceipts, max(at, 0))
		if err != nil {
			return err
		}
		t, err := n.receipts.take(pack)
		if err != nil {
			return err
		}
		n.refuseReceipts(from, t)
		if pack.Next < at { // its list is another one by now
			at = 0
			break
		}
		if len(pack.Records) == 0 || pack.Next == at {
			break
		}
		at = pack.Next
	}
	if at == begun {
		return nil
	}
	return n.db.PutValue(receiptCursor(from), []byte(fmt.Sprint(at)))
}

// giveReceipts is what a medium takes along: what is held here, after the neighbours were asked.
func (c *carrier) giveReceipts(ctx context.Context) ([][]byte, error) {
	if c.seed != nil {
		return nil, nil
	}
	if c.live() {
		c.n.flushLedger()
		c.eachNeighbour(func(id string) {
			if err := c.n.gatherReceipts(ctx, id); err != nil {
				c.n.log.Debug("no receipts from a neighbour", "peer", id, "err", err)
			}
		})
	}
	return c.receipts.packs()
}

// takeReceipts takes at the seed what a medium has brought.
func (s *seed) takeReceipts(packs [][]byte, out *api.TakenReturn) error {
	if len(packs) == 0 {
		return nil
	}
	r := s.receipts
	if r == nil {
		r = newReceipts(s.db, nil, "", s.docs, s.now, true)
		r.judge = s.judgeSigner
	}
	for _, b := range packs {
		pack, err := receipt.DecodePack(b)
		if err != nil {
			if out.Refused++; out.Detail == "" {
				out.Detail = api.Clean(err.Error())
			}
			continue
		}
		t, err := r.take(pack)
		if err != nil {
			return err
		}
		out.Receipts, out.Refused = out.Receipts+t.fresh, out.Refused+t.refused+t.strange
		if out.Detail == "" {
			out.Detail = t.detail
		}
	}
	return nil
}

// countReceipts counts records in packs of our own.
func countReceipts(packs [][]byte) (count int) {
	for _, b := range packs {
		if p, err := receipt.DecodePack(b); err == nil {
			count += len(p.Records)
		}
	}
	return count
}
