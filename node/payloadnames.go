package node

import (
	"sync"

	"patchmesh/content"
	"patchmesh/policy"
)

// payloadNames finds the update of a payload and back, as approvals and the catalogue name them.
type payloadNames struct {
	mu       sync.Mutex
	manifest *policy.Manifest // what the list was made from
	missing  int              // descriptions that were not at hand then
	byID     map[content.ID]string
}

// updateOfPayload is the update that brings a payload; empty if no approval and no catalogue knows it.
func (n *Node) updateOfPayload(id content.ID) string {
	p := &n.names
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byID == nil {
		p.byID = map[content.ID]string{}
	}
	m := n.believer.current().Manifest()
	if u := p.byID[id]; u != "" {
		return u
	}
	if m != nil && (m != p.manifest || p.missing > 0) {
		p.manifest, p.missing = m, 0
		for _, a := range m.Approvals {
			if d, err := n.descriptor(a.Descriptor); err == nil {
				p.byID[d.Payload] = string(a.Update)
			} else {
				p.missing++
			}
		}
	}
	if n.seed != nil && p.byID[id] == "" {
		if all, err := n.db.Updates(); err == nil {
			for _, r := range all {
				if d, err := policy.DecodeDescriptor(r.Body); err == nil {
					p.byID[d.Payload] = r.Update
				}
			}
		}
	}
	return p.byID[id]
}

// payloadsOf lists the payloads of an update that are known here, each once: of approvals, of the
// catalogue, and what was pinned or is still in the store under that name.
func (n *Node) payloadsOf(update string) []content.ID {
	var out []content.ID
	seen := map[content.ID]bool{}
	add := func(id content.ID) {
		if !seen[id] {
			seen[id] = true
			out = append(out, id)
		}
	}
	if m := n.believer.current().Manifest(); m != nil {
		for _, a := range m.Approvals {
			if string(a.Update) == update {
				if d, err := n.descriptor(a.Descriptor); err == nil {
					add(d.Payload)
				}
			}
		}
	}
	if n.seed != nil {
		if r, err := n.db.Update(update); err == nil {
			if d, err := policy.DecodeDescriptor(r.Body); err == nil {
				add(d.Payload)
			}
		}
	}
	infos, err := n.store.List()
	if err != nil {
		return out
	}
	for _, i := range infos {
		if m, err := n.store.Map(i.ID); err == nil && n.ledger.updateOf(m) == update {
			add(i.ID)
		}
	}
	return out
}
