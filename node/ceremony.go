package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/node/keys"
	"patchmesh/node/state"
	"patchmesh/policy"
)

// pendingRootKey keeps a root that is signed by enough root keys and waits for its new approvers to
// sign what is approved once more.
const pendingRootKey = "pending-root"

// judge gives the root that is about to come, if one waits, and the trust by which signatures of the
// main approvers count: the one in force, or as it will be under that root.
func (s *seed) judge(t *policy.Trust) ([]byte, *policy.Trust, error) {
	b, err := s.db.Value(pendingRootKey)
	if errors.Is(err, state.ErrNotFound) || (err == nil && len(b) == 0) {
		return nil, t, nil
	}
	if err != nil {
		return nil, nil, err
	}
	if st, err := t.RootStatus(b); err != nil || !st.Complete { // the world has moved on
		return nil, t, s.db.DropValue(pendingRootKey)
	}
	by, err := t.WithRoot(b)
	return b, by, err
}

// Draft implements api.Service.
func (n *Node) Draft(_ context.Context, q api.DraftQuery) (*api.DraftView, error) {
	return onSeed(n.seed, func(s *seed) (*api.DraftView, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		t := s.believer.current()
		next, by, err := s.judge(t)
		if err != nil {
			return nil, err
		}
		d, err := s.waiting(by, q.Role)
		if err != nil {
			return nil, err
		}
		v, err := viewDraft(by, d, s.describing)
		if err != nil {
			return nil, err
		}
		v.Reason = s.reason(q.Role)
		return v, underRoot(v, t, next)
	})
}

func (s *seed) title(id content.ID) string {
	d, err := policy.DecodeDescriptor(s.describing(id))
	if err != nil {
		return ""
	}
	return d.Title
}

// describing is the document of a descriptor; nil if it is not here.
func (s *seed) describing(id content.ID) []byte {
	b, err := s.db.Doc(id)
	if err != nil {
		return nil
	}
	return b
}

// viewDraft says exactly what a signature under the draft says.
func viewDraft(t *policy.Trust, d *policy.Draft, describe func(content.ID) []byte) (*api.DraftView, error) {
	changes, err := d.Changes(t)
	if err != nil {
		return nil, err
	}
	digest, err := d.Digest()
	if err != nil {
		return nil, err
	}
	v := &api.DraftView{
		Digest: digest.String(), Org: t.Org(), Role: d.Role(), Epoch: d.Epoch(), Manifest: d.ManifestID().String(), ExpiresAt: d.ExpiresAt(), Changes: []api.DraftChange{},
	}
	v.Signatures, v.Threshold, v.Missing = d.Status(t)
	for _, c := range changes {
		detail, err := json.Marshal(c)
		if err != nil {
			return nil, err
		}
		dc := api.DraftChange{Op: c.Op(), Text: c.Text(), Detail: detail}
		if c.Approval != nil {
			described(&dc, c.Approval, describe(c.Approval.Descriptor))
		}
		v.Changes = append(v.Changes, dc)
	}
	return v, nil
}

// underRoot adds the root that a main draft will be published under, if one waits.
func underRoot(v *api.DraftView, t *policy.Trust, next []byte) error {
	if next == nil || v.Role != "" {
		return nil
	}
	st, err := t.RootStatus(next)
	if err == nil {
		v.NextRoot = viewRoot(nil, st)
	}
	return err
}

// ExportDrafts implements api.Service.
func (n *Node) ExportDrafts(context.Context) (*api.DraftFiles, error) {
	return onSeed(n.seed, func(s *seed) (*api.DraftFiles, error) { return s.exportDrafts() })
}

func (s *seed) exportDrafts() (*api.DraftFiles, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.believer.current()
	var roots [][]byte
	for v := int64(1); v <= t.RootVersion(); v++ {
		b, err := s.db.Value(rootKey(v))
		if err != nil {
			return nil, fmt.Errorf("root %d: %w", v, err)
		}
		roots = append(roots, b)
	}
	next, by, err := s.judge(t)
	if err != nil {
		return nil, err
	}
	out := &api.DraftFiles{Files: []api.DraftFile{}}
	names := []string{""}
	for _, r := range t.Roles() {
		names = append(names, r.Role)
	}
	for _, role := range names {
		d, err := s.pending(by, role)
		if err != nil {
			return nil, err
		}
		if d == nil || d.Check(by) != nil {
			continue
		}
		b, err := policy.NewParcel(t, d, roots, s.descriptorsOf(t, d), next)
		if err != nil {
			return nil, err
		}
		name := "main"
		if role != "" {
			name = role
		}
		out.Files = append(out.Files, api.DraftFile{Name: fmt.Sprintf("patchmesh-draft-%s-%d.json", name, d.Epoch()), Body: b})
	}
	if len(out.Files) == 0 {
		return nil, api.Errorf(api.ClassNotFound, "no draft is waiting for signatures")
	}
	return out, nil
}

// descriptorsOf are the descriptors of what the draft approves anew, for their titles.
func (s *seed) descriptorsOf(t *policy.Trust, d *policy.Draft) [][]byte {
	out := [][]byte{}
	changes, err := d.Changes(t)
	if err != nil {
		return out
	}
	for _, c := range changes {
		if c.Approval == nil || len(out) >= 1000 {
			continue
		}
		if b, err := s.db.Doc(c.Approval.Descriptor); err == nil {
			out = append(out, b)
		}
	}
	return out
}

// ImportDraft implements api.Service.
func (n *Node) ImportDraft(_ context.Context, f api.DraftFile) (*api.Published, error) {
	return onSeed(n.seed, func(s *seed) (*api.Published, error) { return s.importDraft(f) })
}

func (s *seed) importDraft(f api.DraftFile) (*api.Published, error) {
	p, err := policy.DecodeParcel(f.Body)
	if err != nil {
		return nil, api.Errorf(api.ClassRefused, "%s: %v", api.Clean(f.Name), err)
	}
	back, err := policy.DecodeDraft(p.Draft)
	if err != nil {
		return nil, api.Errorf(api.ClassRefused, "%s: %v", api.Clean(f.Name), err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.believer.current()
	_, by, err := s.judge(t)
	if err != nil {
		return nil, err
	}
	d, err := s.waiting(by, back.Role())
	if err != nil {
		return nil, err
	}
	added, err := d.TakeSignatures(by, back)
	if err != nil {
		return nil, api.Errorf(api.ClassRefused, "%s is not the draft that is waiting here: %v", api.Clean(f.Name), err).
			WithHint("it was changed since it was exported; export it again")
	}
	pub, err := s.signAndPublish(t, d, f.Passphrase)
	if err == nil {
		pub.Summary = fmt.Sprintf("%d signature(s) for the draft of %s", added, draftName(d))
	}
	return pub, err
}

// Grant implements api.Service.
func (n *Node) Grant(_ context.Context, r api.GrantRequest) (*api.Published, error) {
	return onSeed(n.seed, func(s *seed) (*api.Published, error) { return s.grant(r) })
}

// keysHere are the names of the private keys of a data folder by key id.
func keysHere(dir string) map[string]string {
	here := map[string]string{}
	all, err := keys.Roles(filepath.Join(dir, "keys"))
	if err != nil {
		return here
	}
	for _, k := range all {
		if s, err := policy.NamePublic(k.Public); err == nil {
			here[s.KeyID()] = k.Name
		}
	}
	return here
}

// trustWarnings are what somebody should know or do: a single approver, keys together in one place,
// signatures that end soon or have ended.
func trustWarnings(v *api.TrustState, now time.Time) []string {
	out := []string{}
	for _, r := range v.Roles {
		approves := r.Delegated || r.Name == "approvals"
		if approves && r.Threshold == 1 {
			out = append(out, fmt.Sprintf("%s: one key alone can approve (1 of %d); a thief of it controls every machine that it may decide for", r.Name, len(r.Keys)))
		}
		if (approves || r.Name == "root") && r.Threshold > 0 && len(r.Here) >= r.Threshold {
			out = append(out, fmt.Sprintf("%s: this machine holds enough keys to sign alone (%v)", r.Name, r.Here))
		}
		if r.Refused != "" {
			out = append(out, fmt.Sprintf("%s: its document does not count: %s", r.Name, r.Refused))
		}
		out = append(out, expiryWarning(r, now)...)
	}
	if v.Stale {
		out = append(out, "the approvals were not renewed in time: nothing new is installed")
	}
	return out
}

// expiryWarning: online roles renew themselves, so only people's signatures need a warning ahead: a
// quarter of their life.
func expiryWarning(r api.TrustRole, now time.Time) []string {
	life := policy.DefaultLife()
	ahead := map[string]time.Duration{"root": life.Root / 4, "approvals": life.Targets / 4}[r.Name]
	if r.Delegated {
		ahead = life.Role / 4
	}
	switch left := r.ExpiresAt.Sub(now); {
	case r.ExpiresAt.IsZero():
		return nil
	case left <= 0:
		return []string{fmt.Sprintf("%s: expired on %s", r.Name, r.ExpiresAt.Format(time.DateOnly))}
	case left < ahead:
		return []string{fmt.Sprintf("%s: expires on %s: it must be signed again by then", r.Name, r.ExpiresAt.Format(time.DateOnly))}
	}
	return nil
}

// RootDraft implements api.Service.
func (n *Node) RootDraft(_ context.Context, r api.RootRequest) (*api.RootView, error) {
	return onSeed(n.seed, func(s *seed) (*api.RootView, error) {
		t := s.believer.current()
		c := policy.RootChange{DropApprovers: r.DropApprovers, DropRoots: r.DropRoots, Threshold: r.Threshold, RootThreshold: r.RootThreshold}
		for _, list := range []struct {
			texts []string
			into  *[]policy.Signer
		}{{r.AddApprovers, &c.AddApprovers}, {r.AddRoots, &c.AddRoots}} {
			for _, text := range list.texts {
				k, err := namePEM(text)
				if err != nil {
					return nil, err
				}
				*list.into = append(*list.into, k)
			}
		}
		for _, one := range []struct {
			text string
			into **policy.Signer
		}{{r.Timestamp, &c.Timestamp}, {r.Snapshot, &c.Snapshot}, {r.Roster, &c.Roster}} {
			if one.text == "" {
				continue
			}
			k, err := namePEM(one.text)
			if err != nil {
				return nil, err
			}
			*one.into = &k
		}
		b, err := t.RootDraft(c, s.now())
		if err != nil {
			return nil, api.Errorf(api.ClassUsage, "the new root would not hold: %v", err).WithHint("'patchmesh trust show' lists the keys of every role")
		}
		st, err := t.RootStatus(b)
		if err != nil {
			return nil, err
		}
		return viewRoot(b, st), nil
	})
}

func viewRoot(b []byte, st *policy.RootStatus) *api.RootView {
	return &api.RootView{
		Body: b, Org: st.Org, Version: st.Version, ExpiresAt: st.ExpiresAt, Root: st.Root, RootNeed: st.RootThreshold, Approvers: st.Approvers, Roster: st.Roster,
		Threshold: st.Threshold, OldMade: st.OldMade, OldNeed: st.OldNeed, NewMade: st.NewMade, Missing: nonNil(st.Missing), Complete: st.Complete,
	}
}

// AdoptRoot implements api.Service.
func (n *Node) AdoptRoot(_ context.Context, f api.RootFile) (*api.RootView, error) {
	return onSeed(n.seed, func(s *seed) (*api.RootView, error) { return s.adoptRoot(f) })
}

// adoptRoot publishes a root. Where it changes approvers so that what is approved is no longer signed
// by enough of them, or gives the roster to another key, it waits until they have signed the same again.
func (s *seed) adoptRoot(f api.RootFile) (*api.RootView, error) {
	if err := s.whole(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	t := s.believer.current()
	st, err := t.RootStatus(f.Body)
	if err != nil {
		s.mu.Unlock()
		return nil, api.Errorf(api.ClassRefused, "the root does not follow the one in force: %v", err)
	}
	v := viewRoot(nil, st)
	switch {
	case !st.Complete:
		s.mu.Unlock()
		return nil, api.Errorf(api.ClassRefused, "root %d has %d of %d signatures of the old root keys and %d of %d of the new", st.Version, st.OldMade, st.OldNeed, st.NewMade, st.NewNeed).
			WithHint("sign it with 'patchmesh root sign FILE --key KEY'; missing: %v", st.Missing)
	case st.Approved:
		err := s.publishUnder(f.Body, t, nil, nil, f.Reason)
		s.mu.Unlock()
		v.Published = err == nil
		return v, err
	}
	err = s.db.PutValue(pendingRootKey, f.Body)
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	p, err := s.change(wish{passphrase: f.Passphrase, summary: fmt.Sprintf("root %d: the same approvals, signed by its approvers", st.Version), reason: f.Reason},
		func(*sheet) error { return nil })
	if err != nil {
		return nil, err
	}
	v.Published = p.Published
	if !p.Published {
		v.Waits = fmt.Sprintf("%d of %d signatures of its approvers under the draft of epoch %d", p.Signatures, p.Threshold, p.Epoch)
		v.Missing = slices.Clone(p.Missing)
	}
	return v, nil
}
