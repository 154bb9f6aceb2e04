package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Grant gives a role to keys, within limits. Granted and MinSerial of the limits are filled in by
// DraftGrants.
type Grant struct {
	Delegation
	Keys      []Signer // public halves will do, see NamePublic
	Threshold int
}

// DraftGrants prepares the next manifest together with a change of who else may approve: grants are
// added or replaced, the roles in drop taken away. Roles that neither names stay as t has them. The
// manifest's own list of delegations is set here.
func (t *Trust) DraftGrants(m *Manifest, grants []Grant, drop []string, now time.Time) (*Draft, error) {
	if t.main == nil {
		return nil, fmt.Errorf("draft before the first manifest: %w", ErrFormat)
	}
	g := granting{t: t, d: cloneDelegations(t.delegations()), limits: slices.Clone(t.main.Delegations)}
	g.followRoster()
	return g.draft(m, grants, drop, now)
}

// Amend is DraftGrants on top of a pending draft of the main approvers: its changes of delegations
// stay. Signatures do not: they were for something else.
func (d *Draft) Amend(t *Trust, m *Manifest, grants []Grant, drop []string, now time.Time) (*Draft, error) {
	prev, err := DecodeManifest(d.manifest)
	if err != nil {
		return nil, err
	}
	if err := d.Follows(t); err != nil {
		return nil, err
	}
	g := granting{t: t, d: cloneDelegations(d.targets.Signed.Delegations), limits: prev.Delegations}
	g.followRoster()
	return g.draft(m, grants, drop, now)
}

func (g granting) draft(m *Manifest, grants []Grant, drop []string, now time.Time) (*Draft, error) {
	g.epoch = m.Epoch
	for _, name := range drop {
		n := len(g.limits)
		g.limits = slices.DeleteFunc(g.limits, func(l Delegation) bool { return l.Role == name })
		if len(g.limits) == n {
			return nil, fmt.Errorf("no role %.70q: %w", name, ErrUnknownKey)
		}
		g.d.Roles = slices.DeleteFunc(g.d.Roles, func(r metadata.DelegatedRole) bool { return r.Name == name })
	}
	for _, grant := range grants {
		if err := g.add(grant); err != nil {
			return nil, err
		}
	}
	m.Delegations = g.finish()
	d, err := newDraft(m, g.d, expiry(now, DefaultLife().Targets))
	if err != nil {
		return nil, err
	}
	return d, d.Check(g.t)
}

// granting is one change of delegations under way.
type granting struct {
	t      *Trust
	epoch  uint64
	d      *metadata.Delegations
	limits []Delegation
}

func cloneDelegations(d *metadata.Delegations) *metadata.Delegations {
	return &metadata.Delegations{Keys: maps.Clone(d.Keys), Roles: slices.Clone(d.Roles)}
}

func (g *granting) add(grant Grant) error {
	if !ValidRole(grant.Role) {
		return fmt.Errorf("role %.70q: %w", grant.Role, ErrFormat)
	}
	role := metadata.DelegatedRole{Name: grant.Role, KeyIDs: []string{}, Threshold: grant.Threshold, Terminating: true, Paths: []string{RolePath(grant.Role)}}
	for _, k := range grant.Keys {
		if k.key == nil {
			return fmt.Errorf("role %s has an empty key: %w", grant.Role, ErrFormat)
		}
		g.d.Keys[k.id] = k.key
		role.KeyIDs = append(role.KeyIDs, k.id)
	}
	slices.Sort(role.KeyIDs)
	g.d.Roles = append(slices.DeleteFunc(g.d.Roles, func(r metadata.DelegatedRole) bool { return r.Name == grant.Role }), role)
	l := grant.Delegation
	l.Groups, l.Actions = sortedOnce(l.Groups), sortedOnce(l.Actions)
	// Other limits for the same keys leave their document in force, to be judged anew. Other keys
	// begin empty: what the old ones signed may be why they are being replaced.
	l.Granted, l.After = g.epoch, g.t.roleVersion(grant.Role)
	if was, ok := g.t.main.delegation(grant.Role); ok && sameKeys(g.t.delegations(), g.d, grant.Role) {
		l.Granted, l.After = was.Granted, was.After
	}
	g.limits = append(slices.DeleteFunc(g.limits, func(o Delegation) bool { return o.Role == grant.Role }), l)
	return nil
}

// finish sorts roles, drops keys that nobody uses any more and states how far each role has come.
func (g *granting) finish() []Delegation {
	slices.SortFunc(g.d.Roles[1:], func(a, b metadata.DelegatedRole) int { return strings.Compare(a.Name, b.Name) })
	used := map[string]bool{}
	for _, r := range g.d.Roles {
		for _, id := range r.KeyIDs {
			used[id] = true
		}
	}
	maps.DeleteFunc(g.d.Keys, func(id string, _ *metadata.Key) bool { return !used[id] })
	for i := range g.limits {
		l := &g.limits[i]
		l.MinSerial = 0
		if r, ok := g.t.role(l.Role); ok && r.Granted == l.Granted {
			l.MinSerial = r.Serial
		}
	}
	return g.limits
}

func sortedOnce(all []string) []string {
	all = slices.Clone(all)
	slices.Sort(all)
	return slices.Compact(all)
}

// checkGrants is the part of Check about delegated roles. Their keys and limits are the approvers' to
// change, and they are shown them; but an old grant must not come back, nor a floor go down, unseen.
func (d *Draft) checkGrants(t *Trust) error {
	m, err := DecodeManifest(d.manifest)
	if err != nil {
		return err
	}
	if err := sameRoles(m, d.targets.Signed.Delegations); err != nil {
		return fmt.Errorf("draft: %w", err)
	}
	if t.main == nil {
		return nil
	}
	for _, l := range m.Delegations {
		was, known := t.main.delegation(l.Role)
		if !known || !sameKeys(t.delegations(), d.targets.Signed.Delegations, l.Role) {
			if l.Granted <= t.Epoch() || l.MinSerial != 0 || (!known && l.After < t.roleVersion(l.Role)) {
				return fmt.Errorf("draft grants role %s to new keys as of epoch %d: %w", l.Role, l.Granted, ErrRollback)
			}
			continue
		}
		// The floor need not be the newest serial: a role may have gone on while the draft waited.
		if l.Granted != was.Granted || l.After != was.After || l.MinSerial < was.MinSerial {
			return fmt.Errorf("draft takes role %s back to serial %d of the grant of epoch %d: %w", l.Role, l.MinSerial, l.Granted, ErrRollback)
		}
	}
	return nil
}

// NewRoleDraft prepares what a delegated role decides next: all its approvals and holds. Org, grant
// and serial are filled in. ErrLimit if the role may not decide that.
func NewRoleDraft(t *Trust, m *RoleManifest, now time.Time) (*Draft, error) {
	r, ok := t.role(m.Role)
	if !ok {
		return nil, fmt.Errorf("no role %.70q: %w", m.Role, ErrUnknownKey)
	}
	m.Org, m.Granted, m.Serial = t.Org(), r.Granted, t.roleVersion(m.Role)+1
	b, err := m.Encode()
	if err != nil {
		return nil, err
	}
	targets := metadata.Targets(expiry(now, DefaultLife().Role))
	targets.Signed.Version = int64(m.Serial)
	targets.Signed.Targets[RolePath(m.Role)] = targetFile(b)
	d := &Draft{role: m.Role, manifest: b, epoch: m.Serial, granted: m.Granted, org: m.Org, targets: targets}
	return d, d.Check(t)
}

// RoleManifest is a copy of what a delegated role has decided so far, to start the next draft from.
func (t *Trust) RoleManifest(role string) (*RoleManifest, error) {
	r, ok := t.role(role)
	if !ok {
		return nil, fmt.Errorf("no role %.70q: %w", role, ErrUnknownKey)
	}
	if r.Document == nil || r.Serial == 0 {
		return &RoleManifest{Role: role, Approvals: []Approval{}, Holds: []Hold{}}, nil
	}
	m := *r.Document
	m.Approvals, m.Holds, m.HoldExceptions = slices.Clone(m.Approvals), slices.Clone(m.Holds), slices.Clone(m.HoldExceptions)
	return &m, nil
}

// roleVersion is the highest version of a role that the snapshot has ever named, whatever the grant.
func (t *Trust) roleVersion(role string) uint64 {
	if t.tm.Snapshot == nil {
		return 0
	}
	if f := t.tm.Snapshot.Signed.Meta[role+".json"]; f != nil {
		return uint64(f.Version)
	}
	return 0
}

// checkRole is Check for a delegated role's draft.
func (d *Draft) checkRole(t *Trust) error {
	r, ok := t.role(d.role)
	if !ok {
		return fmt.Errorf("draft of role %s, which does not exist: %w", d.role, ErrUnknownKey)
	}
	have := t.roleVersion(d.role)
	if d.epoch <= have {
		return fmt.Errorf("draft %d of role %s, trusted is %d: %w", d.epoch, d.role, have, ErrRollback)
	}
	if err := checkJump("draft", int64(have), int64(d.epoch)); err != nil {
		return err
	}
	if d.granted != r.Granted {
		return fmt.Errorf("draft of role %s for the grant of epoch %d, in force is that of %d: %w", d.role, d.granted, r.Granted, ErrRollback)
	}
	m, err := DecodeRoleManifest(d.manifest)
	if err != nil {
		return err
	}
	return r.beyond(m)
}

// decodeRoleDraft is DecodeDraft for a delegated role's.
func decodeRoleDraft(doc draftDoc) (*Draft, error) {
	m, err := DecodeRoleManifest(doc.Manifest)
	if err != nil {
		return nil, fmt.Errorf("draft: %w", err)
	}
	targets, err := parseSigned[metadata.TargetsType]("draft", doc.Targets, MaxRoleBytes)
	if err != nil {
		return nil, err
	}
	f := targets.Signed.Targets[RolePath(m.Role)]
	if doc.Role != m.Role || f == nil || len(targets.Signed.Targets) != 1 || f.VerifyLengthHashes(doc.Manifest) != nil ||
		targets.Signed.Version != int64(m.Serial) || targets.Signed.Delegations != nil {
		return nil, fmt.Errorf("draft: what is signed is not about its manifest: %w", ErrFormat)
	}
	return &Draft{role: m.Role, manifest: doc.Manifest, epoch: m.Serial, granted: m.Granted, org: m.Org, targets: targets}, nil
}

// takeRole puts a signed document of a delegated role among the files. A machine passes over a role
// that was never heard and is not signed well; here that would be a silent loss, so it is an error.
func (p *publication) takeRole(d *Draft) error {
	if made, need, _ := d.Status(p.t); made < need {
		return fmt.Errorf("%d of %d signatures of role %s: %w", made, need, d.role, ErrThreshold)
	}
	if !d.ExpiresAt().After(p.now) {
		return fmt.Errorf("draft of role %s: %w", d.role, ErrExpired)
	}
	b, err := d.targets.ToBytes(false)
	if err != nil {
		return fmt.Errorf("encode role %s: %w", d.role, err)
	}
	all, err := decodeDelegated(p.files.Delegated)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(f delegatedFile) bool { return f.Role == d.role })
	all = append(all, delegatedFile{Role: d.role, Signed: b, Document: d.manifest})
	slices.SortFunc(all, func(a, b delegatedFile) int { return strings.Compare(a.Role, b.Role) })
	p.files.Delegated, p.role = encodeDelegated(all), d
	return nil
}

// dropRoles forgets the documents of roles that a main draft takes away.
func (p *publication) dropRoles(d *Draft) error {
	all, err := decodeDelegated(p.files.Delegated)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(f delegatedFile) bool { return roleOf(d.targets.Signed.Delegations, f.Role) == nil })
	p.files.Delegated = encodeDelegated(all)
	return nil
}

// nameRole puts the new document of a role into the snapshot.
func (p *publication) nameRole(snap *metadata.Metadata[metadata.SnapshotType]) error {
	if p.role == nil {
		return nil
	}
	b, err := p.role.targets.ToBytes(false)
	if err != nil {
		return fmt.Errorf("encode role %s: %w", p.role.role, err)
	}
	snap.Signed.Meta[p.role.role+".json"] = metaFile(int64(p.role.epoch), b)
	return nil
}
