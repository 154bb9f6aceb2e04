package node

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"patchmesh/content"
	"patchmesh/content/disk"
	"patchmesh/node/api"
	"patchmesh/node/state"
	"patchmesh/policy"
	"patchmesh/swarm"
)

// storekeeper looks after the payloads: it measures, and scrubs, and does what the core decides.
type storekeeper struct {
	mu   sync.Mutex
	pins []pin
	pace scrubPace

	sourcesAt time.Time                   // when a report last carried all sources
	lost      map[content.ID]map[int]bool // damaged chunks that have not come again

	checkedBytes, damaged, healed                atomic.Int64
	evicted, evictedBytes, evictFailures, checks atomic.Int64
	checkedAt                                    atomic.Int64           // Unix time of the last look at the store
	unmeasured, unremoved                        atomic.Pointer[string] // why it does not clean up, see cleanTrouble
	usage                                        atomic.Pointer[disk.Usage]
	booked                                       atomic.Pointer[api.Bytes] // all that is in the books
}

// pin keeps a payload whatever happens. The payload is zero until the update's description is known.
type pin struct {
	Update  string     `json:"update"`
	Payload content.ID `json:"payload,omitzero"`
}

// Names of what is kept in the database.
const (
	pinsKey  = "store.pins"
	scrubKey = "store.scrub"
)

// scrubState is where a scrub was: a pass goes on where the last run of the program ended.
type scrubState struct {
	BegunAt time.Time  `json:"begun_at,omitzero"`
	EndedAt time.Time  `json:"ended_at,omitzero"`
	Payload content.ID `json:"payload,omitzero"` // the next one to look at
}

const (
	storeCheckEvery = 10 * time.Second
	ledgerEvery     = 2 * time.Second
	maxPins         = 10000
)

// openStorekeeping sets the limits of the store, and hears of damage from now on.
func (n *Node) openStorekeeping() error {
	n.keeper.pace = scrubPace{share: scrubShare, every: scrubEvery}
	n.limitStore(n.damageFound)
	n.ledger = newLedger(n)
	n.openReceipts()
	return n.loadPins()
}

// limitStore sets the limits, and who hears of damage.
func (n *Node) limitStore(heard func(content.ID, []int)) {
	n.store.Tune(disk.Options{OnDamage: heard, OnShort: func() { n.copies.GiveUp() }})
	n.tuneStore()
}

func (n *Node) loadPins() error {
	b, err := n.db.Value(pinsKey)
	if err != nil || len(b) == 0 {
		return nil // none yet
	}
	return json.Unmarshal(b, &n.keeper.pins)
}

// keepStore measures, books and scrubs until ctx ends.
func (n *Node) keepStore(ctx context.Context) {
	n.work(func() { n.scrub(ctx) })
	check, book := time.NewTicker(storeCheckEvery), time.NewTicker(ledgerEvery)
	defer check.Stop()
	defer book.Stop()
	n.checkStore()
	n.sumBooks()
	for {
		select {
		case <-ctx.Done():
			n.flushLedger()
			n.record(state.EventRow{Kind: api.EventStopped})
			n.flushEvents()
			return
		case <-check.C:
			n.checkStore()
			n.sumBooks()
		case <-book.C:
			n.flushLedger()
			n.flushEvents()
			n.contacts.sample(n.host.Peers(), n.cfg.Now())
		}
	}
}

// sumBooks keeps the totals for the metrics, which are asked for more often than they change.
func (n *Node) sumBooks() {
	totals, err := n.db.TrafficTotals()
	if err != nil {
		return
	}
	var b api.Bytes
	for tier, bytes := range totals {
		b.Add(tier, bytes)
	}
	n.keeper.booked.Store(&b)
}

func (n *Node) flushLedger() {
	if err := n.ledger.flush(); err != nil {
		n.log.Warn("the account of bytes was not written; it is tried again", "err", err)
	}
}

// checkStore tells the core what the store holds, and how much of that has to go.
func (n *Node) checkStore() {
	u, err := n.store.Usage()
	if err == nil && u.FreeBytes < u.ReserveBytes {
		n.copies.GiveUp() // before any payload has to go
		u, err = n.store.Usage()
	}
	if err != nil {
		n.keeper.measured(n.cfg.Now(), 0, err)
		n.log.Warn("the store was not measured", "err", err)
		return
	}
	ev, err := n.storeChecked(u.OverBytes())
	if err != nil {
		return // the node is stopping
	}
	n.keeper.usage.Store(&u)
	n.keeper.measured(n.cfg.Now(), u.OverBytes(), nil)
	n.events.send(ev)
}

// storeChecked is what the store holds, and that so many bytes have to go.
func (n *Node) storeChecked(over int64) (swarm.StoreChecked, error) {
	infos, err := n.store.List()
	ev := swarm.StoreChecked{OverBytes: over}
	for _, i := range infos {
		ev.Items = append(ev.Items, swarm.StoredItem{Payload: i.ID, Bytes: i.StoredBytes, Pinned: n.pinned(i.ID)})
	}
	for _, u := range n.store.Unmapped() { // they take room, and go like others
		ev.Items = append(ev.Items, swarm.StoredItem{Payload: u.ID, Bytes: u.HeldBytes, Pinned: n.pinned(u.ID)})
	}
	return ev, err
}

// pinned looks a payload up. A pin that was set before the update was known finds its payload here.
func (n *Node) pinned(id content.ID) bool {
	k := &n.keeper
	update := n.updateOfPayload(id)
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.ContainsFunc(k.pins, func(p pin) bool { return p.Payload == id || update != "" && p.Update == update })
}

// evict removes a payload that the core has let go.
func (n *Node) evict(a swarm.Evict) {
	freed, err := n.dropStored(a.Payload)
	if !errors.Is(err, content.ErrNotFound) {
		n.keeper.removed(freed, err)
		if err != nil {
			n.log.Warn("payload not evicted", "payload", a.Payload.Short(), "err", err)
		}
	}
	n.events.send(swarm.PayloadDropped{Payload: a.Payload})
}

// dropPayload removes a payload and keeps the account of where it came from.
func (n *Node) dropPayload(m *content.PayloadMap) (freed int64, err error) {
	held, err := n.store.Have(m.ID())
	if err != nil {
		return 0, err
	}
	freed, err = n.store.HeldBytes(m.ID())
	if err != nil {
		return 0, err
	}
	if err := n.store.Drop(m.ID()); err != nil {
		return 0, err
	}
	n.ledger.dropped(m, held)
	return freed, nil
}

// damageFound hears from the store of chunks that no longer match. It must not wait: a lock is held.
func (n *Node) damageFound(id content.ID, indexes []int) {
	k := &n.keeper
	k.damaged.Add(int64(len(indexes)))
	k.mu.Lock()
	if k.lost == nil {
		k.lost = map[content.ID]map[int]bool{}
	}
	if k.lost[id] == nil {
		k.lost[id] = map[int]bool{}
	}
	for _, i := range indexes {
		k.lost[id][i] = true
	}
	k.mu.Unlock()
	n.work(func() {
		name := id.Short()
		if m, err := n.store.Map(id); err == nil {
			n.ledger.damaged(id, m.Len(), indexes)
			name = cmp.Or(n.ledger.updateOf(m), name)
		}
		// People have to hear of it, whether a disk rots or somebody has been at the files.
		n.refuse(n.id, policy.ReasonTrustBadChunk, "the store of this machine: chunks of "+name+" are no longer what was stored; they are not served and come anew")
		n.events.send(swarm.ChunksLost{Payload: id, Indexes: indexes})
	})
}

// scrub hashes the whole store again and again, slowly.
func (n *Node) scrub(ctx context.Context) {
	var at scrubState
	if b, err := n.db.Value(scrubKey); err == nil {
		_ = json.Unmarshal(b, &at) // what cannot be read begins anew
	}
	n.setPace(func(p *scrubPace) { p.begunAt, p.endedAt = at.BegunAt, at.EndedAt })
	for {
		if at.Payload.IsZero() {
			var wait time.Duration
			n.setPace(func(p *scrubPace) { wait = p.due(n.cfg.Now()) })
			if !sleep(ctx, max(wait, time.Minute)) { // not just while the node starts
				return
			}
			if wait > 0 {
				continue
			}
			n.setPace(func(p *scrubPace) { p.begin(n.cfg.Now()); at.BegunAt = p.begunAt })
		}
		if !n.scrubPass(ctx, &at) {
			return
		}
	}
}

func (n *Node) setPace(f func(*scrubPace)) {
	n.keeper.mu.Lock()
	defer n.keeper.mu.Unlock()
	f(&n.keeper.pace)
}

// scrubPass looks at every payload from at.Payload on; false when the node stops.
func (n *Node) scrubPass(ctx context.Context, at *scrubState) bool {
	infos, err := n.store.List()
	if err != nil {
		return false
	}
	for _, i := range infos {
		if i.ID.Compare(at.Payload) < 0 {
			continue
		}
		at.Payload = i.ID
		n.saveScrub(*at)
		if !n.scrubPayload(ctx, i.ID) {
			return false
		}
	}
	n.setPace(func(p *scrubPace) { p.end(n.cfg.Now()); at.EndedAt = p.endedAt })
	at.Payload = content.ID{}
	n.saveScrub(*at)
	return true
}

func (n *Node) saveScrub(s scrubState) {
	if b, err := json.Marshal(s); err == nil {
		_ = n.db.AddTraffic(nil, map[string][]byte{scrubKey: b}) // a pass that begins anew costs nothing
	}
}

func (n *Node) scrubPayload(ctx context.Context, id content.ID) bool {
	return n.hashPayload(id, func(_ int, bytes int, took time.Duration, _ error) bool {
		var rest time.Duration
		n.setPace(func(p *scrubPace) { rest = p.pause(took) })
		return sleep(ctx, rest)
	})
}

// hashPayload hashes every chunk that is there and tells of each; false when each says so.
func (n *Node) hashPayload(id content.ID, each func(index, bytes int, took time.Duration, err error) bool) bool {
	have, err := n.store.Have(id)
	if err != nil {
		return !errors.Is(err, content.ErrClosed) // dropped meanwhile
	}
	buf := make([]byte, content.MaxChunkBytes)
	for i := range have.Len() {
		if !have.Has(i) {
			continue
		}
		begin := time.Now()
		bytes, err := n.store.CheckChunk(id, i, buf)
		if errors.Is(err, content.ErrClosed) {
			return false
		}
		if errors.Is(err, content.ErrNotFound) {
			continue
		}
		n.keeper.checkedBytes.Add(int64(bytes))
		if !each(i, bytes, time.Since(begin), err) {
			return false
		}
	}
	return true
}

// sleep waits, and says whether to go on.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// chunkArrived books a chunk that came from a peer and was stored.
func (n *Node) chunkArrived(m *content.PayloadMap, index int, from swarm.PeerID, bytes int, fresh bool) {
	n.chunkBooked(m, index, n.contacts.of(string(from)), bytes, fresh)
}

// chunkBooked is the same for one whose source is no peer of the mesh.
func (n *Node) chunkBooked(m *content.PayloadMap, index int, c contact, bytes int, fresh bool) {
	n.metrics.chunk(bytes, fresh)
	n.ledger.arrived(m.ID(), m.Len(), index, c, bytes, fresh)
	if fresh && n.keeper.damaged.Load() > n.keeper.healed.Load() {
		n.keeper.heal(m.ID(), index)
	}
	n.metrics.tier(c.booked(), bytes, fresh)
}

// heal counts a damaged chunk that has come again.
func (k *storekeeper) heal(id content.ID, index int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.lost[id][index] {
		delete(k.lost[id], index)
		k.healed.Add(1)
	}
}

// chunkRefused books a chunk that could not be stored: one that did not match was carried in vain.
func (n *Node) chunkRefused(m *content.PayloadMap, bytes int, f swarm.Failed) {
	if f.Reason == policy.ReasonTrustBadChunk && f.Class == swarm.Refuse {
		n.ledger.wasted(m.ID(), m.Len(), bytes)
		n.metrics.wasted(bytes)
	}
}

// chunkSent books a chunk that was given to a peer.
func (n *Node) chunkSent(m *content.PayloadMap, index int, to string, bytes int64) {
	n.metrics.sent(bytes)
	if bytes > 0 {
		n.ledger.sent(m.ID(), m.Len(), index, to, int(bytes))
	}
}
