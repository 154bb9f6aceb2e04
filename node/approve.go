package node

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/keys"
	"patchmesh/node/state"
	"patchmesh/policy"
)

// approve puts one approval into the draft, in place of the one for the same update and group.
func (s *seed) approve(r api.ApproveRequest) (*api.Published, error) {
	action, err := policy.ParseAction(first(r.Action, string(policy.ActionInstall)))
	if err != nil {
		return nil, api.Errorf(api.ClassUsage, "unknown action %q", r.Action).
			WithHint("install, remove, detect-only, decline, optional or stage-only")
	}
	row, err := s.update(r.Update)
	if err != nil {
		return nil, err
	}
	if !r.Deadline.IsZero() && r.Deadline.Before(r.NotBefore) {
		return nil, api.Errorf(api.ClassUsage, "the deadline lies before the available time")
	}
	a := policy.Approval{
		Update: policy.UpdateID(row.Update), Revision: row.Revision, Descriptor: row.Descriptor, DescriptorBytes: len(row.Body),
		Group: r.Group, Action: action, NotBefore: r.NotBefore.UTC(), Deadline: r.Deadline.UTC(), Expedite: r.Expedite, At: s.stamp(),
	}
	return s.change(r.Passphrase, fmt.Sprintf("%s %s for group %s", action, row.Update, r.Group), func(m *policy.Manifest) error {
		if err := s.needGroup(m, r.Group); err != nil {
			return err
		}
		m.Approvals = slices.DeleteFunc(m.Approvals, func(o policy.Approval) bool { return o.Update == a.Update && o.Group == a.Group })
		m.Approvals = append(m.Approvals, a)
		return nil
	})
}

// stamp is the time that goes into signed documents: whole seconds, UTC.
func (s *seed) stamp() time.Time { return s.now().UTC().Truncate(time.Second) }

func (s *seed) update(id string) (state.CatalogueRow, error) {
	row, err := s.db.Update(id)
	if errors.Is(err, state.ErrNotFound) {
		e := api.Errorf(api.ClassNotFound, "no update %q in the catalogue", api.Clean(id))
		if all, _ := s.db.Updates(); len(all) > 0 {
			return row, e.WithHint("the newest is %s; import the file first if it is missing", all[len(all)-1].Update)
		}
		return row, e.WithHint("the catalogue is empty: begin with 'patchmesh import FILE'")
	}
	return row, err
}

// needGroup makes sure that a group exists, and that the manifest lists it.
func (s *seed) needGroup(m *policy.Manifest, name string) error {
	if name == "all" || name == "unassigned" || slices.ContainsFunc(m.Groups, func(g policy.Group) bool { return g.Name == name }) {
		return nil
	}
	groups, err := s.db.Groups()
	if err != nil {
		return err
	}
	var names []string
	for _, g := range groups {
		if g.Name == name {
			m.Groups = append(m.Groups, policy.Group{Name: g.Name, Parent: g.Parent})
			return nil
		}
		names = append(names, g.Name)
	}
	return api.Errorf(api.ClassNotFound, "no group %q", api.Clean(name)).
		WithHint("known groups: %s; a group is made by 'patchmesh invite --group NAME'", strings.Join(append([]string{"all", "unassigned"}, names...), ", "))
}

// hold adds a signed stop.
func (s *seed) hold(r api.HoldRequest) (*api.Published, error) {
	if strings.TrimSpace(r.Reason) == "" {
		return nil, api.Errorf(api.ClassUsage, "a hold needs a reason").WithHint("add --reason \"why\": everybody who meets the hold will read it")
	}
	if len(r.Reason) > 500 {
		return nil, api.Errorf(api.ClassUsage, "the reason is longer than 500 bytes")
	}
	if r.Update != "all" {
		if _, err := s.update(r.Update); err != nil {
			return nil, err
		}
	}
	var b [6]byte
	if _, err := rand.Read(b[:]); err != nil {
		return nil, err
	}
	h := policy.Hold{
		ID: "h-" + hex.EncodeToString(b[:]), Update: policy.UpdateID(r.Update), Group: r.Group,
		Kind: "pause", Reason: api.Clean(r.Reason), At: s.stamp(),
	}
	p, err := s.change(r.Passphrase, fmt.Sprintf("hold %s: %s", r.Update, h.Reason), func(m *policy.Manifest) error {
		if r.Group != "" {
			if err := s.needGroup(m, r.Group); err != nil {
				return err
			}
		}
		m.Holds = append(m.Holds, h)
		return nil
	})
	if err == nil {
		p.Hold = h.ID
	}
	return p, err
}

// release ends a hold.
func (s *seed) release(r api.ReleaseRequest) (*api.Published, error) {
	p, err := s.change(r.Passphrase, "release "+r.Hold, func(m *policy.Manifest) error {
		var known []string
		n := len(m.Holds)
		for _, h := range m.Holds {
			known = append(known, h.ID)
		}
		m.Holds = slices.DeleteFunc(m.Holds, func(h policy.Hold) bool { return h.ID == r.Hold })
		if len(m.Holds) == n {
			e := api.Errorf(api.ClassNotFound, "no hold %q", api.Clean(r.Hold))
			if n > 0 {
				return e.WithHint("holds in force: %s", strings.Join(known, ", "))
			}
			return e.WithHint("no hold is in force")
		}
		return nil
	})
	if err == nil {
		p.Hold = r.Hold
	}
	return p, err
}

// change applies one change to the pending draft, or to the manifest in force if there is none,
// signs it with the keys at hand and publishes it once the threshold is met.
func (s *seed) change(passphrase api.Secret, summary string, edit func(*policy.Manifest) error) (*api.Published, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.believer.current()
	m, err := s.pendingManifest(t)
	if err != nil {
		return nil, err
	}
	if err := edit(m); err != nil {
		return nil, err
	}
	m.Epoch = t.Epoch() + 1
	m.IssuedAt = s.stamp()
	d, err := policy.NewDraft(t, m, s.now())
	if err != nil {
		return nil, fmt.Errorf("draft: %w", err)
	}
	p, err := s.signAndPublish(t, d, passphrase)
	if err != nil {
		return nil, err
	}
	p.Summary = summary
	p.Machines = s.addressed(m)
	return p, nil
}

// pendingManifest is a copy of the manifest that the next change starts from.
func (s *seed) pendingManifest(t *policy.Trust) (*policy.Manifest, error) {
	b := t.Files().Manifest
	if draft, err := s.db.Draft(); err == nil && len(draft) > 0 {
		d, err := policy.DecodeDraft(draft)
		if err != nil {
			return nil, fmt.Errorf("pending draft: %w", err)
		}
		if d.Epoch() == t.Epoch()+1 {
			b = d.Manifest()
		}
	}
	return policy.DecodeManifest(b)
}

func (s *seed) signAndPublish(t *policy.Trust, d *policy.Draft, passphrase api.Secret) (*api.Published, error) {
	if err := d.Check(t); err != nil { // before any signature exists
		return nil, fmt.Errorf("draft: %w", err)
	}
	if err := s.signWithKeysHere(t, d, passphrase); err != nil {
		return nil, err
	}
	made, need, missing := d.Status(t)
	p := &api.Published{Epoch: d.Epoch(), Signatures: made, Threshold: need, Missing: missing}
	if made < need {
		b, err := d.Encode()
		if err != nil {
			return nil, err
		}
		return p, s.db.SaveDraft(b)
	}
	if err := s.publish(t, d, nil); err != nil {
		return nil, err
	}
	p.Published, p.Missing = true, nil
	return p, s.db.SaveDraft(nil)
}

// signWithKeysHere signs with every approver key of this data folder, up to the threshold. A wrong
// passphrase is a refusal; keys that are elsewhere are simply missing.
func (s *seed) signWithKeysHere(t *policy.Trust, d *policy.Draft, passphrase api.Secret) error {
	kd := filepath.Join(s.dir, "keys")
	roles, err := keys.Roles(kd)
	if err != nil {
		return err
	}
	for _, r := range roles {
		made, need, _ := d.Status(t)
		if !strings.HasPrefix(r.Name, roleApprover) || made >= need {
			continue
		}
		k, err := keys.OpenRole(kd, r.Name, passphrase.Reveal())
		switch {
		case errors.Is(err, keys.ErrNeedsPassphrase):
			return api.Errorf(api.ClassRefused, "approver key %s needs its passphrase", r.Name).
				WithHint("give it with --passphrase-file FILE, or run the command on a terminal to be asked")
		case errors.Is(err, keys.ErrPassphrase):
			return api.Errorf(api.ClassRefused, "wrong passphrase for approver key %s", r.Name)
		case err != nil:
			return err
		}
		signer, err := policy.NewSigner(k)
		if err != nil {
			return err
		}
		if err := d.Sign(signer); err != nil {
			return fmt.Errorf("sign with %s: %w", r.Name, err)
		}
	}
	return nil
}

// sign adds the signatures of the keys at hand to the pending draft.
func (s *seed) sign(r api.SignRequest) (*api.Published, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.db.Draft()
	if err != nil || len(b) == 0 {
		return nil, api.Errorf(api.ClassNotFound, "no draft is waiting for signatures")
	}
	d, err := policy.DecodeDraft(b)
	if err != nil {
		return nil, fmt.Errorf("pending draft: %w", err)
	}
	t := s.believer.current()
	if d.Epoch() != t.Epoch()+1 {
		return nil, api.Errorf(api.ClassRefused, "the draft is for epoch %d, the mesh is at %d", d.Epoch(), t.Epoch())
	}
	p, err := s.signAndPublish(t, d, r.Passphrase)
	if err == nil {
		p.Summary = fmt.Sprintf("sign the draft of epoch %d", d.Epoch())
	}
	return p, err
}

// publish signs with the online keys, makes the result durable and spreads it. d nil: only the
// roster and freshness are renewed.
func (s *seed) publish(t *policy.Trust, d *policy.Draft, roster *policy.Roster) error {
	files, err := t.Publish(d, roster, s.online, s.now())
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	next, err := policy.OpenTrust(files, s.now())
	if err != nil {
		return fmt.Errorf("publish: own result does not verify: %w", err)
	}
	if err := s.believer.adopt(next, s.now()); err != nil {
		return err
	}
	s.docs.setTrusted(files)
	if s.published != nil {
		s.published(next)
	}
	return nil
}

// addressed counts the enrolled machines that approvals of the manifest are meant for.
func (s *seed) addressed(m *policy.Manifest) int {
	members, err := s.db.Members()
	if err != nil {
		return 0
	}
	n := 0
	for _, k := range members {
		if slices.ContainsFunc(m.Approvals, func(a policy.Approval) bool {
			return a.Group == "all" || slices.Contains(k.Groups, a.Group) || (a.Group == "unassigned" && len(k.Groups) == 0)
		}) {
			n++
		}
	}
	return n
}

// renew freshens the online signatures; roster nil keeps the one in force.
func (s *seed) renew(roster *policy.Roster) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.publish(s.believer.current(), nil, roster)
}

// moved puts the seed's present addresses into the roster.
func (s *seed) moved(id string, addrs []string) error {
	t := s.believer.current()
	r := *t.Roster()
	i := slices.IndexFunc(r.Seeds, func(e policy.SeedEntry) bool { return e.Peer == id })
	if i < 0 {
		return api.Errorf(api.ClassRefused, "the roster does not name this seed")
	}
	fresh := t.ExpiresAt().Sub(s.now()) > policy.DefaultLife().Timestamp/2
	if slices.Equal(r.Seeds[i].Addrs, addrs) && fresh {
		return nil
	}
	r.Seeds = slices.Clone(r.Seeds)
	r.Seeds[i].Addrs = addrs
	return s.renew(&r)
}
