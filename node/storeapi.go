package node

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/swarm"
)

// keepTexts say for people why a payload stays.
var keepTexts = map[swarm.Keep]string{
	swarm.KeepPinned:       "pinned",
	swarm.KeepNeeded:       "this machine needs it",
	swarm.KeepWanted:       "a machine of the site is fetching it",
	swarm.KeepAbsent:       "a machine of the site that is away may lack it, and too few others hold it",
	swarm.KeepCopy:         "one of the copies that the site keeps; goes only if this machine must install something else",
	swarm.KeepSpare:        "the site has enough copies: goes when room is short",
	swarm.KeepSuperseded:   "replaced by an approved update: goes when room is short",
	swarm.KeepDeclined:     "no approval brings it to any machine: goes when room is short",
	swarm.KeepUnreferenced: "no approval names it: goes first when room is short",
}

// Store implements api.Storekeeper.
func (n *Node) Store(ctx context.Context) (*api.Store, error) {
	v, err := n.storeView(ctx)
	if err != nil {
		return nil, err
	}
	u, err := n.store.Usage()
	if err != nil {
		return nil, err
	}
	s := &api.Store{
		AsOf: n.cfg.Now().UTC(), UsedBytes: u.UsedBytes, QuotaBytes: u.QuotaBytes, FreeBytes: u.FreeBytes, ReserveBytes: u.ReserveBytes,
		TotalBytes: u.TotalBytes, OverBytes: u.OverBytes(), Scrub: n.scrubInfo(), Payloads: []api.Stored{},
	}
	for _, k := range v.Store {
		if row, err := n.storedRow(k); err == nil { // else it has just gone
			s.Payloads = append(s.Payloads, row)
		}
	}
	slices.SortStableFunc(s.Payloads, func(a, b api.Stored) int { return int(min(max(b.HeldBytes-a.HeldBytes, -1), 1)) })
	return s, nil
}

// storeView has the core look at the store now, and waits for what it says.
func (n *Node) storeView(ctx context.Context) (*swarm.View, error) {
	if n.host == nil {
		return nil, api.Errorf(api.ClassUnreachable, "the node is not running").WithHint("start it with 'patchmesh run'")
	}
	before := n.view.Load().StoreAt
	n.checkStore()
	for end := time.Now().Add(5 * time.Second); ; {
		if v := n.view.Load(); v.StoreAt.After(before) || time.Now().After(end) {
			return v, nil
		}
		if !sleep(ctx, viewEvery/4) {
			return nil, ctx.Err()
		}
	}
}

func (n *Node) storedRow(k swarm.StoreView) (api.Stored, error) {
	if u, aside := n.unmapped(k.Payload); aside {
		return n.unmappedRow(u, k), nil
	}
	m, err := n.store.Map(k.Payload)
	if err != nil {
		return api.Stored{}, err
	}
	have, err := n.store.Have(k.Payload)
	if err != nil {
		return api.Stored{}, err
	}
	held, err := n.store.HeldBytes(k.Payload)
	if err != nil {
		return api.Stored{}, err
	}
	row := api.Stored{
		Update: n.ledger.updateOf(m), Payload: k.Payload.String(), SizeBytes: m.PlainBytes, StoredBytes: m.StoredBytes(), HeldBytes: held,
		Chunks: m.Len(), HeldChunks: have.Count(), Whole: n.store.Published(k.Payload), Pinned: k.Keep == swarm.KeepPinned,
		Keep: string(k.Keep), Text: keepTexts[k.Keep], SiteCopies: k.Copies, Wanting: k.Wanting, Absent: k.Absent, Evictable: k.Keep.Evictable(),
	}
	if n.seed != nil && k.Keep == swarm.KeepNeeded {
		row.Text = "in the catalogue of this seed"
	}
	if s, err := n.ledger.shares(k.Payload, n.store); err == nil {
		row.SentBytes, row.Bytes = s.sent, s.totals
	}
	return row, nil
}

func (n *Node) scrubInfo() api.Scrub {
	k := &n.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	return api.Scrub{
		CheckedBytes: k.checkedBytes.Load(), DamagedChunks: k.damaged.Load(), HealedChunks: k.healed.Load(),
		PassBegunAt: k.pace.begunAt, PassEndedAt: k.pace.endedAt, NextPassAt: k.pace.next(),
	}
}

// StoreVerify implements api.Storekeeper.
func (n *Node) StoreVerify(ctx context.Context) (*api.StoreVerified, error) {
	infos, err := n.store.List()
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	v := &api.StoreVerified{Damaged: []api.Damaged{}}
	for _, i := range infos {
		var bad []int
		name := ""
		if m, err := n.store.Map(i.ID); err == nil {
			name = n.ledger.updateOf(m)
		}
		n.hashPayload(i.ID, func(index, bytes int, _ time.Duration, err error) bool {
			v.Chunks++
			v.CheckedBytes += int64(bytes)
			if err != nil {
				bad = append(bad, index)
			}
			return ctx.Err() == nil
		})
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		v.Payloads++
		if len(bad) > 0 {
			v.Damaged = append(v.Damaged, api.Damaged{Update: name, Payload: i.ID.String(), Chunks: bad})
		}
	}
	v.Seconds = time.Since(begin).Seconds()
	return v, nil
}

// StorePin implements api.Storekeeper.
func (n *Node) StorePin(_ context.Context, r api.PinRequest) (*api.Pinned, error) {
	ids, err := n.findPayloads(r.Update)
	k := &n.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	named := func(p pin) bool { return p.Update == r.Update }
	was := slices.ContainsFunc(k.pins, named)
	if err != nil && !(r.Unpin && was) { // what nobody knows any more can still be unpinned
		return nil, err
	}
	pins := slices.DeleteFunc(slices.Clone(k.pins), named)
	if !r.Unpin {
		for _, id := range ids {
			pins = append(pins, pin{Update: r.Update, Payload: id})
		}
	}
	if len(pins) > maxPins {
		return nil, api.Errorf(api.ClassUsage, "more than %d payloads are pinned", maxPins).WithHint("unpin some with 'patchmesh store unpin'")
	}
	b, err := json.Marshal(pins)
	if err != nil {
		return nil, err
	}
	if err := n.db.PutValue(pinsKey, b); err != nil {
		return nil, spaceClass(err)
	}
	k.pins = pins
	here := slices.ContainsFunc(ids, func(id content.ID) bool { return n.store.Published(id) })
	return &api.Pinned{Update: r.Update, Pinned: !r.Unpin, Unchanged: was != r.Unpin, Here: here}, nil
}

// findPayloads are the payloads of an update; ClassNotFound if it has none that are known here.
func (n *Node) findPayloads(update string) ([]content.ID, error) {
	if ids := n.payloadsOf(update); len(ids) > 0 {
		return ids, nil
	}
	return nil, api.Errorf(api.ClassNotFound, "no payload of an update %q is known here", api.Clean(update)).
		WithHint("'patchmesh store list' shows what is in the store, 'patchmesh status' what is approved")
}

// StoreDrop implements api.Storekeeper.
func (n *Node) StoreDrop(ctx context.Context, r api.DropRequest) (*api.Dropped, error) {
	ids, err := n.findPayloads(r.Update)
	if err != nil {
		return nil, err
	}
	v, err := n.storeView(ctx)
	if err != nil {
		return nil, err
	}
	d := &api.Dropped{Update: r.Update}
	for _, k := range v.Store {
		if !slices.Contains(ids, k.Payload) {
			continue
		}
		switch {
		case k.Keep == swarm.KeepPinned && !r.Force:
			return nil, api.Errorf(api.ClassRefused, "%s is pinned", r.Update).WithHint("'patchmesh store unpin %s' first, or add --force", r.Update)
		case !k.Keep.Evictable() && k.Keep != swarm.KeepCopy && !r.Force:
			return nil, api.Errorf(api.ClassRefused, "%s is still needed: %s", r.Update, keepTexts[k.Keep]).
				WithHint("add --force to drop it nevertheless; whoever needs it fetches it again")
		}
		freed, err := n.dropStored(k.Payload)
		if errors.Is(err, content.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		n.events.send(swarm.PayloadDropped{Payload: k.Payload})
		d.Payloads++
		d.FreedBytes += freed
	}
	if d.Payloads == 0 {
		return nil, api.Errorf(api.ClassNotFound, "%s is not in the store of this machine", api.Clean(r.Update)).WithHint("'patchmesh store list' shows what is")
	}
	return d, nil
}

var _ api.Storekeeper = (*Node)(nil)
