package swarm

import (
	"patchmesh/content"
	"patchmesh/policy"
)

// promises checks one answer of the core against what doc.go says.
func (h *hostile) promises() {
	if len(h.acts) > 5000 {
		h.fail("%d actions for one event", len(h.acts))
	}
	if at := h.c.Wake(); !at.IsZero() && at.Before(h.now) {
		h.fail("the next wake lies %v in the past", h.now.Sub(at))
	}
	for i, act := range h.acts {
		h.promise(i, act)
	}
	h.books()
}

// promise checks one action and books the request that it makes.
func (h *hostile) promise(at int, act Action) {
	switch a := act.(type) {
	case AskManifest:
		h.asked(a.Req, act)
	case AskDescriptor:
		h.asked(a.Req, act)
	case OpenPayload:
		h.asked(a.Req, act)
	case Assemble:
		h.asked(a.Req, act)
	case Detect:
		h.asked(a.Req, act)
	case FetchChunk:
		h.mayFetch(a)
		h.asked(a.Req, act)
	case FetchOrigin:
		h.mayCrossWAN(a)
		h.asked(a.Req, act)
	case Install:
		h.reached.installs++
		h.mayChange(at, a.Descriptor, policy.VerbInstall)
		h.asked(a.Req, act)
	case Remove:
		h.reached.removals++
		h.mayChange(at, a.Descriptor, policy.VerbRemove)
		h.asked(a.Req, act)
	case Serve:
		h.mayServe(a)
	case RefuseUpload:
		h.reached.refusals++
	case Note:
		if a.Kind == NoteLease {
			h.leased[a.Payload] = a.Text == "claimed"
		}
	case Evict:
		h.mayEvict(a)
	case Save:
		h.saved = a.Snapshot
	case Report:
		if h.c.self.Seed {
			h.fail("a seed reports")
		}
	}
}

// asked books a request: its number must be new.
func (h *hostile) asked(req Req, act Action) {
	for _, o := range h.open {
		if o.req == req {
			h.fail("request %d is made twice", req)
		}
	}
	r := h.c.request(req)
	h.open = append(h.open, asked{act: act, req: req, at: h.now, gone: r == nil})
}

// chunkAsks lists the open requests for a chunk that the core still waits for.
func (h *hostile) chunkAsks(payload content.ID, index int) (neighbours []asked, origins int) {
	for _, o := range h.open {
		switch a := o.act.(type) {
		case FetchChunk:
			if a.Payload == payload && a.Index == index && !o.gone {
				neighbours = append(neighbours, o)
			}
		case FetchOrigin:
			if a.Payload == payload && a.Index == index && !o.gone {
				origins++
			}
		}
	}
	return neighbours, origins
}

// leaving: the plan was made anew just before the core was told that this peer is gone, so it may have been
// asked in that very moment.
func (h *hostile) leaving(id PeerID) bool {
	down, ok := h.last.(PeerDown)
	return ok && down.Peer == id
}

// losing: the plan was made anew just before the core was told that something is gone from the store, so it
// may have begun an installation in that very moment, which then fails.
func (h *hostile) losing() bool {
	switch h.last.(type) {
	case PayloadDropped, ChunksLost:
		return true
	}
	return false
}

// mayFetch: a chunk is asked of one neighbour at a time; a second one only after silence.
func (h *hostile) mayFetch(a FetchChunk) {
	h.reached.chunks++
	l, p := h.c.byMap[a.Payload], h.c.byID[a.From]
	if l == nil || a.Index < 0 || a.Index >= l.chunks {
		h.fail("fetches chunk %d, which is none of an approved payload", a.Index)
		return
	}
	if h.leaving(a.From) {
		return
	}
	if p == nil || p.site != h.self.Site {
		h.fail("asks %s, which is no neighbour", a.From)
		return
	}
	twins, origins := h.chunkAsks(a.Payload, a.Index)
	if origins > 0 || len(twins) > 1 {
		h.fail("chunk %d is asked for once more: %d asks at neighbours, %d at seeds are open", a.Index, len(twins), origins)
	}
	if len(twins) == 1 {
		h.reached.hedges++
		if twins[0].at.After(h.now.Add(-h.cfg.EndgameHedgeAfter)) {
			h.fail("a hedge %v after the first ask", h.now.Sub(twins[0].at))
		}
		if twins[0].act.(FetchChunk).From == a.From {
			h.fail("a hedge at the same peer")
		}
	}
}

// mayCrossWAN: only the lease holder, only what no neighbour has.
func (h *hostile) mayCrossWAN(a FetchOrigin) {
	h.reached.origins++
	l, p := h.c.byMap[a.Payload], h.c.byID[a.From]
	if h.leaving(a.From) {
		return
	}
	switch {
	case l == nil || a.Index < 0 || a.Index >= l.chunks:
		h.fail("fetches chunk %d across the WAN, which is none of an approved payload", a.Index)
		return
	case !h.c.self.Egress:
		h.fail("uses the WAN without egress")
	case !h.leased[a.Payload]:
		h.fail("uses the WAN without the lease")
	case h.wall[a.From][0] && p != nil && p.site != h.self.Site:
		h.reached.adjacent++
	case p == nil || !p.seed || p.site == h.self.Site:
		h.fail("asks %s across the WAN, which is no seed there", a.From)
	}
	for _, q := range h.c.peers {
		if q.site == h.self.Site && !h.c.shunned(q.id) && !q.mute && !h.mute[q.id] && holds(q, a.Payload, a.Index) {
			h.fail("chunk %d crosses the WAN although %s has it", a.Index, q.id)
		}
	}
	if twins, origins := h.chunkAsks(a.Payload, a.Index); len(twins)+origins > 0 {
		h.fail("chunk %d crosses the WAN although it is being fetched", a.Index)
	}
}

// mayChange: the plan of this moment says so, the intent is saved, the bytes are whole, and nothing else is
// being changed.
func (h *hostile) mayChange(at int, descriptor content.ID, verb policy.Verb) {
	update := h.update(descriptor)
	intent := false
	for _, act := range h.acts[:at] {
		if s, ok := act.(Save); ok {
			for _, k := range s.Snapshot.Tasks {
				intent = intent || (k.Update == update && k.State == policy.StateInstalling)
			}
		}
	}
	if !intent {
		h.fail("%s of %s without a saved intent", verb, update)
	}
	approved := false
	plan := policy.MakePlan(h.c.news.manifest, h.c.describe, h.c.self.Machine, h.c.stale(), h.now)
	for _, v := range plan.Verdicts {
		approved = approved || (v.Descriptor == descriptor && v.Verb == verb)
	}
	if !approved {
		h.fail("%s of %s, which the plan does not say: %+v", verb, update, plan.Verdicts)
	}
	if verb == policy.VerbInstall && !h.losing() {
		if l := h.c.byMap[h.c.describe(descriptor).Payload]; l == nil || !l.ready {
			h.fail("installs %s without its whole payload", update)
		}
	}
	for _, o := range h.open {
		switch o.act.(type) {
		case Install, Remove:
			h.fail("%s of %s while another change is under way", verb, update)
		}
	}
}

func (h *hostile) update(descriptor content.ID) policy.UpdateID {
	for i, id := range h.ids {
		if id == descriptor {
			return h.descs[i].Update
		}
	}
	h.fail("an unknown descriptor")
	return ""
}

// mayServe: only to members of the site (a seed: to all), only what is here and approved.
func (h *hostile) mayServe(a Serve) {
	h.reached.serves++
	ask := h.asks[a.Ref]
	l := h.c.byMap[a.Payload]
	switch {
	case hostileSites[ask.From] == h.self.Site || h.self.Seed:
	case h.wall[ask.From][1]:
		h.reached.taken++
	default:
		h.fail("serves %s of another site", ask.From)
	}
	if ask.Payload != a.Payload || ask.Index != a.Index {
		h.fail("serves something that was not asked for")
	}
	if l == nil || !l.have.Has(a.Index) {
		h.fail("serves chunk %d, which is not here or not approved", a.Index)
	}
}

// books compares every counter of the core with what it counts.
func (h *hostile) books() {
	c := h.c
	var bytes int64
	perPeer := map[PeerID]int{}
	for _, r := range c.open {
		switch r.kind {
		case reqChunk:
			bytes += r.bytes
			perPeer[r.peer]++
		case reqAdjacent:
			perPeer[r.peer]++
		}
	}
	if bytes != c.askBytes || bytes > max(h.cfg.MaxAskBytes, hostileChunk) {
		h.fail("%d bytes are asked for, the core counts %d, the bound is %d", bytes, c.askBytes, h.cfg.MaxAskBytes)
	}
	for _, p := range c.peers {
		most := h.cfg.PerPeerAsks
		if p.adjacent {
			most = int(h.cfg.WANMaxBytes / hostileChunk)
		}
		if p.asks != perPeer[p.id] || p.asks > most {
			h.fail("%d asks are open at %s, the core counts %d, the bound is %d", perPeer[p.id], p.id, p.asks, most)
		}
		if len(p.have)+len(p.far) > h.cfg.MaxPayloads {
			h.fail("%d have-lists of %s are kept", len(p.have)+len(p.far), p.id)
		}
		kept := 0
		for _, h := range p.have {
			r := h.said
			kept += r.bits.Len()
		}
		for _, r := range p.far {
			kept += r.bits.Len()
		}
		if kept != p.haveChunks || kept > h.cfg.MaxHaveChunks {
			h.fail("have-lists of %d chunks of %s are kept, the core counts %d, the bound is %d", kept, p.id, p.haveChunks, h.cfg.MaxHaveChunks)
		}
	}
	for _, l := range c.payloads {
		h.payloadBooks(l)
	}
	if len(c.slots.busy)-c.slots.busyFar > h.cfg.ServeSlots || c.slots.busyFar > h.cfg.ServeSlots && !h.self.Seed || len(c.slots.queue) > h.cfg.ServeQueue {
		h.fail("%d slots, %d in the queue", len(c.slots.busy), len(c.slots.queue))
	}
	if len(c.reports.outbox) > h.cfg.MaxOutbox {
		h.fail("%d reports in the outbox", len(c.reports.outbox))
	}
}

func (h *hostile) payloadBooks(l *payload) {
	c := h.c
	out := make([]uint8, l.chunks)
	var asks int
	var bytes int64
	for _, r := range c.open {
		if r.payload != l || (r.kind != reqChunk && r.kind != reqOrigin && r.kind != reqAdjacent) {
			continue
		}
		out[r.index]++
		if r.kind == reqOrigin {
			asks++
			bytes += r.bytes
		}
		if r.kind == reqAdjacent {
			asks++
		}
	}
	inFlight := 0
	sole := map[*peer]int{}
	for i := range l.chunks {
		var lone *peer
		var avail uint16
		for _, p := range c.peers {
			if p.site == h.self.Site && !p.mute && holds(p, l.id, i) {
				avail++
				lone = p
			}
		}
		if avail == 1 && !l.have.Has(i) {
			sole[lone]++
		}
		if avail != l.each[i].avail {
			h.fail("%d neighbours have chunk %d of %d, the core counts %d", avail, i, l.chunks, l.each[i].avail)
			return
		}
		if out[i] != l.each[i].fetching || out[i] > 2 {
			h.fail("chunk %d is asked for %d times, the core counts %d", i, out[i], l.each[i].fetching)
			return
		}
		if out[i] > 0 {
			inFlight++
		}
		free := out[i] == 0 && !l.have.Has(i)
		for _, m := range []struct {
			words []uint64
			want  bool
		}{{l.marks.held, free && avail > 0}, {l.marks.lone, free && avail == 1}, {l.marks.none, free && avail == 0}} {
			if got := nextMark(m.words, i) == i; got != m.want {
				h.fail("chunk %d of %d neighbours, asked for %d times: a mark says %v", i, avail, out[i], got)
				return
			}
		}
	}
	for _, p := range c.peers {
		if p.of(l) != p.have.of(l.id) {
			h.fail("what %s said is kept twice, and differs", p.id)
		}
		if r := p.have.of(l.id); r != nil && p.site == h.self.Site && r.sole != sole[p] {
			h.fail("%s alone has %d chunks, the core counts %d", p.id, sole[p], r.sole)
		}
	}
	if inFlight != l.inFlight {
		h.fail("%d chunks are under way, the core counts %d", inFlight, l.inFlight)
	}
	if asks != l.lease.asks || bytes != l.lease.askBytes || bytes > h.cfg.WANMaxBytes {
		h.fail("%d asks of %d bytes cross the WAN, the core counts %d of %d", asks, bytes, l.lease.asks, l.lease.askBytes)
	}
	if l.haveBytes < 0 || l.haveBytes > l.bytes+hostileChunk {
		h.fail("%d bytes of %d are here", l.haveBytes, l.bytes)
	}
}
