package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"patchmesh/content"
)

// Draft is a manifest that waits for approvers' signatures: the main one, or that of a delegated
// role. It may travel to them as bytes.
type Draft struct {
	role     string // empty: the main approvers
	manifest []byte // Manifest, or RoleManifest
	epoch    uint64 // of the main manifest; the serial of a role's
	granted  uint64 // of a role's
	org      string
	targets  *metadata.Metadata[metadata.TargetsType]
}

// Limits of a draft: its manifest in base64, and the signed targets.
const (
	draftFormat   = 1
	maxDraftBytes = MaxManifestBytes/3*4 + MaxTargetsBytes + 1024
)

// NewDraft prepares the next manifest of a mesh for signing. Its epoch is higher than the trusted
// one: by one as a rule, by more to overtake manifests of a thief. The same content under a new
// epoch renews approvals that are about to expire. Delegated roles keep their keys; see DraftGrants.
func NewDraft(t *Trust, m *Manifest, now time.Time) (*Draft, error) {
	return t.DraftGrants(m, nil, nil, now)
}

func newDraft(m *Manifest, delegations *metadata.Delegations, expires time.Time) (*Draft, error) {
	b, err := m.Encode()
	if err != nil {
		return nil, err
	}
	targets := metadata.Targets(expires)
	targets.Signed.Version = int64(m.Epoch)
	targets.Signed.Delegations = delegations
	targets.Signed.Targets[ManifestPath] = targetFile(b)
	return &Draft{manifest: b, epoch: m.Epoch, org: m.Org, targets: targets}, nil
}

// delegate lets one key sign the roster and nothing else.
func delegate(roster Signer) *metadata.Delegations {
	return &metadata.Delegations{
		Keys: map[string]*metadata.Key{roster.KeyID(): roster.key},
		Roles: []metadata.DelegatedRole{{
			Name: RosterRole, KeyIDs: []string{roster.KeyID()}, Threshold: 1, Terminating: true, Paths: []string{RosterPath},
		}},
	}
}

func targetFile(b []byte) *metadata.TargetFiles {
	f := metadata.TargetFile()
	f.Length, f.Hashes = int64(len(b)), hashes(b)
	return f
}

func hashes(b []byte) metadata.Hashes {
	sum := content.Sum(b).SHA256()
	return metadata.Hashes{"sha256": sum[:]}
}

// Epoch of the manifest in the draft; the serial, if it is a delegated role's.
func (d *Draft) Epoch() uint64 { return d.epoch }

// Role is the delegated role whose draft this is; empty for the main approvers.
func (d *Draft) Role() string { return d.role }

// ExpiresAt is when the signatures under the draft will expire.
func (d *Draft) ExpiresAt() time.Time { return d.targets.Signed.Expires }

// Manifest is the encoded manifest in the draft; a RoleManifest if it is a delegated role's.
func (d *Draft) Manifest() []byte { return d.manifest }

// Check says whether the draft may follow what is trusted: same organisation, a higher epoch, and
// the roster signed by the same key as before, or by the one that the root names. An approver's machine
// asks this before it signs: the seed that made the draft may be in a thief's hands, who would like
// another roster key signed along. For a draft that waits for a root, t is WithRoot.
func (d *Draft) Check(t *Trust) error {
	if err := d.Follows(t); err != nil || d.role != "" {
		return err
	}
	if err := checkDelegation(t.tm.Root, d.targets); err != nil {
		return fmt.Errorf("draft: %w", err)
	}
	if was := t.delegations(); was != nil && rosterKeyOf(t.tm.Root) == "" && !sameKeys(was, d.targets.Signed.Delegations, RosterRole) {
		return fmt.Errorf("draft gives the roster to another key: %w", ErrUnknownKey)
	}
	return nil
}

// Follows is Check without the question whose the roster is: enough for a draft that is about to be
// amended, which gives the roster to whom the root says.
func (d *Draft) Follows(t *Trust) error {
	if d.org != t.Org() {
		return fmt.Errorf("draft of %.40q in the mesh of %.40q: %w", d.org, t.Org(), ErrOrg)
	}
	if d.role != "" {
		return d.checkRole(t)
	}
	if d.epoch <= t.Epoch() {
		return fmt.Errorf("draft of epoch %d, trusted is %d: %w", d.epoch, t.Epoch(), ErrRollback)
	}
	if err := checkJump("draft", int64(t.Epoch()), int64(d.epoch)); err != nil {
		return err
	}
	if err := checkDelegates(t.tm.Root, d.targets); err != nil {
		return fmt.Errorf("draft: %w", err)
	}
	return d.checkGrants(t)
}

// Sign adds, or replaces, one approver's signature. Whether it counts, Status says.
func (d *Draft) Sign(s Signer) error {
	if s.sig == nil {
		return fmt.Errorf("sign draft: no private key: %w", ErrFormat)
	}
	if !slices.ContainsFunc(d.targets.Signatures, func(o metadata.Signature) bool { return o.KeyID == s.id }) &&
		len(d.targets.Signatures) >= maxSignatures {
		return fmt.Errorf("sign draft: %d signatures already: %w", maxSignatures, ErrTooLarge)
	}
	d.targets.Signatures = slices.DeleteFunc(d.targets.Signatures, func(o metadata.Signature) bool { return o.KeyID == s.id })
	if _, err := d.targets.Sign(s.sig); err != nil {
		return fmt.Errorf("sign draft: %w", err)
	}
	return nil
}

// Status counts the signatures that the trusted root, or the delegation of the draft's role, accepts,
// and names the keys that have not signed.
func (d *Draft) Status(t *Trust) (made, need int, missing []string) {
	ids, need := t.approvers(d.role)
	for _, id := range ids {
		if t.signedBy(d, id) {
			made++
		} else {
			missing = append(missing, id)
		}
	}
	return made, need, missing
}

// Signers names the keys whose signatures hold, in the order of the role's keys.
func (d *Draft) Signers(t *Trust) []string {
	var made []string
	ids, _ := t.approvers(d.role)
	for _, id := range ids {
		if t.signedBy(d, id) {
			made = append(made, id)
		}
	}
	return made
}

// approvers are the keys and the threshold of the main approvers (empty) or a delegated role.
func (t *Trust) approvers(role string) (ids []string, need int) {
	if role == "" {
		r := t.tm.Root.Signed.Roles[metadata.TARGETS]
		return r.KeyIDs, r.Threshold
	}
	if r := roleOf(t.delegations(), role); r != nil {
		return r.KeyIDs, r.Threshold
	}
	return nil, 1
}

// signedBy asks go-tuf about one key alone: a delegator that knows just that key, threshold one.
func (t *Trust) signedBy(d *Draft, id string) bool {
	if d.role == "" {
		root := *t.tm.Root
		root.Signed.Roles = map[string]*metadata.Role{metadata.TARGETS: {KeyIDs: []string{id}, Threshold: 1}}
		return root.VerifyDelegate(metadata.TARGETS, d.targets) == nil
	}
	only := metadata.Targets(d.targets.Signed.Expires)
	only.Signed.Delegations = &metadata.Delegations{
		Keys:  t.delegations().Keys,
		Roles: []metadata.DelegatedRole{{Name: d.role, KeyIDs: []string{id}, Threshold: 1}},
	}
	return only.VerifyDelegate(d.role, d.targets) == nil
}

// draftDoc is the encoded form of a Draft.
type draftDoc struct {
	Format   int             `json:"format"`
	Role     string          `json:"role,omitempty"`
	Manifest []byte          `json:"manifest"`
	Targets  json.RawMessage `json:"targets"`
}

// Encode writes the draft for storage or for another approver.
func (d *Draft) Encode() ([]byte, error) {
	targets, err := d.targets.ToBytes(false)
	if err != nil {
		return nil, fmt.Errorf("encode draft: %w", err)
	}
	b, err := json.Marshal(draftDoc{Format: draftFormat, Role: d.role, Manifest: d.manifest, Targets: targets})
	if err != nil {
		return nil, fmt.Errorf("encode draft: %w", err)
	}
	return b, nil
}

// DecodeDraft reads a draft. Signatures are not judged here; Check, Status and Publish do.
func DecodeDraft(b []byte) (*Draft, error) {
	var doc draftDoc
	if err := decodeStrict(b, maxDraftBytes, &doc); err != nil {
		return nil, fmt.Errorf("draft: %w", err)
	}
	if doc.Format != draftFormat {
		return nil, fmt.Errorf("draft format %d, this version knows %d: %w", doc.Format, draftFormat, ErrFormat)
	}
	if doc.Role != "" {
		return decodeRoleDraft(doc)
	}
	m, err := DecodeManifest(doc.Manifest)
	if err != nil {
		return nil, fmt.Errorf("draft: %w", err)
	}
	targets, err := parseSigned[metadata.TargetsType]("draft", doc.Targets, MaxTargetsBytes)
	if err != nil {
		return nil, err
	}
	f := targets.Signed.Targets[ManifestPath]
	if f == nil || len(targets.Signed.Targets) != 1 || f.VerifyLengthHashes(doc.Manifest) != nil || targets.Signed.Version != int64(m.Epoch) {
		return nil, fmt.Errorf("draft: the signed targets are not about its manifest: %w", ErrFormat)
	}
	return &Draft{manifest: doc.Manifest, epoch: m.Epoch, org: m.Org, targets: targets}, nil
}
