package policy

import (
	"encoding/json"
	"fmt"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"patchmesh/content"
)

// The part of a Refresh that follows the main manifest: the documents of the delegated roles, one
// after the other. Each is named by the snapshot, as targets are, so its version never goes back; and
// beyond TUF's rules its serial never goes back either while the grant lasts, whatever keys were
// changed, nor below what the main approvers had seen.
//
// Two kinds of failure are kept apart. What the role's threshold did not sign is an attack on the
// mesh, or a broken seed: once the role has been heard, the whole set is refused and everything stays
// as it was, so that nobody can make a hold disappear by spoiling the document that it stands in.
// What the threshold did sign and may not, or what has been signed badly, costs that role alone its
// document; the rest goes on.

// delegatedFile is one role's part of Files.Delegated: bytes as they were signed.
type delegatedFile struct {
	Role     string `json:"role"`
	Signed   []byte `json:"signed"`   // TUF metadata
	Document []byte `json:"document"` // RoleManifest
}

// maxDelegatedBytes bounds Files.Delegated: all roles at their limits, in base64.
const maxDelegatedBytes = MaxDelegations * ((MaxRoleBytes+MaxRoleManifestBytes)/3*4 + 256)

// encodeDelegated writes them. Names and bytes can always be written.
func encodeDelegated(all []delegatedFile) []byte {
	if len(all) == 0 {
		return nil
	}
	b, _ := json.Marshal(all)
	return b
}

// decodeDelegated reads Files.Delegated. Nothing in it is believed until it is verified.
func decodeDelegated(b []byte) ([]delegatedFile, error) {
	if len(b) == 0 {
		return nil, nil
	}
	var all []delegatedFile
	if err := decodeExact(b, maxDelegatedBytes, &all); err != nil {
		return nil, fmt.Errorf("documents of roles: %w", err)
	}
	if len(all) == 0 || len(all) > MaxDelegations {
		return nil, fmt.Errorf("documents of %d roles: %w", len(all), ErrFormat)
	}
	return all, nil
}

// Documents are all documents that others may ask for by content ID: all but root and timestamp.
func (f Files) Documents() [][]byte {
	docs := [][]byte{f.Snapshot, f.Targets, f.RosterRole, f.Roster, f.Manifest}
	roles, err := decodeDelegated(f.Delegated)
	if err != nil {
		return docs // Files of a Trust always decode
	}
	for _, r := range roles {
		docs = append(docs, r.Signed, r.Document)
	}
	return docs
}

// Find is the document with this ID; nil if it is none of them.
func (f Files) Find(id content.ID) []byte {
	for _, b := range f.Documents() {
		if len(b) > 0 && content.Sum(b) == id {
			return b
		}
	}
	return nil
}

// roleWalk is one role under way.
type roleWalk struct {
	RoleState
	meta   *metadata.MetaFiles // what the snapshot says; nil: it names no document
	heard  bool                // a document of this grant is known to exist: see the comment at the top
	floor  uint64              // serials below are rollback
	was    []byte              // the document trusted so far under this grant
	signed []byte
	names  *metadata.TargetFiles // the document that signed names, once it is verified
	doc    []byte
	done   bool
}

// beginDelegates lists the roles once targets and main manifest are verified.
func (r *Refresh) beginDelegates() error {
	d := r.tm.Targets[metadata.TARGETS].Signed.Delegations
	if err := sameRoles(r.manifest, d); err != nil {
		return err
	}
	for _, role := range d.Roles[1:] {
		limits, _ := r.manifest.delegation(role.Name)
		g := &roleWalk{
			RoleState: RoleState{Delegation: limits, KeyIDs: role.KeyIDs, Threshold: role.Threshold},
			meta:      r.tm.Snapshot.Signed.Meta[role.Name+".json"],
			heard:     limits.MinSerial > 0, floor: limits.MinSerial,
		}
		if was, ok := r.base.role(role.Name); ok && was.Granted == limits.Granted && was.Serial > 0 && !r.local {
			g.heard, g.floor = true, max(g.floor, was.Serial)
			for _, f := range r.oldRoles {
				if f.Role == role.Name && was.Serial >= limits.MinSerial {
					g.was = f.Document
				}
			}
		}
		switch {
		case g.meta == nil && g.heard:
			return fmt.Errorf("snapshot does not name the document of role %s: %w", role.Name, ErrRollback)
		case g.meta == nil:
			g.done = true
		case g.meta.Version < 1:
			return fmt.Errorf("document %d of role %s: %w", g.meta.Version, role.Name, ErrFormat)
		case !g.heard && uint64(g.meta.Version) <= limits.After:
			g.done = true
		case g.heard && uint64(g.meta.Version) < g.floor:
			return fmt.Errorf("document %d of role %s, trusted is %d: %w", g.meta.Version, role.Name, g.floor, ErrRollback)
		}
		r.delegates = append(r.delegates, g)
	}
	return nil
}

// pending is the first role whose documents are not all verified; nil when all are.
func (r *Refresh) pending() *roleWalk {
	for _, g := range r.delegates {
		if !g.done {
			return g
		}
	}
	return nil
}

// nextDelegate finds the first document of a role that is not verified yet.
func (r *Refresh) nextDelegate() (Need, []byte, error) {
	g := r.pending()
	if g == nil {
		return Need{}, nil, nil
	}
	var old delegatedFile
	for _, f := range r.oldRoles {
		if f.Role == g.Role {
			old = f
		}
	}
	if g.signed == nil {
		return needFor(roleDelegate, g.meta.Length, g.meta.Hashes, MaxRoleBytes, old.Signed)
	}
	return needFor(roleDelegated, g.names.Length, g.names.Hashes, MaxRoleManifestBytes, old.Document)
}

// takeDelegate takes the document that nextDelegate asked for.
func (r *Refresh) takeDelegate(b []byte) error {
	g := r.pending()
	if g.signed == nil {
		return r.takeRoleSigned(g, b)
	}
	return r.takeRoleDocument(g, b)
}

// takeRoleSigned verifies a role's metadata: signed by its threshold, the version that the snapshot
// names, about its one path, delegating nothing further.
func (r *Refresh) takeRoleSigned(g *roleWalk, b []byte) error {
	m, err := r.verifyRole(g, b)
	if err == nil {
		g.signed, g.Serial, g.ExpiresAt = b, uint64(m.Signed.Version), m.Signed.Expires
		g.names = m.Signed.Targets[RolePath(g.Role)]
		return nil
	}
	if g.heard {
		return err
	}
	// Nothing of this role was ever believed under this grant, so nothing is lost: it may be what
	// the role signed with keys that were taken from it since. The bytes are kept: the snapshot names
	// them, and a machine that starts again from its own files must come to the same result.
	g.signed, g.Refused, g.done = b, err, true
	return nil
}

func (r *Refresh) verifyRole(g *roleWalk, b []byte) (*metadata.Metadata[metadata.TargetsType], error) {
	m, err := parseSigned[metadata.TargetsType](g.Role, b, MaxRoleBytes)
	if err != nil {
		return nil, err
	}
	if err := r.tm.Targets[metadata.TARGETS].VerifyDelegate(g.Role, m); err != nil {
		return nil, translate("role "+g.Role, err)
	}
	f := m.Signed.Targets[RolePath(g.Role)]
	switch {
	case m.Signed.Type != metadata.TARGETS || m.Signed.Version != g.meta.Version || m.Signed.Version < 1:
		return nil, fmt.Errorf("role %s is at %d, the snapshot says %d: %w", g.Role, m.Signed.Version, g.meta.Version, ErrFormat)
	case len(m.Signed.Targets) != 1 || f == nil || m.Signed.Delegations != nil:
		return nil, fmt.Errorf("role %s signs other than its one document: %w", g.Role, ErrFormat)
	}
	_, _, err = idOf("document of role "+g.Role, f.Length, f.Hashes, MaxRoleManifestBytes)
	return m, err
}

// takeRoleDocument judges a document that its role has signed.
func (r *Refresh) takeRoleDocument(g *roleWalk, b []byte) error {
	g.doc, g.done = b, true
	if g.was != nil && g.Serial == g.floor && !sameBytes(g.was, b) {
		return fmt.Errorf("two documents %d of role %s: %w", g.Serial, g.Role, ErrRollback)
	}
	doc, err := DecodeRoleManifest(b)
	switch {
	case err != nil:
		g.Refused = err // Document stays nil: see standIn
		return nil
	case doc.Org != orgOf(r.tm.Root):
		g.Refused = fmt.Errorf("document of %.40q in the mesh of %.40q: %w", doc.Org, orgOf(r.tm.Root), ErrOrg)
	case doc.Role != g.Role || doc.Serial != g.Serial:
		g.Refused = fmt.Errorf("document %d of role %s under metadata %d of %s: %w", doc.Serial, doc.Role, g.Serial, g.Role, ErrFormat)
	case doc.Granted != g.Granted:
		g.Refused = fmt.Errorf("document of the grant of epoch %d, the role was granted anew at %d: %w", doc.Granted, g.Granted, ErrRollback)
		g.Serial = 0 // nothing was signed under this grant
	default:
		g.Refused = g.beyond(doc)
	}
	g.Document = doc
	return nil
}

// endDelegates makes the manifest in force and the documents to keep, once no role is pending.
func (r *Refresh) endDelegates() (*Manifest, []RoleState, []byte) {
	var states []RoleState
	var keep []delegatedFile
	for _, g := range r.delegates {
		states = append(states, g.RoleState)
		if g.signed != nil {
			keep = append(keep, delegatedFile{Role: g.Role, Signed: g.signed, Document: g.doc})
		}
	}
	return merge(r.manifest, states, r.roster), states, encodeDelegated(keep)
}
