package node

import (
	"fmt"
	"slices"
	"sync"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/policy"
)

// What is in the catalogue and was not decided about for all joins the next draft of the main approvers as "not approved",
// see policy.Manifest.List: whoever signs sees it among the changes. Nothing is signed for it alone, and nothing that
// nobody reads before it is signed has it in it.

// decoded are descriptors of the catalogue that were read already: every change of the draft looks at all of them.
type decoded struct {
	mu   sync.Mutex
	byID map[content.ID]*policy.Descriptor // never changed
}

// wholeCatalogue lists the newest revision of every update, newest last, without when it first came.
func (s *seed) wholeCatalogue() ([]policy.Candidate, error) {
	all, err := s.db.Updates()
	if err != nil {
		return nil, err
	}
	out := make([]policy.Candidate, 0, len(all))
	s.decoded.mu.Lock()
	defer s.decoded.mu.Unlock()
	if s.decoded.byID == nil || len(s.decoded.byID) > 2*len(all)+1000 { // revisions that were overtaken
		s.decoded.byID = map[content.ID]*policy.Descriptor{}
	}
	for _, r := range all {
		d := s.decoded.byID[r.Descriptor]
		if d == nil {
			if d, err = policy.DecodeDescriptor(r.Body); err != nil {
				return nil, fmt.Errorf("catalogue: %s: %w", r.Update, err)
			}
			s.decoded.byID[r.Descriptor] = d
		}
		out = append(out, policy.Candidate{ID: r.Descriptor, Bytes: len(r.Body), Descriptor: d, RevisionAt: r.At})
	}
	return out, nil
}

// saidByRoles tells of an update whether a delegated role has decided about it for all machines.
func saidByRoles(t *policy.Trust) func(policy.UpdateID) bool {
	said := map[policy.UpdateID]bool{}
	for _, r := range t.Roles() {
		if r.Document == nil || r.Refused != nil {
			continue
		}
		for _, a := range r.Document.Approvals {
			said[a.Update] = said[a.Update] || a.Group == policy.GroupAll
		}
	}
	return func(u policy.UpdateID) bool { return said[u] }
}

// listNew brings the list in a draft of the main approvers up to date.
func (s *seed) listNew(t *policy.Trust, m *policy.Manifest, w wish) error {
	if w.unattended || w.proposed != "" {
		return nil
	}
	catalogue, err := s.wholeCatalogue()
	if err != nil {
		return err
	}
	m.Approvals = m.List(catalogue, saidByRoles(t), s.now()).Approvals
	return nil
}

// newlyListed names what a draft lists that was not listed before.
func newlyListed(was *policy.Manifest, d *policy.Draft) []string {
	is, err := policy.DecodeManifest(d.Manifest())
	if err != nil || d.Role() != "" || was == nil {
		return nil
	}
	type revision struct {
		update policy.UpdateID
		number int
	}
	before := map[revision]bool{}
	for _, o := range was.Approvals {
		if o.Listed() {
			before[revision{o.Update, o.Revision}] = true
		}
	}
	var out []string
	for _, a := range is.Approvals {
		if a.Listed() && !before[revision{a.Update, a.Revision}] {
			out = append(out, string(a.Update))
		}
	}
	return out
}

// listing says what becomes of an update that was imported, if nobody decides about it. A fresh revision is the newest
// of all, so that the catalogue is not looked through for each of many imports.
func (s *seed) listing(d *policy.Descriptor, fresh bool) (string, error) {
	u, t := d.Update, s.believer.current()
	if t.Manifest() == nil {
		return "", nil
	}
	var m policy.Manifest
	if own, err := policy.DecodeManifest(t.Files().Manifest); err == nil {
		m = *own
	}
	decided, some := false, false // for all, and for some: then the rest is told only where it begins to look
	for _, a := range t.Manifest().Approvals {
		if a.Update == u && !a.Listed() {
			decided, some = decided || a.Group == policy.GroupAll, true
		}
	}
	switch {
	case decided, some && (!m.ListsNew() || !d.ListsItself()):
		return "", nil
	case !m.ListsNew():
		return api.ListingOff, nil
	case !d.ListsItself():
		return api.ListingNot, nil
	case fresh && !some:
		return api.ListingNext, nil
	}
	catalogue, err := s.wholeCatalogue()
	if err != nil {
		return "", err
	}
	l := m.List(catalogue, saidByRoles(t), s.now())
	switch {
	case slices.Contains(l.Added, u):
		return api.ListingNext, nil
	case slices.ContainsFunc(l.Approvals, func(a policy.Approval) bool { return a.Update == u }):
		return "", nil // it is listed already, or too many are beside what is approved
	}
	return api.ListingNot, nil
}
