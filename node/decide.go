package node

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"patchmesh/node/api"
	"patchmesh/node/keys"
	"patchmesh/node/state"
	"patchmesh/policy"
)

// Drafts: one of the main approvers and one of each delegated role may be pending at a time.

// sheet is what one set of approvers has decided, for editing: the main manifest, or a role's.
type sheet struct {
	role      string
	groups    []policy.Group // of the main manifest; a role cannot change them
	approvals []policy.Approval
	holds     []policy.Hold
	windows   []policy.Window // of the main manifest
	ringPlans []policy.RingPlan
	settings  []policy.Setting
	rules     []policy.ApprovalRule
	baselines []policy.Baseline

	orchestrations []policy.Orchestration
	exceptions     []policy.HoldException
}

// wish is one change as it was asked for.
type wish struct {
	role, summary, reason string
	passphrase            api.Secret
	grants                []policy.Grant
	drop                  []string
	unattended            bool   // nobody is there to be asked for a passphrase: then the draft waits
	proposed              string // of approval rules: what they propose, see fingerprint; it is never signed here
}

func holdPrefix(role string) string {
	if role == "" {
		return ""
	}
	return role + "."
}

// change applies one change to the pending draft, or to what is in force if there is none, signs it
// with the keys at hand and publishes it once the threshold is met.
func (s *seed) change(w wish, edit func(*sheet) error) (*api.Published, error) {
	if len(w.reason) > 500 {
		return nil, api.Errorf(api.ClassUsage, "the reason is longer than 500 bytes")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.whole(); err != nil {
		return nil, err
	}
	t := s.believer.current()
	root, by, err := s.judge(t)
	if err != nil {
		return nil, err
	}
	pending, err := s.pending(by, w.role)
	if err != nil {
		return nil, err
	}
	if pending, err = s.apart(w, pending); err != nil {
		return nil, err
	}
	if w.unattended && (root != nil || pending != nil && !s.askedFor(by, pending)) {
		// What others have put into the draft must not be signed without anybody reading it.
		return nil, waitsAlready(pending, edit)
	}
	d, err := s.redraft(by, pending, w, edit)
	if err != nil {
		return nil, err
	}
	if err := s.noteReason(w, pending == nil); err != nil {
		return nil, err
	}
	p, err := s.submit(t, by, d, w)
	if err != nil {
		return nil, err
	}
	p.Summary, p.Listed = w.summary, newlyListed(t.Manifest(), d)
	return p, nil
}

// submit signs and publishes a draft, or leaves it to wait where a key wants a passphrase and nobody is
// there to be asked.
func (s *seed) submit(t, by *policy.Trust, d *policy.Draft, w wish) (*api.Published, error) {
	if w.proposed == "" && (!w.unattended || !s.askedFor(t, d)) {
		return s.signAndPublish(t, d, w.passphrase)
	}
	if err := s.noteRuled(w, d); err != nil {
		return nil, err
	}
	if err := d.Check(t); err != nil {
		return nil, fmt.Errorf("draft: %w", err)
	}
	b, err := d.Encode()
	if err != nil {
		return nil, err
	}
	made, need, missing := d.Status(t)
	return &api.Published{Epoch: d.Epoch(), Role: d.Role(), Signatures: made, Threshold: need, Missing: missing, Machines: s.addressed(by, d)}, s.saveDraft(d.Role(), b)
}

// redraft makes the draft with the change in it.
func (s *seed) redraft(t *policy.Trust, pending *policy.Draft, w wish, edit func(*sheet) error) (*policy.Draft, error) {
	if w.role != "" {
		return s.redraftRole(t, pending, w.role, edit)
	}
	b := t.Files().Manifest
	if pending != nil {
		b = pending.Manifest()
	}
	m, err := policy.DecodeManifest(b)
	if err != nil {
		return nil, err
	}
	sh := sheet{groups: m.Groups, approvals: m.Approvals, holds: m.Holds, windows: m.Windows, ringPlans: m.RingPlans, settings: m.Settings,
		rules: m.ApprovalRules, baselines: m.Baselines, orchestrations: m.Orchestrations, exceptions: m.HoldExceptions}
	if err := edit(&sh); err != nil {
		return nil, err
	}
	m.Groups, m.Approvals, m.Holds = sh.groups, sh.approvals, sh.holds
	m.Windows, m.RingPlans, m.Settings = sh.windows, sh.ringPlans, sh.settings
	m.HoldExceptions = sh.exceptions
	m.ApprovalRules, m.Baselines, m.Orchestrations = sh.rules, sh.baselines, sh.orchestrations
	if err := s.listNew(t, m, w); err != nil {
		return nil, err
	}
	m.Epoch, m.IssuedAt = t.Epoch()+1, s.stamp()
	var d *policy.Draft
	if pending != nil {
		d, err = pending.Amend(t, m, w.grants, w.drop, s.now())
	} else {
		d, err = t.DraftGrants(m, w.grants, w.drop, s.now())
	}
	if err != nil {
		return nil, fmt.Errorf("draft: %w", err)
	}
	return d, nil
}

func (s *seed) redraftRole(t *policy.Trust, pending *policy.Draft, role string, edit func(*sheet) error) (*policy.Draft, error) {
	m, err := t.RoleManifest(role)
	if errors.Is(err, policy.ErrUnknownKey) {
		var names []string
		for _, r := range t.Roles() {
			names = append(names, r.Role)
		}
		return nil, api.Errorf(api.ClassNotFound, "no role %q", api.Clean(role)).WithHint("roles that may approve: %v; 'patchmesh role grant' makes one", names)
	}
	if err != nil {
		return nil, err
	}
	if pending != nil {
		if m, err = policy.DecodeRoleManifest(pending.Manifest()); err != nil {
			return nil, err
		}
	}
	sh := sheet{role: role, groups: t.Manifest().Groups, approvals: m.Approvals, holds: m.Holds, exceptions: m.HoldExceptions}
	if err := edit(&sh); err != nil {
		return nil, err
	}
	m.Approvals, m.Holds, m.HoldExceptions, m.IssuedAt = sh.approvals, sh.holds, sh.exceptions, s.stamp()
	d, err := policy.NewRoleDraft(t, m, s.now())
	if errors.Is(err, policy.ErrLimit) {
		return nil, api.Errorf(api.ClassRefused, "%v", err).WithHint("'patchmesh trust show' lists what each role may decide; the main approvers change it with 'patchmesh role grant'")
	}
	return d, err
}

// pending is the draft that waits for signatures; nil without one, or if the world has moved on. t is
// what signatures count by, see judge; a root that came since may have given the roster to another key.
func (s *seed) pending(t *policy.Trust, role string) (*policy.Draft, error) {
	b, err := s.draftBytes(role)
	if err != nil || len(b) == 0 {
		return nil, err
	}
	d, err := policy.DecodeDraft(b)
	if err != nil {
		return nil, fmt.Errorf("pending draft: %w", err)
	}
	if d.Follows(t) != nil {
		return nil, nil
	}
	return d, nil
}

func (s *seed) draftBytes(role string) ([]byte, error) {
	if role == "" {
		return s.db.Draft()
	}
	b, err := s.db.Value("draft." + role)
	if errors.Is(err, state.ErrNotFound) {
		return nil, nil
	}
	return b, err
}

func (s *seed) saveDraft(role string, b []byte) error {
	switch {
	case role == "":
		return s.db.SaveDraft(b)
	case len(b) == 0:
		return s.db.DropValue("draft." + role)
	}
	return s.db.PutValue("draft."+role, b)
}

// noteReason keeps why the pending draft exists, for the approval log.
func (s *seed) noteReason(w wish, begin bool) error {
	text := api.Clean(w.reason)
	if text == "" {
		text = w.summary
	}
	if was, err := s.db.Value("draft-reason." + w.role); err == nil && !begin && len(was) > 0 {
		text = string(was) + "; " + text
	}
	return s.db.PutValue("draft-reason."+w.role, []byte(text[:min(len(text), 480)]))
}

func (s *seed) reason(role string) string {
	b, err := s.db.Value("draft-reason." + role)
	if err != nil {
		return ""
	}
	return api.Clean(string(b))
}

func (s *seed) signAndPublish(t *policy.Trust, d *policy.Draft, passphrase api.Secret) (*api.Published, error) {
	if err := s.whole(); err != nil {
		return nil, err
	}
	root, by, err := s.judge(t)
	if err != nil {
		return nil, err
	}
	if err := d.Check(by); err != nil { // before any signature exists
		return nil, fmt.Errorf("draft: %w", err)
	}
	if err := s.signWithKeysHere(by, d, passphrase); err != nil {
		return nil, err
	}
	made, need, missing := d.Status(by)
	p := &api.Published{Epoch: d.Epoch(), Role: d.Role(), Signatures: made, Threshold: need, Missing: missing,
		Machines: s.addressed(by, d)} // against what is trusted before it is published
	if made < need {
		b, err := d.Encode()
		if err != nil {
			return nil, err
		}
		return p, s.saveDraft(d.Role(), b)
	}
	if d.Role() != "" {
		root = nil
	}
	if err := s.publishUnder(root, t, d, nil, s.reason(d.Role())); err != nil {
		return nil, err
	}
	if root != nil {
		if err := s.db.DropValue(pendingRootKey); err != nil {
			return nil, err
		}
	}
	p.Published, p.Missing = true, nil
	return p, s.saveDraft(d.Role(), nil)
}

// signWithKeysHere signs with the approver keys of this data folder that count for the draft, up to
// the threshold. A wrong passphrase is a refusal; keys that are elsewhere are simply missing.
func (s *seed) signWithKeysHere(t *policy.Trust, d *policy.Draft, passphrase api.Secret) error {
	kd := filepath.Join(s.dir, "keys")
	roles, err := keys.Roles(kd)
	if err != nil {
		return err
	}
	for _, r := range roles {
		made, need, missing := d.Status(t)
		named, err := policy.NamePublic(r.Public)
		if err != nil || made >= need || !slices.Contains(missing, named.KeyID()) {
			continue
		}
		signer, err := openSigner(kd, r.Name, passphrase)
		if err != nil {
			return err
		}
		if err := d.Sign(signer); err != nil {
			return fmt.Errorf("sign with %s: %w", r.Name, err)
		}
	}
	return nil
}

// openSigner opens a key that can approve.
func openSigner(dir, name string, passphrase api.Secret) (policy.Signer, error) {
	k, err := keys.OpenRole(dir, name, passphrase.Reveal())
	switch {
	case errors.Is(err, keys.ErrNeedsPassphrase):
		return policy.Signer{}, api.Errorf(api.ClassRefused, "approver key %s needs its passphrase", name).
			WithHint("give it with --passphrase-file FILE, or run the command on a terminal to be asked")
	case errors.Is(err, keys.ErrPassphrase):
		return policy.Signer{}, api.Errorf(api.ClassRefused, "wrong passphrase for approver key %s", name)
	case errors.Is(err, keys.ErrNotFound):
		return policy.Signer{}, api.Errorf(api.ClassNotFound, "no key %s in %s", name, dir)
	case err != nil:
		return policy.Signer{}, err
	}
	return policy.NewSigner(k)
}

// sign adds the signatures of the keys at hand to a pending draft.
func (s *seed) sign(r api.SignRequest) (*api.Published, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.believer.current()
	_, by, err := s.judge(t)
	if err != nil {
		return nil, err
	}
	d, err := s.waiting(by, r.Role)
	if err != nil {
		return nil, err
	}
	digest, err := d.Digest()
	if err != nil {
		return nil, err
	}
	if r.Digest != "" && r.Digest != digest.String() {
		return nil, api.Errorf(api.ClassRefused, "the draft has changed since it was shown").WithHint("look at it again: 'patchmesh sign'")
	}
	p, err := s.signAndPublish(t, d, r.Passphrase)
	if err == nil {
		p.Summary = fmt.Sprintf("sign the draft of %s", draftName(d))
	}
	return p, err
}

// waiting is the pending draft of a role; ClassNotFound without one, ClassRefused for one that the
// mesh has overtaken.
func (s *seed) waiting(t *policy.Trust, role string) (*policy.Draft, error) {
	b, err := s.draftBytes(role)
	if err != nil || len(b) == 0 {
		return nil, api.Errorf(api.ClassNotFound, "no draft is waiting for signatures")
	}
	d, err := policy.DecodeDraft(b)
	if err != nil {
		return nil, fmt.Errorf("pending draft: %w", err)
	}
	if err := d.Check(t); err != nil {
		return nil, api.Errorf(api.ClassRefused, "the draft of %s does not follow what is in force: %v", draftName(d), err).
			WithHint("make the change again; the mesh is at epoch %d", t.Epoch())
	}
	return d, nil
}

func draftName(d *policy.Draft) string {
	if d.Role() != "" {
		return fmt.Sprintf("role %s, serial %d", d.Role(), d.Epoch())
	}
	return fmt.Sprintf("epoch %d", d.Epoch())
}

// grant gives a role to keys within limits, or takes it away.
func (s *seed) grant(r api.GrantRequest) (*api.Published, error) {
	if !policy.ValidRole(r.Role) {
		return nil, api.Errorf(api.ClassUsage, "%q is no valid name for a role", api.Clean(r.Role)).
			WithHint("lower case letters, digits, dash and underscore; not the name of a TUF role")
	}
	w := wish{passphrase: r.Passphrase, reason: r.Reason, summary: "take role " + r.Role + " away", drop: []string{r.Role}}
	if !r.Drop {
		g := policy.Grant{Delegation: policy.Delegation{Role: r.Role, Groups: r.Groups, Actions: r.Actions}, Threshold: max(r.Threshold, 1)}
		for _, text := range r.Keys {
			k, err := namePEM(text)
			if err != nil {
				return nil, err
			}
			g.Keys = append(g.Keys, k)
		}
		if len(g.Keys) == 0 || len(r.Groups) == 0 || len(r.Actions) == 0 {
			return nil, api.Errorf(api.ClassUsage, "a role needs keys, groups and actions").WithHint("add --approver PUBFILE --group G --action install")
		}
		w.drop, w.grants = nil, []policy.Grant{g}
		w.summary = fmt.Sprintf("grant role %s to %d of %d keys", r.Role, g.Threshold, len(g.Keys))
	}
	return s.change(w, func(m *sheet) error {
		for _, g := range r.Groups {
			if err := s.needGroup(m, g); err != nil {
				return err
			}
		}
		return nil
	})
}

// namePEM reads a public key.
func namePEM(text string) (policy.Signer, error) {
	pub, err := keys.ParsePublic([]byte(text))
	if err != nil {
		return policy.Signer{}, api.Errorf(api.ClassUsage, "public key: %v", err).WithHint("'patchmesh key new' writes NAME.pub")
	}
	return policy.NamePublic(pub)
}
