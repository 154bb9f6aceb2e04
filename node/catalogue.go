package node

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/policy"
)

var _ api.Cataloguer = (*Node)(nil)

// known is one revision of an update with its description.
type known struct {
	id   content.ID
	desc *policy.Descriptor
	at   time.Time
}

// Catalogue implements api.Cataloguer.
func (n *Node) Catalogue(_ context.Context, q api.CatalogueQuery) (*api.Catalogue, error) {
	all, err := n.catalogue(q.Update)
	if err != nil {
		return nil, err
	}
	m := n.believer.current().Manifest()
	if m == nil {
		m = &policy.Manifest{}
	}
	by := replacedBy(all)
	out := &api.Catalogue{Epoch: m.Epoch, Updates: []api.CatalogueEntry{}}
	for _, u := range slices.Sorted(maps.Keys(all)) {
		if q.Update != "" && string(u) != q.Update {
			continue
		}
		k := all[u][len(all[u])-1]
		if q.Revision != 0 {
			i := slices.IndexFunc(all[u], func(k known) bool { return k.desc.Revision == q.Revision })
			if i < 0 {
				return nil, api.Errorf(api.ClassNotFound, "no revision %d of %s is known here", q.Revision, u).WithHint("the newest is %d", k.desc.Revision)
			}
			k = all[u][i]
		}
		e := entryOf(k, all[u], by[u], m)
		if q.Update != "" {
			e.Descriptor, e.DescriptorID, e.Properties = k.desc, k.id.String(), cleanProperties(k.desc)
		}
		out.Updates = append(out.Updates, e)
	}
	if q.Update != "" && len(out.Updates) == 0 {
		return nil, api.Errorf(api.ClassNotFound, "no update %q is known here", api.Clean(q.Update)).WithHint("'patchmesh catalogue list' shows what is")
	}
	return out, nil
}

// catalogue is what is known here, by update with the newest revision last; older revisions are read of one alone.
func (n *Node) catalogue(full string) (map[policy.UpdateID][]known, error) {
	all := map[policy.UpdateID][]known{}
	add := func(id content.ID, b []byte, at time.Time) {
		if d, err := policy.DecodeDescriptor(b); err == nil && content.Sum(b) == id {
			all[d.Update] = append(all[d.Update], known{id, d, at})
		}
	}
	if n.seed != nil {
		rows, err := n.db.Updates()
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			for v := 1; r.Update == full && v < r.Revision; v++ {
				if old, err := n.db.UpdateRevision(r.Update, v); err == nil {
					add(old.Descriptor, old.Body, old.At)
				}
			}
			add(r.Descriptor, r.Body, r.At)
		}
		return all, nil
	}
	if m := n.believer.current().Manifest(); m != nil {
		seen := map[content.ID]bool{}
		for _, a := range m.Approvals {
			if b, err := n.docs.document(a.Descriptor); err == nil && !seen[a.Descriptor] {
				seen[a.Descriptor] = true
				add(a.Descriptor, b, time.Time{})
			}
		}
	}
	for _, k := range all {
		slices.SortFunc(k, func(a, b known) int { return cmp.Compare(a.desc.Revision, b.desc.Revision) })
	}
	return all, nil
}

// replacedBy names for each update those whose newest revision replaces it.
func replacedBy(all map[policy.UpdateID][]known) map[policy.UpdateID][]string {
	by := map[policy.UpdateID][]string{}
	for _, u := range slices.Sorted(maps.Keys(all)) {
		for _, old := range all[u][len(all[u])-1].desc.Supersedes {
			by[old] = append(by[old], string(u))
		}
	}
	return by
}

func entryOf(k known, all []known, by []string, m *policy.Manifest) api.CatalogueEntry {
	d := k.desc
	e := api.CatalogueEntry{
		Update: string(d.Update), Revision: d.Revision, Title: api.Clean(d.Title), Severity: d.Severity, Classification: api.Clean(d.Classification), CVEs: d.CVEs,
		References: d.References, Restart: d.Restart, SizeBytes: d.PlainBytes, At: k.at, Withdrawn: d.Withdrawn, SupersededBy: by, Approvals: []api.CatalogueApprove{},
	}
	for _, r := range all {
		e.Revisions = append(e.Revisions, r.desc.Revision)
	}
	switch {
	case len(by) > 0 && len(d.Supersedes) > 0:
		e.Chain = api.ChainBetween
	case len(by) > 0:
		e.Chain = api.ChainSuperseded
	case len(d.Supersedes) > 0:
		e.Chain = api.ChainNewest
	default:
		e.Chain = api.ChainAlone
	}
	for _, a := range m.Approvals {
		if a.Update == d.Update {
			e.Approvals = append(e.Approvals, api.CatalogueApprove{Action: string(a.Action), Group: a.Group, Revision: a.Revision, Role: a.Role()})
		}
	}
	return e
}

// cleanProperties are what a descriptor says, fit for a terminal whoever wrote it.
func cleanProperties(d *policy.Descriptor) []policy.Property {
	out := d.Properties()
	for i := range out {
		out[i].Value = api.Clean(out[i].Value)
	}
	return out
}

// described is what a draft is shown with: the descriptor that an approval names by its hash, and how it differs from
// what the approval says.
func described(c *api.DraftChange, a *policy.Approval, b []byte) {
	d, err := policy.DecodeDescriptor(b)
	switch {
	case len(b) == 0 || content.Sum(b) != a.Descriptor || err != nil:
		c.Warning = "the description of this update is not at hand: what it installs cannot be shown"
		return
	case d.Update != a.Update || d.Revision != a.Revision:
		c.Warning = "the approval names the description of another update: " + api.Clean(string(d.Update)) + "; do not sign it"
	}
	c.Title, c.Descriptor, c.Properties = api.Clean(d.Title), d, cleanProperties(d)
}
