package node

import (
	"cmp"
	"encoding/hex"
	"errors"
	"path"
	"slices"
	"strings"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/node/source"
	"patchmesh/policy"
)

// vendorOf holds what an import claims of its vendor's file against the payload itself. ClassRefused if the file is
// another one, or not there.
func (s *seed) vendorOf(r api.ImportRequest, m *content.PayloadMap) (*policy.Vendor, error) {
	c := r.Vendor
	if c == nil {
		return nil, nil
	}
	claimed := strings.ToLower(c.SHA256)
	if b, err := hex.DecodeString(claimed); err != nil || len(b) != 32 {
		return nil, api.Errorf(api.ClassUsage, "the vendor's hash %q is no sha256", api.Clean(c.SHA256)).WithHint("64 hexadecimal digits, as the vendor publishes them")
	}
	sum, size := m.SHA256, m.PlainBytes
	what := r.FileName
	if c.Member != "" {
		what = c.Member + " in " + r.FileName
		p, err := s.store.OpenPlain(m.ID())
		if err != nil {
			return nil, err
		}
		defer p.Close()
		sum, size, err = source.Member(r.FileName, p, m.PlainBytes, c.Member)
		switch {
		case errors.Is(err, source.ErrArchive):
			return nil, api.Errorf(api.ClassUsage, "%v", err).WithHint("a vendor's file is found in a .tar, .tar.gz or .tgz: 'patchmesh pack' makes one")
		case err != nil:
			return nil, api.Errorf(api.ClassRefused, "%v", err)
		}
	}
	if hex.EncodeToString(sum[:]) != claimed {
		return nil, api.Errorf(api.ClassRefused, "%s is not the vendor's file: its sha256 is %x, claimed is %s", api.Clean(what), sum, claimed).
			WithHint("take the vendor's file anew, and its hash from the vendor's own page")
	}
	name := first(c.FileName, r.FileName)
	if c.Member != "" {
		name = first(c.FileName, path.Base(c.Member))
	}
	return &policy.Vendor{FileName: name, SHA256: claimed, Bytes: size, Origin: c.Origin, Member: c.Member}, nil
}

// vendorIn is what the approved descriptor of an update says of its vendor, as this node knows it; nil if nothing.
func (n *Node) vendorIn(update string, revision int) *policy.Vendor {
	m := n.believer.current().Manifest()
	if m == nil {
		return nil
	}
	describe := n.describer()
	for _, a := range m.Approvals {
		if string(a.Update) != update || a.Revision != revision {
			continue
		}
		if d := describe(a.Descriptor); d != nil {
			return d.Vendor
		}
	}
	return nil
}

// vendors are those of all updates in some rows, each once, in their order.
func (n *Node) vendors(rows []api.Machine) (out []api.UpdateVendor) {
	type key struct {
		update   string
		revision int
	}
	looked := map[key]bool{}
	for _, m := range rows {
		for _, u := range m.Updates {
			k := key{u.Update, u.Revision}
			if looked[k] {
				continue
			}
			looked[k] = true
			if v := n.vendorIn(u.Update, u.Revision); v != nil {
				out = append(out, api.UpdateVendor{Update: u.Update, Revision: u.Revision, Vendor: *v})
			}
		}
	}
	slices.SortFunc(out, func(a, b api.UpdateVendor) int {
		return cmp.Or(strings.Compare(a.Update, b.Update), cmp.Compare(a.Revision, b.Revision))
	})
	return out
}
