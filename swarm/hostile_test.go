package swarm

import (
	"slices"
	"strings"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
)

// turn plays one event.
func (h *hostile) turn() {
	switch h.upTo(32) {
	case 0:
		h.peerUp()
	case 1:
		if h.byte()%3 == 0 {
			h.step(PeerDown{Peer: h.peer()})
		}
	case 2:
		h.step(PeerSynced{Peer: h.peer()})
	case 3:
		e := PeerChanged{Peer: h.peer(), Egress: h.byte()%2 == 0}
		h.step(e)
		if !e.Egress {
			h.step(RoleHeard{Peer: e.Peer, Cache: true})
		}
	case 4:
		if h.byte()%4 == 0 {
			h.step(LinkFailed{})
		}
	case 5:
		if h.byte()%4 == 0 {
			h.step(EgressChanged{Egress: h.byte()%3 > 0})
		}
	case 6:
		h.step(Heard{From: h.peer(), Version: h.version + int64(h.upTo(4)) - 1})
	case 7:
		if h.byte()%2 == 0 {
			h.publish()
		}
	case 8:
		i := h.upTo(len(h.ids))
		h.step(DescriptorArrived{ID: h.ids[i], Descriptor: h.descs[i], Payload: h.infos[i]})
	case 9, 10, 11:
		h.step(HaveArrived{From: h.peer(), Payload: h.payload(), Want: h.byte()%2 == 0, Bits: h.bits()})
	case 12, 13:
		h.step(GainedArrived{From: h.peer(), Payload: h.payload(), Indexes: []int{h.index(), h.index(), h.index()}})
	case 14:
		h.step(LostArrived{From: h.peer(), Payload: h.payload()})
	case 15:
		h.claimEvent()
	case 16, 17:
		h.refs++
		h.asks[h.refs] = UploadAsked{From: h.peer(), Ref: h.refs, Payload: h.payload(), Index: h.index()}
		h.step(h.asks[h.refs])
	case 18:
		h.step(UploadEnded{Ref: h.refs - uint64(h.upTo(6)), Bytes: hostileChunk})
	case 19:
		h.again()
	case 20:
		h.report()
	case 21:
		if h.byte()%8 == 0 {
			h.reached.restarts++
			h.start()
		}
	case 22, 23:
		h.end(false)
	case 24:
		h.storeEvent()
	case 25:
		h.nextDoor()
	default:
		h.end(true)
	}
}

func (h *hostile) peer() PeerID { return hostilePeers[h.upTo(len(hostilePeers))] }

// payload is mostly one that exists.
func (h *hostile) payload() content.ID {
	if i := h.upTo(len(h.infos) + 1); i < len(h.infos) {
		return h.infos[i].ID
	}
	return content.Sum([]byte{h.byte()})
}

// index is mostly a chunk, and sometimes what nobody should send.
func (h *hostile) index() int {
	if b := h.byte(); b >= 250 {
		return []int{-1, -1 << 62, 1 << 40, 20, 1<<63 - 1, 5}[b-250]
	}
	return h.upTo(20)
}

// bits is a list of a fitting or another length.
func (h *hostile) bits() *content.Bits {
	n := []int{1, 5, 5, 20, 20, 20, 0, 21, 1000}[h.upTo(9)]
	if h.byte()%3 == 0 {
		return content.FullBits(n)
	}
	b, step := content.NewBits(n), 1+h.upTo(7)
	for i := h.upTo(5); i < n; i += step {
		b.Set(i)
	}
	return b
}

// nextDoor is what happens between sites.
func (h *hostile) nextDoor() {
	switch b := h.byte(); b % 16 {
	case 0, 1, 2:
		h.step(AdjacentAllowed{Allowed: b&16 > 0})
	case 3, 4:
		h.step(AdjacentFailed{})
	case 5:
		h.step(PeerGated{Peer: "next", Serve: []policy.Reason{"", policy.ReasonHostBusy}[b>>7]})
	default:
		h.wall["next"] = [2]bool{b&16 > 0, b&32 > 0}
		h.step(PeerUp{Peer: "next", Site: "next", Gives: b&16 > 0, Takes: b&32 > 0})
		h.step(HaveArrived{From: "next", Payload: h.payload(), Want: b&64 > 0, Bits: h.bits()})
		h.step(PeerSynced{Peer: "next"})
	}
}

func (h *hostile) peerUp() {
	p := h.peer()
	if h.byte()%2 == 0 {
		p = []PeerID{"a", "b", "d", "seed"}[h.upTo(4)]
	}
	b := h.byte()
	h.wall[p] = [2]bool{}
	h.step(PeerUp{
		Peer: p, Site: hostileSites[p], Seed: p == "seed", Egress: b&1 > 0, SameSubnet: b&2 > 0,
		HeadVersion: h.version - int64(b>>6),
	})
}

// publish approves and holds at random, mostly with a newer version.
func (h *hostile) publish() {
	m := &policy.Manifest{Org: "o", Epoch: uint64(h.version)}
	actions := []policy.Action{policy.ActionInstall, policy.ActionInstall, policy.ActionInstall, policy.ActionRemove, policy.ActionStageOnly, policy.ActionOptional, policy.ActionDecline, ""}
	for i, d := range h.descs {
		b := h.byte()
		if a := actions[b&7]; a != "" {
			m.Approvals = append(m.Approvals, policy.Approval{Update: d.Update, Revision: 1, Descriptor: h.ids[i], Group: policy.GroupAll, Action: a})
			if b&0x30 == 0x30 {
				m.Approvals[len(m.Approvals)-1].NotBefore = h.now.Add(time.Minute)
			}
		}
		if b&0xc0 == 0xc0 {
			hold := policy.Hold{ID: "h" + string(d.Update), Update: d.Update, Kind: "pause"}
			if b&8 > 0 {
				hold.ExpiresAt = h.now.Add(time.Minute)
			}
			m.Holds = append(m.Holds, hold)
		}
	}
	ev := ManifestArrived{Version: h.version + 1, Manifest: m, ExpiresAt: h.now.Add(time.Duration(1+h.upTo(72)) * time.Hour)}
	if h.byte()%8 == 0 {
		ev.Version = h.version // an old one must change nothing
	} else {
		h.version++
		h.manifest = m
	}
	h.step(ev)
}

func (h *hostile) report() {
	m, seq := h.peer(), uint64(h.upTo(4))
	if h.byte()%2 == 0 {
		m, seq = h.self.Peer, h.c.reports.seq
	}
	if h.byte()%2 == 0 {
		h.step(ReportQueued{Machine: m, Seq: seq})
	} else {
		h.step(ReportAcked{Machine: m, Seq: seq})
	}
}

// again ends a request for a second time.
func (h *hostile) again() {
	if len(h.closed) == 0 {
		return
	}
	o := h.closed[h.upTo(len(h.closed))]
	if h.byte()%2 == 0 {
		h.step(Failed{Req: o.req, Class: Class(h.upTo(4)), Reason: policy.ReasonNetTimeout})
	} else {
		h.step(h.result(o))
	}
}

// end ends one of the open requests, well or not.
func (h *hostile) end(well bool) {
	if len(h.open) == 0 {
		return
	}
	i := h.upTo(min(len(h.open), 4))
	o := h.open[i]
	h.open = slices.Delete(h.open, i, i+1)
	if h.closed = append(h.closed, o); len(h.closed) > 8 {
		h.closed = h.closed[1:]
	}
	if well {
		h.step(h.result(o))
		return
	}
	reasons := []policy.Reason{policy.ReasonNetTimeout, policy.ReasonTrustBadChunk, policy.ReasonDiskShort, policy.ReasonDiskError, "cancelled-user"}
	h.step(Failed{Req: o.req, Class: Class(h.upTo(4)), Reason: reasons[h.upTo(len(reasons))]})
}

// result is how the driver would end a request well.
func (h *hostile) result(o asked) Event {
	switch a := o.act.(type) {
	case AskManifest:
		return ManifestArrived{Req: o.req, Version: h.version, Manifest: h.manifest, ExpiresAt: h.now.Add(48 * time.Hour)}
	case AskDescriptor:
		i := slices.Index(h.ids, a.ID)
		info := h.infos[i]
		info.Published = h.published[info.ID]
		if info.Published {
			info.Have = content.FullBits(info.Chunks)
		}
		return DescriptorArrived{Req: o.req, ID: a.ID, Descriptor: h.descs[i], Payload: info}
	case OpenPayload:
		i := slices.IndexFunc(h.infos, func(x PayloadInfo) bool { return x.ID == a.Payload })
		have := content.NewBits(h.infos[i].Chunks)
		if h.byte()%2 == 0 {
			have.Set(0)
		}
		return PayloadOpened{Req: o.req, Payload: a.Payload, Have: have}
	case FetchChunk, FetchOrigin:
		return ChunkStored{Req: o.req, Bytes: hostileChunk, Fresh: true}
	case Assemble:
		h.published[a.Payload] = true
		return Assembled{Req: o.req}
	case Detect:
		return Detected{Req: o.req, Present: h.byte()%4 == 0, Version: strings.Repeat("1", h.upTo(3))}
	}
	return Installed{Req: o.req}
}
