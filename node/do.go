package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"patchmesh/content"
	"patchmesh/node/apply"
	"patchmesh/node/transport"
	"patchmesh/policy"
	"patchmesh/swarm"
	"patchmesh/swarm/wire"
)

// do starts the work for one action and returns; only Save blocks. An error stops the node: local
// state cannot be trusted any more.
func (n *Node) do(ctx context.Context, act swarm.Action) error {
	switch a := act.(type) {
	case swarm.Link:
		n.links.want(a.Want)
	case swarm.LinkAdjacent:
		n.adjacents.want(a.Want)
	case swarm.Unlink:
		n.adjacents.unlink(string(a.Peer), a.Reason)
	case swarm.Announce:
		n.announce()
	case swarm.AskManifest:
		n.work(func() { n.fetchManifest(ctx, a) })
	case swarm.AskDescriptor:
		n.work(func() { n.fetchDescriptor(ctx, a) })
	case swarm.Evict:
		n.work(func() { n.evict(a) })
	case swarm.OpenPayload:
		n.work(func() { n.openPayload(a) })
	case swarm.FetchChunk:
		n.fetchChunk(a)
	case swarm.FetchOrigin:
		n.fetchOrigin(ctx, a)
	case swarm.CancelFetch:
		n.cancelFetch(a.Req)
	case swarm.Serve:
		n.serve(a)
	case swarm.RefuseUpload:
		n.host.RefuseChunk(a.Ref, statusOf(a.Class))
	case swarm.Assemble:
		n.work(func() { n.assemble(a) })
	case swarm.Detect:
		n.look(ctx, a)
	case swarm.CopyEarly:
		n.copyEarly(ctx, a.Descriptor)
	case swarm.Install:
		n.work(func() { n.install(ctx, a.Req, a.Descriptor, apply.Install) })
	case swarm.Remove:
		n.work(func() { n.install(ctx, a.Req, a.Descriptor, apply.Remove) })
	case swarm.Report:
		n.makeReport(a.Seq)
	case swarm.Forward:
		n.forward(a)
	case swarm.Save:
		return n.save(ctx, a.Snapshot)
	case swarm.Note:
		n.note(a)
	default:
		n.say(act)
	}
	return nil
}

// say sends a peer what the core has to tell it.
func (n *Node) say(act swarm.Action) {
	switch a := act.(type) {
	case swarm.TellGained:
		n.tellGained(a)
	case swarm.TellHave:
		n.tell(a.To, wire.Have{Payload: a.Payload, Chunks: a.Bits.Len(), Want: a.Want, Bits: a.Bits.Bytes()})
	case swarm.TellSynced:
		n.tell(a.To, wire.Synced{})
	case swarm.TellLease:
		n.tell(a.To, wire.Lease{Payload: a.Payload, Held: a.Held})
	case swarm.TellLost:
		n.tell(a.To, wire.Lost{Payload: a.Payload})
	case swarm.TellEgress:
		n.tell(a.To, wire.Flags{Egress: a.Egress})
	case swarm.TellSpent:
		n.tell(a.To, wire.Spent{Entries: a.Entries})
	case swarm.TellGate:
		n.tell(a.To, wire.Gate{Serve: string(a.Serve), WAN: string(a.WAN)})
	default:
		if !n.sayTrail(act) {
			panic(fmt.Sprintf("node: unknown action %T", act))
		}
	}
}

// work runs one request beside the loop. Stop waits for all of them.
func (n *Node) work(f func()) {
	n.running.Add(1)
	go func() {
		defer n.running.Done()
		f()
	}()
}

// tell sends one message; a session that cannot take it is closed by transport, and PeerDown follows.
func (n *Node) tell(to swarm.PeerID, m wire.Message) {
	if err := n.host.Send(string(to), m); err != nil {
		n.log.Debug("message not sent", "peer", to, "kind", fmt.Sprintf("%T", m), "err", err)
	}
}

// save makes the snapshot durable. A full disk is waited out, loudly: what is promised to others
// later must not be forgotten, and stopping would not make room either.
func (n *Node) save(ctx context.Context, s swarm.Snapshot) error {
	err := n.saved.keep(n.db, s)
	if errors.Is(err, content.ErrNoSpace) {
		n.copies.GiveUp()
		err = n.saved.keep(n.db, s)
	}
	for ; ; err = n.saved.keep(n.db, s) {
		if err == nil {
			n.trouble.Store(nil)
			return nil
		}
		if !errors.Is(err, content.ErrNoSpace) {
			return fmt.Errorf("save state: %w", err)
		}
		n.trouble.Store(&trouble{reason: policy.ReasonDiskShort, detail: "the state cannot be saved: " + err.Error()})
		n.log.Warn("disk full, waiting to save the state", "folder", n.cfg.DataDir)
		select {
		case <-ctx.Done():
			return fmt.Errorf("save state: %w", err)
		case <-time.After(time.Second):
		}
	}
}

// trouble is what is wrong with the node as a whole.
type trouble struct {
	reason policy.Reason
	detail string
}

// nodeTrouble is the node's own, or that it is locked out, or else what is wrong with its trust, its clock, its
// membership or the clean-up of its store.
func (n *Node) nodeTrouble() *trouble {
	if t := n.trouble.Load(); t != nil {
		return t
	}
	if l := n.locked.Load(); l != nil {
		return &trouble{reason: policy.ReasonHostRevoked, detail: l.detail}
	}
	if n.renewal != nil { // offline nothing is renewed
		if t := n.renewal.lastTrouble(); t != nil {
			return t // a machine without a membership gets no news: what it trusts being old follows from that
		}
	}
	if t := n.believer.trouble(n.cfg.Now(), n.late()); t != nil {
		return t
	}
	return n.keeper.cleanTrouble()
}

func statusOf(c swarm.Class) wire.Status {
	switch c {
	case swarm.Busy:
		return wire.StatusBusy
	case swarm.Absent:
		return wire.StatusNotFound
	}
	return wire.StatusRefused
}

// openPayload makes room in the store and tells what is there already, be it of another payload.
func (n *Node) openPayload(a swarm.OpenPayload) {
	m, err := n.docs.payloadMap(a.Payload)
	if err != nil {
		n.events.send(failure(a.Req, err))
		return
	}
	have, err := n.beginPayload(m)
	if err == nil {
		have, err = n.takeFromOthers(m, have)
	}
	if err != nil {
		n.events.send(failure(a.Req, err))
		return
	}
	n.events.send(swarm.PayloadOpened{Req: a.Req, Payload: a.Payload, Have: have})
}

// assemble hashes the whole payload again and publishes it, or leaves that to the install that follows.
func (n *Node) assemble(a swarm.Assemble) {
	if a.Installs {
		n.owed.owe(a.Payload, n.publishOwed)
	} else if err := n.store.Publish(a.Payload); err != nil {
		n.events.send(failure(a.Req, err))
		return
	}
	if m, err := n.store.Map(a.Payload); err == nil {
		n.ledger.whole(a.Payload, m.Len())
	}
	n.events.send(swarm.Assembled{Req: a.Req})
}

// fetchChunk asks a peer for one chunk. The chunk is verified and stored on the reader's goroutine,
// straight from the receive buffer, before the core hears of it.
func (n *Node) fetchChunk(a swarm.FetchChunk) {
	m, err := n.docs.payloadMap(a.Payload)
	if err != nil || a.Index >= m.Len() {
		n.work(func() {
			n.events.send(swarm.Failed{Req: a.Req, Class: swarm.Retry, Reason: policy.ReasonPeerNoneHolds})
		})
		return
	}
	size := int(m.Chunks[a.Index].StoredBytes)
	n.host.Expect(string(a.From), a.Ahead)
	cancel := n.host.FetchChunk(string(a.From), a.Payload, a.Index, size, func(stored []byte, err error) transport.Judgement {
		n.forgetFetch(a.Req)
		if err != nil {
			n.events.send(fetchFailure(a.Req, err))
			return transport.Unkept
		}
		fresh, err := n.store.Put(a.Payload, a.Index, stored)
		if err != nil {
			f := failure(a.Req, err)
			n.chunkRefused(m, len(stored), f)
			n.events.send(f)
			if f.Class == swarm.Refuse {
				return transport.Wrong
			}
			return transport.Unkept
		}
		n.chunkArrived(m, a.Index, a.From, len(stored), fresh)
		n.events.send(swarm.ChunkStored{Req: a.Req, Bytes: int64(len(stored)), Fresh: fresh})
		return transport.Right
	})
	n.rememberFetch(a.Req, cancel)
}

// fetchFailure translates a transport error for the core.
func fetchFailure(req swarm.Req, err error) swarm.Failed {
	f := swarm.Failed{Req: req, Class: swarm.Retry, Reason: policy.ReasonNetTimeout, Detail: err.Error()}
	switch {
	case errors.Is(err, transport.ErrBusy):
		f.Class = swarm.Busy
	case errors.Is(err, transport.ErrNotFound):
		f.Class = swarm.Absent
	case errors.Is(err, transport.ErrRefused):
		f.Class, f.Reason = swarm.Absent, policy.ReasonNetRefused
	case errors.Is(err, transport.ErrWrongChunk):
		f.Reason = policy.ReasonTrustBadChunk
	case errors.Is(err, context.Canceled):
		f.Reason = policy.ReasonCancelledUser
	}
	return f
}

// failure translates an error of the store or of documents for the core.
func failure(req swarm.Req, err error) swarm.Failed {
	f := swarm.Failed{Req: req, Class: swarm.Retry, Reason: policy.ReasonDiskError, Detail: err.Error()}
	var corrupt *content.CorruptError
	var full *content.NoSpaceError
	switch {
	case errors.As(err, &corrupt):
		f.Class, f.Reason = swarm.Refuse, policy.ReasonTrustBadChunk
	case errors.As(err, &full):
		f.Reason = policy.ReasonDiskShort
		f.Facts = map[string]int64{"needed_bytes": full.NeedBytes, "free_bytes": full.FreeBytes}
		f.Detail = spaceText(full.NeedBytes, full.FreeBytes)
		if full.Quota {
			f.Detail = quotaText(full.NeedBytes, full.FreeBytes)
		}
	case errors.Is(err, content.ErrNoSpace):
		f.Reason = policy.ReasonDiskShort
	case errors.Is(err, content.ErrDamaged):
		f.Reason = policy.ReasonTrustBadChunk
	case errors.Is(err, content.ErrNotFound):
		f.Class = swarm.Absent
	}
	return f
}

// rememberFetch keeps the way to withdraw a request; the request may have ended already.
func (n *Node) rememberFetch(req swarm.Req, cancel func()) {
	n.fetchMu.Lock()
	defer n.fetchMu.Unlock()
	if n.fetchEnded[req] {
		delete(n.fetchEnded, req)
		return
	}
	n.fetches[req] = cancel
}

func (n *Node) forgetFetch(req swarm.Req) {
	n.fetchMu.Lock()
	defer n.fetchMu.Unlock()
	if _, ok := n.fetches[req]; !ok {
		n.fetchEnded[req] = true // ended before FetchChunk returned
		return
	}
	delete(n.fetches, req)
}

func (n *Node) cancelFetch(req swarm.Req) {
	n.fetchMu.Lock()
	cancel := n.fetches[req]
	n.fetchMu.Unlock()
	if cancel != nil {
		cancel()
	}
}

// serve sends a chunk from the store; the ask's slot is free again when it has left.
func (n *Node) serve(a swarm.Serve) {
	m, err := n.docs.payloadMap(a.Payload)
	if err != nil || a.Index >= m.Len() {
		n.host.RefuseChunk(a.Ref, wire.StatusNotFound)
		n.work(func() { n.events.send(swarm.UploadEnded{Ref: a.Ref}) })
		return
	}
	size, to := int(m.Chunks[a.Index].StoredBytes), n.host.AskedBy(a.Ref)
	n.host.SendChunk(a.Ref, size,
		func(buf []byte) (int, error) { return n.store.ReadChunk(a.Payload, a.Index, buf) },
		func(err error) {
			sent := int64(size)
			if err != nil {
				sent = 0
			}
			n.chunkSent(m, a.Index, to, sent)
			n.events.send(swarm.UploadEnded{Ref: a.Ref, Bytes: sent})
		})
}
