package node

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"patchmesh/content"
	"patchmesh/content/disk"
	"patchmesh/node/api"
	"patchmesh/node/state"
	"patchmesh/policy"
	"patchmesh/swarm"
)

// A payload whose map is damaged on disk is set aside by the store: its bytes lie there and cannot be verified. Its
// map is among the documents as well, or comes again from whoever has it, and proves itself by its name; then every
// chunk is hashed, and only what does not match is fetched.

// unmappedEvery is how often a map that was not here is looked for again: a neighbour may have brought it.
const unmappedEvery = 30 * time.Second

// mendMaps tells of payloads without a map and takes up each whose map is here, until none is left or ctx ends. Those
// that this machine needs are taken up by its core as well, which asks for their descriptions.
func (n *Node) mendMaps(ctx context.Context) {
	for _, u := range n.store.Unmapped() {
		text := unmappedText(n.payloadName(u.ID))
		n.record(state.EventRow{Kind: string(swarm.NoteStore), Update: n.updateOfPayload(u.ID), Reason: string(policy.ReasonTrustBadChunk), Detail: text})
		n.refuse(n.id, policy.ReasonTrustBadChunk, "the store of this machine: "+text)
	}
	for {
		for _, u := range n.store.Unmapped() {
			if _, err := n.takeUpPayload(u.ID); err != nil {
				n.log.Warn("a payload whose map was damaged was not taken up; it is tried again", "payload", u.ID.Short(), "err", err)
			}
		}
		if len(n.store.Unmapped()) == 0 || !sleep(ctx, unmappedEvery) {
			return
		}
	}
}

func unmappedText(name string) string {
	return "the payload map of " + name + " is damaged on disk: its bytes are kept, not served, and hashed again as soon as the map is here"
}

// payloadName is what people call a payload.
func (n *Node) payloadName(id content.ID) string { return cmp.Or(n.updateOfPayload(id), id.Short()) }

// unmapped finds a payload among those that are set aside.
func (n *Node) unmapped(id content.ID) (disk.Unmapped, bool) {
	all := n.store.Unmapped()
	if i := slices.IndexFunc(all, func(u disk.Unmapped) bool { return u.ID == id }); i >= 0 {
		return all[i], true
	}
	return disk.Unmapped{}, false
}

// reclaim begins a payload that is set aside, and publishes it if it is whole; nil if its map is not here.
func (n *Node) reclaim(id content.ID) (*content.Bits, error) {
	m, err := n.docs.payloadMap(id)
	if err != nil {
		return nil, nil // the core asks for it where the payload is needed
	}
	have, err := n.beginPayload(m)
	if err == nil && have.Full() && !n.owed.owes(id) {
		err = n.store.Publish(id)
	}
	return have, err
}

// takeUpPayload reclaims a payload and tells the core, if it runs. False: its map is not here.
func (n *Node) takeUpPayload(id content.ID) (bool, error) {
	have, err := n.reclaim(id)
	if err != nil || have == nil {
		return false, err
	}
	if n.host != nil {
		n.events.send(swarm.ChunksCarried{Payload: id, Have: have})
	}
	return true, nil
}

// beginPayload is the store's Begin, and tells what became of a payload that was set aside.
func (n *Node) beginPayload(m *content.PayloadMap) (*content.Bits, error) {
	_, aside := n.unmapped(m.ID())
	have, err := n.store.Begin(m)
	if err != nil || !aside {
		return have, err
	}
	text := fmt.Sprintf("the payload map of %s is here again: %d of %d chunks on disk were hashed and are right", n.payloadName(m.ID()), have.Count(), m.Len())
	n.tellStore(m.ID(), text)
	return have, nil
}

// tellStore says what the store did with a payload, in the event log and the log.
func (n *Node) tellStore(id content.ID, text string) {
	n.record(state.EventRow{Kind: string(swarm.NoteStore), Update: n.updateOfPayload(id), Detail: text})
	n.log.Info(text)
}

// dropStored removes a payload from the store, whether its map holds or not.
func (n *Node) dropStored(id content.ID) (freed int64, err error) {
	if u, aside := n.unmapped(id); aside {
		return u.HeldBytes, n.store.Drop(id)
	}
	m, err := n.store.Map(id)
	if err != nil {
		return 0, err
	}
	return n.dropPayload(m)
}

// unmappedRow shows a payload that is set aside.
func (n *Node) unmappedRow(u disk.Unmapped, k swarm.StoreView) api.Stored {
	return api.Stored{
		Update: n.updateOfPayload(u.ID), Payload: u.ID.String(), StoredBytes: u.HeldBytes, HeldBytes: u.HeldBytes, Keep: string(k.Keep),
		Text: "its payload map is damaged on disk: hashed again as soon as the map is here", Pinned: k.Keep == swarm.KeepPinned, Evictable: k.Keep.Evictable(),
	}
}

// lookAtMaps tells of payloads that are set aside; with --fix those whose map is here are taken up.
func (n *Node) lookAtMaps(ctx context.Context, e *examination) {
	all := n.store.Unmapped()
	if len(all) == 0 {
		return
	}
	var bytes int64
	here := 0
	for _, u := range all {
		bytes += u.HeldBytes
		if _, err := n.docs.payloadMap(u.ID); err == nil {
			here++
		}
	}
	detail := fmt.Sprintf("%d payload map(s) are damaged on disk, as that of %s; the %s that they describe are kept and not served", len(all), n.payloadName(all[0].ID), api.Size(bytes))
	var fix func() (string, error)
	if here > 0 {
		fix = func() (string, error) { return n.mendAllMaps(ctx) }
	}
	e.wrong(api.ScopeStore, "payload maps", policy.ReasonTrustBadChunk, detail,
		map[string]int64{"damaged_maps": int64(len(all)), "maps_here": int64(here), "held_bytes": bytes}, fix)
	if here < len(all) {
		e.next("a machine that needs the payload gets its map from a neighbour while patchmesh runs, and then hashes what lies there; on a seed import the same file again", "machine")
	}
}

func (n *Node) mendAllMaps(ctx context.Context) (string, error) {
	done := 0
	all := n.store.Unmapped()
	for _, u := range all {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		took, err := n.takeUpPayload(u.ID)
		if err != nil {
			return "", err
		}
		if took {
			done++
		}
	}
	n.flushEvents()
	return fmt.Sprintf("%d of %d have their map again, and what lies on disk was hashed", done, len(all)), nil
}
