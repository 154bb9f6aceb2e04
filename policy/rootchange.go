package policy

import (
	"fmt"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// RootChange says what the next root changes. What is left empty stays as it is.
type RootChange struct {
	AddApprovers, AddRoots   []Signer // public halves will do
	DropApprovers, DropRoots []string // key ids
	Threshold, RootThreshold int
	Timestamp, Snapshot      *Signer // new online keys, in place of the old ones
	Roster                   *Signer // likewise; the approvers' document must follow, see RootStatus.Approved
}

// RootDraft makes the next root, unsigned. It travels as a file; SignRoot adds signatures to it.
func (t *Trust) RootDraft(c RootChange, now time.Time) ([]byte, error) {
	root := reparsed(t.tm.Root)
	root.ClearSignatures()
	root.Signed.Version++
	root.Signed.Expires = expiry(now, DefaultLife().Root)
	for role, change := range map[string]struct {
		add       []Signer
		drop      []string
		threshold int
	}{
		metadata.TARGETS: {c.AddApprovers, c.DropApprovers, c.Threshold},
		metadata.ROOT:    {c.AddRoots, c.DropRoots, c.RootThreshold},
	} { // the roles are independent: order does not matter
		for _, id := range change.drop {
			if err := root.Signed.RevokeKey(id, role); err != nil {
				return nil, fmt.Errorf("take key %.16s from role %s: %w", id, role, ErrUnknownKey)
			}
		}
		for _, s := range change.add {
			if err := root.Signed.AddKey(s.key, role); err != nil {
				return nil, fmt.Errorf("add key to role %s: %w", role, err)
			}
		}
		if change.threshold > 0 {
			root.Signed.Roles[role].Threshold = change.threshold
		}
	}
	for role, s := range map[string]*Signer{metadata.TIMESTAMP: c.Timestamp, metadata.SNAPSHOT: c.Snapshot} {
		if s == nil {
			continue
		}
		for _, id := range slices.Clone(root.Signed.Roles[role].KeyIDs) {
			if err := root.Signed.RevokeKey(id, role); err != nil {
				return nil, fmt.Errorf("take key from role %s: %w", role, err)
			}
		}
		if err := root.Signed.AddKey(s.key, role); err != nil {
			return nil, fmt.Errorf("add key to role %s: %w", role, err)
		}
	}
	if c.Roster != nil {
		root.Signed.UnrecognizedFields[rosterField] = c.Roster.key.Value.PublicKey
	}
	if err := checkRoot(root); err != nil {
		return nil, fmt.Errorf("root: %w", err)
	}
	return root.ToBytes(false)
}

// reparsed is a deep copy.
func reparsed(root *metadata.Metadata[metadata.RootType]) *metadata.Metadata[metadata.RootType] {
	b, err := root.ToBytes(false)
	if err != nil {
		panic("policy: a verified root does not encode: " + err.Error())
	}
	again, err := new(metadata.Metadata[metadata.RootType]).FromBytes(b)
	if err != nil {
		panic("policy: a verified root does not decode: " + err.Error())
	}
	return again
}

// SignRoot adds, or replaces, one signature under a root.
func SignRoot(b []byte, s Signer) ([]byte, error) {
	root, err := parseRoot(b)
	if err != nil {
		return nil, err
	}
	root.Signatures = slices.DeleteFunc(root.Signatures, func(o metadata.Signature) bool { return o.KeyID == s.id })
	if len(root.Signatures) >= maxSignatures {
		return nil, fmt.Errorf("sign root: %d signatures already: %w", maxSignatures, ErrTooLarge)
	}
	return signRoot(root, []Signer{s})
}

// RootStatus tells how far a root has come: signatures that count under the trusted root and under
// the new root itself, and whose are missing. t nil: only the root itself counts (a first root).
type RootStatus struct {
	Org                string
	Version            int64
	ExpiresAt          time.Time
	Root, Approvers    []string // key ids
	Roster             string   // key id; empty: the root does not name it, so it stays as it was
	RootThreshold      int
	Threshold          int
	OldMade, OldNeed   int
	NewMade, NewNeed   int
	Missing            []string
	Complete, Approved bool // Approved: what is approved now stays approved under it, see PublishRoot
}

// RootStatus looks at a root that shall follow the trusted one; ErrRollback, ErrOrg, ErrFormat.
func (t *Trust) RootStatus(b []byte) (*RootStatus, error) {
	root, err := parseRoot(b)
	if err != nil {
		return nil, err
	}
	if orgOf(root) != t.Org() {
		return nil, fmt.Errorf("root of %.40q: %w", orgOf(root), ErrOrg)
	}
	if root.Signed.Version != t.RootVersion()+1 {
		return nil, fmt.Errorf("root version %d, the next is %d: %w", root.Signed.Version, t.RootVersion()+1, ErrRollback)
	}
	s := rootStatus(root)
	s.OldNeed = t.tm.Root.Signed.Roles[metadata.ROOT].Threshold
	for _, id := range t.tm.Root.Signed.Roles[metadata.ROOT].KeyIDs {
		if rootSignedBy(t.tm.Root, root, id) {
			s.OldMade++
		} else if !slices.Contains(s.Missing, id) {
			s.Missing = append(s.Missing, id)
		}
	}
	s.Complete = s.Complete && s.OldMade >= s.OldNeed
	if m := t.tm.Targets[metadata.TARGETS]; m != nil {
		s.Approved = root.VerifyDelegate(metadata.TARGETS, m) == nil && checkDelegation(root, m) == nil
	}
	return s, nil
}

// SameRoot says whether two roots differ in nothing but their signatures.
func SameRoot(a, b []byte) (bool, error) {
	x, err := parseRoot(a)
	if err != nil {
		return false, err
	}
	y, err := parseRoot(b)
	if err != nil {
		return false, err
	}
	return sameJSON(x.Signed, y.Signed), nil
}

// FirstRootStatus is RootStatus for the root of an organisation that is just being founded.
func FirstRootStatus(b []byte) (*RootStatus, error) {
	root, err := parseRoot(b)
	if err != nil {
		return nil, err
	}
	return rootStatus(root), nil
}

func rootStatus(root *metadata.Metadata[metadata.RootType]) *RootStatus {
	r, a := root.Signed.Roles[metadata.ROOT], root.Signed.Roles[metadata.TARGETS]
	s := &RootStatus{
		Org: orgOf(root), Version: root.Signed.Version, ExpiresAt: root.Signed.Expires, Root: r.KeyIDs, Approvers: a.KeyIDs,
		RootThreshold: r.Threshold, Threshold: a.Threshold, NewNeed: r.Threshold,
	}
	if k, ok := namedRoster(root); ok {
		s.Roster = k.id
	}
	for _, id := range r.KeyIDs {
		if rootSignedBy(root, root, id) {
			s.NewMade++
		} else {
			s.Missing = append(s.Missing, id)
		}
	}
	s.Complete = s.NewMade >= s.NewNeed
	return s
}

// rootSignedBy asks go-tuf about one key alone.
func rootSignedBy(by, root *metadata.Metadata[metadata.RootType], id string) bool {
	only := *by
	only.Signed.Roles = map[string]*metadata.Role{metadata.ROOT: {KeyIDs: []string{id}, Threshold: 1}}
	return only.VerifyDelegate(metadata.ROOT, root) == nil
}

// WithRoot is t as if the given root were trusted already: for counting signatures of new approvers
// before the root is published. It is not for saving.
func (t *Trust) WithRoot(b []byte) (*Trust, error) {
	root, err := parseRoot(b)
	if err != nil {
		return nil, err
	}
	tm := *t.tm
	tm.Root = root
	c := *t
	c.tm = &tm
	return &c, nil
}

// RoleInfo is one role of a trusted set, for people.
type RoleInfo struct {
	Name      string
	Keys      []string
	Threshold int
	Version   int64
	ExpiresAt time.Time
}

// RootRoles are root, approvals (targets), roster, snapshot and timestamp, in this order. Delegated
// approvers are in Roles.
func (t *Trust) RootRoles() []RoleInfo {
	root := t.tm.Root.Signed
	info := func(name, role string) RoleInfo {
		return RoleInfo{Name: name, Keys: root.Roles[role].KeyIDs, Threshold: root.Roles[role].Threshold}
	}
	r, a, s, ts := info("root", metadata.ROOT), info("approvals", metadata.TARGETS), info("snapshot", metadata.SNAPSHOT), info("timestamp", metadata.TIMESTAMP)
	r.Version, r.ExpiresAt = root.Version, root.Expires
	roster := RoleInfo{Name: RosterRole}
	if d := roleOf(t.delegations(), RosterRole); d != nil {
		roster.Keys, roster.Threshold = d.KeyIDs, d.Threshold
	}
	if s, ok := namedRoster(t.tm.Root); ok { // they differ only under WithRoot, until the approvers follow
		roster.Keys, roster.Threshold = []string{s.id}, 1
	}
	for name, to := range map[string]*RoleInfo{metadata.TARGETS: &a, RosterRole: &roster} {
		if m := t.tm.Targets[name]; m != nil {
			to.Version, to.ExpiresAt = m.Signed.Version, m.Signed.Expires
		}
	}
	if m := t.tm.Snapshot; m != nil {
		s.Version, s.ExpiresAt = m.Signed.Version, m.Signed.Expires
	}
	if m := t.tm.Timestamp; m != nil {
		ts.Version, ts.ExpiresAt = m.Signed.Version, m.Signed.Expires
	}
	return []RoleInfo{r, a, roster, s, ts}
}
