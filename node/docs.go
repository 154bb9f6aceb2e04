package node

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"patchmesh/content"
	"patchmesh/node/apply"
	"patchmesh/node/state"
	"patchmesh/node/transport"
	"patchmesh/policy"
	"patchmesh/swarm"
	"patchmesh/swarm/wire"
)

// library is the documents of this node: what is trusted, by content ID, and what is known beside it.
type library struct {
	db *state.DB

	mu      sync.Mutex
	trusted map[content.ID][]byte // the documents of the trust set in force
	maps    map[content.ID]*content.PayloadMap
	decoded apply.Decoded
}

// maxCachedMaps bounds decoded payload maps in memory; one of 4,096 chunks takes about 200 KiB.
const maxCachedMaps = 64

func newLibrary(db *state.DB) *library {
	return &library{db: db, trusted: map[content.ID][]byte{}, maps: map[content.ID]*content.PayloadMap{}}
}

// setTrusted makes the documents of a trust set servable, and only those.
func (l *library) setTrusted(f policy.Files) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trusted = map[content.ID][]byte{}
	for _, b := range f.Documents() {
		if len(b) > 0 {
			l.trusted[content.Sum(b)] = b
		}
	}
}

// document finds a document by ID; content.ErrNotFound if it is not here.
func (l *library) document(id content.ID) ([]byte, error) {
	l.mu.Lock()
	b, ok := l.trusted[id]
	l.mu.Unlock()
	if ok {
		return b, nil
	}
	b, err := l.db.Doc(id)
	if err != nil {
		return nil, err
	}
	if content.Sum(b) != id { // bit rot in the database: as good as absent, and it is fetched again
		return nil, fmt.Errorf("document %s: %w", id.Short(), content.ErrNotFound)
	}
	return b, nil
}

// descriptor is a descriptor that is known here, decoded. It must not be changed.
func (l *library) descriptor(id content.ID) (*policy.Descriptor, error) {
	return l.decoded.Get(id, func() ([]byte, error) { return l.document(id) })
}

// payloadMap decodes and remembers a payload map that is known here.
func (l *library) payloadMap(id content.ID) (*content.PayloadMap, error) {
	l.mu.Lock()
	m := l.maps[id]
	l.mu.Unlock()
	if m != nil {
		return m, nil
	}
	b, err := l.document(id)
	if err != nil {
		return nil, fmt.Errorf("payload map: %w", err)
	}
	if m, err = content.DecodeMap(b); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.maps) >= maxCachedMaps {
		clear(l.maps)
	}
	l.maps[id] = m
	return m, nil
}

// docAsked answers a member's question for a document.
func (n *Node) docAsked(from string, ask wire.DocAsk) ([]byte, bool) {
	if ask.Kind == wire.DocRoot {
		b, err := n.db.Value(rootKey(ask.RootVersion))
		return b, err == nil && len(b) > 0
	}
	switch ask.Kind {
	case wire.DocReport:
		return n.reportAsked()
	case wire.DocInventory:
		return n.inventoryAsked()
	case wire.DocErrands:
		return n.errandsAsked()
	case wire.DocAnswers:
		return n.answersAsked(ask)
	case wire.DocReceiptsOwed, wire.DocReceiptsSigned, wire.DocReceipts:
		return n.receiptsAsked(from, ask)
	}
	b, err := n.docs.document(ask.ID)
	return b, err == nil
}

func rootKey(version int64) string { return fmt.Sprintf("root.%d", version) }

// obtain gets a document from home or from a peer, checks it and keeps it.
func (n *Node) obtain(ctx context.Context, from swarm.PeerID, id content.ID, kind string, maxBytes int) ([]byte, error) {
	if b, err := n.docs.document(id); err == nil {
		return b, nil
	}
	if from == "" {
		return nil, fmt.Errorf("%s %s: %w", kind, id.Short(), content.ErrNotFound)
	}
	b, err := n.ask(ctx, from, wire.DocAsk{Kind: wire.DocContent, ID: id, MaxBytes: maxBytes})
	if err != nil {
		return nil, err
	}
	if got := content.Sum(b); got != id {
		return nil, &content.CorruptError{Want: id, Got: got, SizeBytes: len(b)}
	}
	if err := n.db.PutDoc(id, kind, b); err != nil {
		return nil, err
	}
	return b, nil
}

// ask fetches one document within a time that suits a slow WAN.
func (n *Node) ask(ctx context.Context, from swarm.PeerID, ask wire.DocAsk) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, docTimeout)
	defer cancel()
	return n.host.FetchDoc(ctx, string(from), ask)
}

// fetchDescriptor gets a descriptor and its payload map.
func (n *Node) fetchDescriptor(ctx context.Context, a swarm.AskDescriptor) {
	ev, err := n.readDescriptor(ctx, a)
	if err != nil {
		n.events.send(docFailure(a.Req, err))
		return
	}
	n.events.send(ev)
}

func (n *Node) readDescriptor(ctx context.Context, a swarm.AskDescriptor) (swarm.Event, error) {
	b, err := n.obtain(ctx, a.From, a.ID, "descriptor", maxDescriptor)
	if err != nil {
		return nil, err
	}
	d, err := n.docs.decoded.Get(a.ID, func() ([]byte, error) { return b, nil })
	if err != nil {
		return nil, err
	}
	if _, err = n.obtain(ctx, a.From, d.Payload, "payload-map", content.MaxMapBytes); err != nil {
		return nil, err
	}
	m, err := n.docs.payloadMap(d.Payload)
	if err != nil {
		return nil, err
	}
	if err := matches(d, m); err != nil {
		return nil, err
	}
	info, err := n.payloadInfo(m)
	if err != nil {
		return nil, err
	}
	info.Mirrors = n.web.learn(d)
	return swarm.DescriptorArrived{Req: a.Req, ID: a.ID, Descriptor: d, Payload: info}, nil
}

// matches refuses a descriptor whose payload map describes other bytes than it promises.
func matches(d *policy.Descriptor, m *content.PayloadMap) error {
	if m.PlainBytes != d.PlainBytes || fmt.Sprintf("%x", m.SHA256) != d.SHA256 {
		return fmt.Errorf("update %s: descriptor and payload map disagree: %w", d.Update, policy.ErrFormat)
	}
	return nil
}

// payloadInfo tells the core about a payload and what the store has of it.
func (n *Node) payloadInfo(m *content.PayloadMap) (swarm.PayloadInfo, error) {
	info := swarm.PayloadInfo{ID: m.ID(), Chunks: m.Len(), ChunkBytes: m.ChunkBytes, StoredBytes: m.StoredBytes()}
	have, err := n.store.Have(info.ID)
	switch {
	case errors.Is(err, content.ErrNotFound):
		return info, nil
	case err != nil:
		return info, err
	}
	if have.Full() && !n.store.Published(info.ID) {
		n.publishLeft(info.ID)
		if have, err = n.store.Have(info.ID); err != nil {
			return info, err
		}
	}
	info.Have = have
	info.Published = have.Full() && n.store.Published(info.ID)
	return info, nil
}

// docFailure translates for the core: what does not verify is the peer's fault.
func docFailure(req swarm.Req, err error) swarm.Failed {
	f := failure(req, err)
	switch {
	case errors.Is(err, transport.ErrNotFound), errors.Is(err, content.ErrNotFound):
		f.Class, f.Reason = swarm.Absent, policy.ReasonPeerNoneHolds
	case policy.ReasonOf(err) != "":
		f.Class, f.Reason = swarm.Refuse, policy.ReasonOf(err)
	case f.Reason == policy.ReasonDiskError:
		f.Reason = policy.ReasonNetTimeout
	}
	return f
}
