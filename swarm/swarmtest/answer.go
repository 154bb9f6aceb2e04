package swarmtest

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
	"patchmesh/swarm"
)

// note books an action as the driver would and gives the events that answer it at once.
func (s *story) note(act swarm.Action) []swarm.Event {
	switch a := act.(type) {
	case swarm.Save:
		s.keep(a.Snapshot)
	case swarm.AskManifest:
		s.opened(request{req: a.Req, kind: "manifest", from: a.From})
	case swarm.AskDescriptor:
		return s.askedDescriptor(a)
	case swarm.OpenPayload:
		return s.answer(request{req: a.Req, kind: "open", of: s.byPayload(a.Payload)})
	case swarm.Assemble:
		return s.answer(request{req: a.Req, kind: "assemble", of: s.byPayload(a.Payload)})
	case swarm.Detect:
		return s.answer(request{req: a.Req, kind: "detect", of: s.byDescriptor(a.Descriptor)})
	case swarm.Install:
		return s.answer(request{req: a.Req, kind: "install", of: s.byDescriptor(a.Descriptor)})
	case swarm.Remove:
		return s.answer(request{req: a.Req, kind: "remove", of: s.byDescriptor(a.Descriptor)})
	case swarm.FetchChunk:
		s.opened(request{req: a.Req, kind: "chunk", from: a.From, of: s.byPayload(a.Payload), index: a.Index})
	case swarm.FetchOrigin:
		s.opened(request{req: a.Req, kind: "chunk", from: a.From, of: s.byPayload(a.Payload), index: a.Index})
	case swarm.CancelFetch:
		if r, ok := s.byReq(a.Req); ok && !slices.Contains(s.script.manual, "cancel") {
			s.closed(r)
			return []swarm.Event{swarm.Failed{Req: a.Req, Class: swarm.Retry, Reason: "cancelled-user"}}
		}
	case swarm.Evict:
		u := s.byPayload(a.Payload)
		u.onDisk, u.published = content.NewBits(u.info.Chunks), false
		return []swarm.Event{swarm.PayloadDropped{Payload: a.Payload}}
	case swarm.Report:
		s.seqs[s.self.Peer] = a.Seq
		if !slices.Contains(s.script.manual, "report") {
			return []swarm.Event{swarm.ReportQueued{Machine: s.self.Peer, Seq: a.Seq}}
		}
	case swarm.Forward:
		s.seqs[a.Machine] = a.Seq
	case swarm.RefuseUpload:
		s.refs[a.Ref-1].ended = true
	}
	return nil
}

func (s *story) opened(r request) { s.open = append(s.open, r) }

func (s *story) closed(r request) {
	s.open = slices.DeleteFunc(s.open, func(o request) bool { return o.req == r.req })
}

func (s *story) byReq(id swarm.Req) (request, bool) {
	i := slices.IndexFunc(s.open, func(r request) bool { return r.req == id })
	if i < 0 {
		return request{}, false
	}
	return s.open[i], true
}

// answer ends a request well at once, unless the script wants to do that itself.
func (s *story) answer(r request) []swarm.Event {
	if slices.Contains(s.script.manual, r.kind) {
		s.opened(r)
		return nil
	}
	return []swarm.Event{s.result(r)}
}

func (s *story) askedDescriptor(a swarm.AskDescriptor) []swarm.Event {
	r := request{req: a.Req, kind: "describe", from: a.From, of: s.byDescriptor(a.ID)}
	if r.of.away && a.From == "" && !slices.Contains(s.script.manual, "describe") {
		return []swarm.Event{swarm.Failed{Req: a.Req, Class: swarm.Absent}}
	}
	if r.of.away {
		s.opened(r)
		return nil
	}
	return s.answer(r)
}

// result is the event that ends a request well.
func (s *story) result(r request) swarm.Event {
	switch r.kind {
	case "describe":
		info := r.of.info
		if info.Published = r.of.published; r.of.onDisk.Count() > 0 {
			info.Have = r.of.onDisk.Clone()
		}
		return swarm.DescriptorArrived{Req: r.req, ID: r.of.id, Descriptor: r.of.descriptor, Payload: info}
	case "open":
		return swarm.PayloadOpened{Req: r.req, Payload: r.of.info.ID, Have: r.of.onDisk.Clone()}
	case "assemble":
		r.of.published = true
		return swarm.Assembled{Req: r.req}
	case "detect":
		return swarm.Detected{Req: r.req, Present: r.of.present}
	case "install", "remove":
		r.of.present = r.kind == "install"
		return swarm.Installed{Req: r.req}
	case "manifest":
		return swarm.ManifestArrived{Req: r.req, Version: s.version, Root: s.root, Manifest: s.manifest, ExpiresAt: s.expires}
	}
	panic("a request of kind " + r.kind)
}

// approve adds one approval or hold to a manifest.
func (s *story) approve(m *policy.Manifest, name, action string) {
	u := s.update(name)
	if kind, length, _ := strings.Cut(action, ":"); kind == "hold" {
		h := policy.Hold{ID: "h-" + name, Update: policy.UpdateID(name), Kind: "pause", Reason: "breaks printers"}
		if d, err := time.ParseDuration(length); err == nil {
			h.ExpiresAt = s.now.Add(d)
		}
		m.Holds = append(m.Holds, h)
		return
	}
	action, group, _ := strings.Cut(action, "@")
	if group = cmp.Or(group, policy.GroupAll); group != policy.GroupAll && !slices.ContainsFunc(m.Groups, func(g policy.Group) bool { return g.Name == group }) {
		m.Groups = append(m.Groups, policy.Group{Name: group})
	}
	m.Approvals = append(m.Approvals, policy.Approval{
		Update: u.descriptor.Update, Revision: u.descriptor.Revision, Descriptor: u.id, Group: group, Action: policy.Action(action),
	})
	hurry(&m.Approvals[len(m.Approvals)-1], s.now)
}

// bits reads availability as it is drawn: 1 is there, . is not.
func bits(text string) *content.Bits {
	b := content.NewBits(len(text))
	for i, r := range text {
		if r == '1' {
			b.Set(i)
		}
	}
	return b
}

// draw is the opposite of bits.
func draw(b *content.Bits) string {
	text := make([]byte, b.Len())
	for i := range text {
		text[i] = '.'
		if b.Has(i) {
			text[i] = '1'
		}
	}
	return string(text)
}
