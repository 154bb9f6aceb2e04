package node

import (
	"context"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/node/receipt"
)

// Ledger implements api.Auditor.
func (n *Node) Ledger(_ context.Context, q api.LedgerQuery) (*api.Ledger, error) {
	r := n.receipts
	if r == nil { // beside a stopped seed
		r = newReceipts(n.db, n.key, n.id, n.docs, n.cfg.Now, n.seed != nil)
		r.judge = n.judgeSigner
	}
	f := receipt.Facts{Machine: r.face, Update: n.updateOfPayload, Sizes: r.sizes, Site: q.Site}
	if err := n.knownSite(q.Site); err != nil {
		return nil, err
	}
	names := map[content.ID]string{}
	f.Update = func(id content.ID) string {
		if _, known := names[id]; !known {
			names[id] = n.updateOfPayload(id)
		}
		return names[id]
	}
	type met struct {
		m  receipt.Machine
		ok bool
	}
	faces := map[string]met{}
	f.Machine = func(id string) (receipt.Machine, bool) {
		k, known := faces[id]
		if !known {
			k.m, k.ok = r.face(id)
			faces[id] = k
		}
		return k.m, k.ok
	}
	return receipt.Sum(r.all, f)
}

// knownSite refuses a site of which nobody has heard here.
func (n *Node) knownSite(site string) error {
	if site == "" || site == n.member.Site {
		return nil
	}
	if n.seed == nil {
		return api.Errorf(api.ClassNotFound, "this machine knows only the receipts of its own site %s", n.member.Site).
			WithHint("ask a seed for other sites")
	}
	members, err := n.db.Members()
	if err != nil {
		return err
	}
	for _, m := range members {
		if m.Site == site {
			return nil
		}
	}
	return api.Errorf(api.ClassNotFound, "no machine of site %s is enrolled", api.Clean(site)).WithHint("'patchmesh status' lists the machines with their sites")
}

var _ api.Auditor = (*Node)(nil)
