package node

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"slices"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/node/state"
	"patchmesh/policy"
)

// This file is what a seed knows of a whole site from what came back: what is there, on whichever machine,
// and what a medium would fix.

// siteHave is the have-list of a site: what its machines have together, by the lists that they sent and by
// their reports. One of them that has a chunk gives it to all. The seed signs it as its own word.
func (c *carrier) siteHave(site string) ([]byte, error) {
	members, err := c.siteMembers(site)
	if err != nil {
		return nil, err
	}
	l := haveList{Machine: c.id, Site: site, At: c.now().UTC(), Payloads: []havePayload{}}
	all, known := map[content.ID]*content.Bits{}, false
	for _, k := range members {
		b, err := c.db.Value(haveKey(site, k.ID))
		if errors.Is(err, state.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		own, err := openHave(b)
		if err != nil || own.Machine != k.ID {
			continue
		}
		known = true
		l.Epoch = max(l.Epoch, own.Epoch)
		for _, p := range own.Payloads {
			if bits, err := content.BitsFromBytes(p.Chunks, p.Bits); err == nil {
				unite(all, p.ID, bits)
			}
		}
	}
	reported, err := c.reportedWhole(members, all)
	if err != nil {
		return nil, err
	}
	if !known && !reported {
		return nil, errNoHave(site)
	}
	for id, bits := range all {
		l.Payloads = append(l.Payloads, havePayload{ID: id, Chunks: bits.Len(), Bits: bits.Bytes()})
	}
	slices.SortFunc(l.Payloads, func(a, b havePayload) int { return a.ID.Compare(b.ID) })
	body, err := json.Marshal(l)
	if err != nil {
		return nil, err
	}
	return json.Marshal(signedReport{Body: body, Sig: ed25519.Sign(c.key, append([]byte(haveDomain), body...))})
}

func unite(all map[content.ID]*content.Bits, id content.ID, bits *content.Bits) {
	have := all[id]
	if have == nil || have.Len() != bits.Len() {
		all[id] = bits
		return
	}
	for i := range bits.Len() {
		if bits.Has(i) {
			have.Set(i)
		}
	}
}

// reportedWhole adds the payloads that a machine has told to have whole.
func (c *carrier) reportedWhole(members []state.MemberRow, all map[content.ID]*content.Bits) (any bool, err error) {
	payloads := map[string]*content.PayloadMap{}
	man := c.believer.current().Manifest()
	if man == nil {
		return false, nil
	}
	for _, a := range man.Approvals {
		d := c.descriptor(a.Descriptor)
		if d == nil {
			continue
		}
		if m, err := c.docs.payloadMap(d.Payload); err == nil {
			payloads[revisionKey(string(d.Update), d.Revision)] = m
		}
	}
	for _, k := range members {
		row, err := c.lastRow(k.ID)
		if err != nil {
			return any, err
		}
		if row == nil {
			continue
		}
		any = true
		for _, u := range row.Updates {
			if m := payloads[revisionKey(u.Update, u.Revision)]; m != nil && u.HaveBytes > 0 && u.HaveBytes == u.StoredBytes && u.StoredBytes == m.StoredBytes() {
				unite(all, m.ID(), content.FullBits(m.Len()))
			}
		}
	}
	return any, nil
}

func revisionKey(update string, revision int) string {
	b, _ := json.Marshal([]any{update, revision})
	return string(b)
}

// lastRow is what a machine reported last; nil if nothing came yet.
func (c *carrier) lastRow(id string) (*api.Machine, error) {
	b, err := c.db.ReportOf(id)
	if errors.Is(err, state.ErrNotFound) || err == nil && len(b) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	row := &api.Machine{}
	if json.Unmarshal(b, row) != nil {
		return nil, nil
	}
	return row, nil
}

// siteMembers are the machines of a site that count: neither locked out nor set up anew under another key.
func (c *carrier) siteMembers(site string) ([]state.MemberRow, error) {
	all, err := c.db.Members()
	if err != nil {
		return nil, err
	}
	roster := c.believer.current().Roster()
	return slices.DeleteFunc(all, func(k state.MemberRow) bool {
		return site != "" && k.Site != site || k.ReplacedBy != "" || roster.IsRevoked(k.ID)
	}), nil
}

func errNoHave(site string) error {
	return api.Errorf(api.ClassNotFound, "site %s has not sent back what it has", api.Clean(site)).
		WithHint("run 'patchmesh bundle export DIR' there and 'patchmesh bundle import DIR' here, or leave --have away")
}

// waiting counts the machines of a query that have not told that an update is installed.
func (c *carrier) waiting(q api.CargoQuery, m *policy.Manifest) (map[string]int, error) {
	out := map[string]int{}
	if c.seed == nil {
		return out, nil
	}
	members, err := c.siteMembers(q.Site)
	if err != nil {
		return nil, err
	}
	for _, k := range members {
		if q.Group != "" && !m.InGroup(k.Groups, q.Group) {
			continue
		}
		row, err := c.lastRow(k.ID)
		if err != nil {
			return nil, err
		}
		done := map[string]bool{}
		if row != nil {
			for _, u := range row.Updates {
				done[u.Update] = u.State == "installed"
			}
		}
		for _, i := range m.Cargo([][]string{k.Groups}, true, c.now()) {
			if u := string(m.Approvals[i].Update); !done[u] {
				out[u]++
			}
		}
	}
	return out, nil
}
