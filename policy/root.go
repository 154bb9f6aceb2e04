package policy

import (
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// orgField carries the organisation inside the signed root, so that a set of documents made with the
// same keys for another organisation is refused even by a machine that has seen no manifest yet.
const orgField = "x-patchmesh-org"

// approving roles can change what is installed; online roles are held by a seed without a passphrase.
var (
	approvingRoles = []string{metadata.ROOT, metadata.TARGETS}
	onlineRoles    = []string{metadata.TIMESTAMP, metadata.SNAPSHOT}
)

// parseRoot decodes a root and refuses those that go-tuf would take and we do not. Its signatures
// are not checked here.
func parseRoot(b []byte) (*metadata.Metadata[metadata.RootType], error) {
	root, err := parseSigned[metadata.RootType]("root", b, MaxRootBytes)
	if err != nil {
		return nil, err
	}
	if err := checkSpelling("root", root, b); err != nil {
		return nil, err
	}
	if err := checkRoot(root); err != nil {
		return nil, fmt.Errorf("root: %w", err)
	}
	return root, nil
}

// checkRoot refuses other key types, weak keys, one key under two ids, roles that cannot be signed,
// and an online key that could approve.
func checkRoot(root *metadata.Metadata[metadata.RootType]) error {
	if err := checkKeys(root.Signed.Keys); err != nil {
		return err
	}
	for _, name := range slices.Concat(approvingRoles, onlineRoles) {
		role := root.Signed.Roles[name]
		if role == nil {
			return fmt.Errorf("role %s is missing: %w", name, ErrFormat)
		}
		distinct := map[string]bool{}
		for _, id := range role.KeyIDs {
			if root.Signed.Keys[id] == nil {
				return fmt.Errorf("role %s names key %.16s, which is missing: %w", name, id, ErrFormat)
			}
			distinct[id] = true
		}
		if role.Threshold < 1 || len(distinct) < role.Threshold {
			return fmt.Errorf("role %s needs %d of %d keys: %w", name, role.Threshold, len(distinct), ErrFormat)
		}
	}
	for _, name := range onlineRoles {
		for _, id := range root.Signed.Roles[name].KeyIDs {
			if canApprove(root, root.Signed.Keys[id]) {
				return fmt.Errorf("a key of role %s could approve too: %w", name, ErrWeakKey)
			}
		}
	}
	if err := checkRosterKey(root); err != nil {
		return err
	}
	return checkOrg(orgOf(root))
}

// canApprove says whether a key counts for root or targets.
func canApprove(root *metadata.Metadata[metadata.RootType], k *metadata.Key) bool {
	return holdsRole(root, approvingRoles, k)
}

// holdsRole says whether a key counts for one of the root's roles.
func holdsRole(root *metadata.Metadata[metadata.RootType], roles []string, k *metadata.Key) bool {
	for _, name := range roles {
		for _, id := range root.Signed.Roles[name].KeyIDs {
			if root.Signed.Keys[id].Value.PublicKey == k.Value.PublicKey {
				return true
			}
		}
	}
	return false
}

// orgOf is the organisation that a root names; empty if it names none.
func orgOf(root *metadata.Metadata[metadata.RootType]) string {
	org, _ := root.Signed.UnrecognizedFields[orgField].(string)
	return org
}

func checkOrg(org string) error {
	if org == "" || checkText("organisation", org, maxOrgBytes) != nil {
		return fmt.Errorf("organisation %.40q: %w", org, ErrFormat)
	}
	return nil
}

// rotated says whether a key that signed timestamps or snapshots has been withdrawn. What it signed
// then sets no floor any more: that is how a mesh recovers from a thief who ran the versions far
// ahead (TUF specification 5.3.11).
func rotated(old, now *metadata.Metadata[metadata.RootType]) bool {
	for _, name := range onlineRoles {
		for _, id := range old.Signed.Roles[name].KeyIDs {
			if !slices.Contains(now.Signed.Roles[name].KeyIDs, id) {
				return true
			}
		}
	}
	return false
}

// newRoot makes an unsigned root.
func newRoot(org string, version int64, k RoleKeys, now time.Time) (*metadata.Metadata[metadata.RootType], error) {
	root := metadata.Root(expiry(now, k.Online.life().Root))
	root.Signed.Version = version
	root.Signed.UnrecognizedFields = map[string]any{orgField: org}
	for _, r := range []struct {
		role      string
		keys      []Signer
		threshold int
	}{
		{metadata.ROOT, k.Root, k.RootThreshold},
		{metadata.TARGETS, k.Approvers, k.Threshold},
		{metadata.TIMESTAMP, []Signer{k.Online.Timestamp}, 1},
		{metadata.SNAPSHOT, []Signer{k.Online.Snapshot}, 1},
	} {
		for _, s := range r.keys {
			if s.key == nil {
				return nil, fmt.Errorf("role %s has an empty key: %w", r.role, ErrFormat)
			}
			if err := root.Signed.AddKey(s.key, r.role); err != nil {
				return nil, fmt.Errorf("add key to role %s: %w", r.role, err)
			}
		}
		root.Signed.Roles[r.role].Threshold = r.threshold
	}
	return root, nil
}

// signRoot signs a root with every signer and encodes it.
func signRoot(root *metadata.Metadata[metadata.RootType], signers []Signer) ([]byte, error) {
	for _, s := range signers {
		if s.sig == nil {
			return nil, fmt.Errorf("sign root: no private key: %w", ErrFormat)
		}
		if slices.ContainsFunc(root.Signatures, func(o metadata.Signature) bool { return o.KeyID == s.id }) {
			continue
		}
		if _, err := root.Sign(s.sig); err != nil {
			return nil, fmt.Errorf("sign root: %w", err)
		}
	}
	b, err := root.ToBytes(false)
	if err != nil {
		return nil, fmt.Errorf("encode root: %w", err)
	}
	return b, nil
}

// NextRoot makes the root that follows the trusted one, with the keys and thresholds of k. The
// signers must meet the threshold of the trusted root and of the new one; ErrThreshold if not. Keys
// that need not sign may be given by NamePublic. Machines take it with the next head, see PublishRoot.
func (t *Trust) NextRoot(k RoleKeys, signers []Signer, now time.Time) ([]byte, error) {
	root, err := newRoot(t.Org(), t.RootVersion()+1, k, now)
	if err != nil {
		return nil, err
	}
	if rosterKeyOf(t.tm.Root) != "" && k.Online.Roster.key != nil { // once the root names it, it stays named
		root.Signed.UnrecognizedFields[rosterField] = k.Online.Roster.key.Value.PublicKey
	}
	b, err := signRoot(root, signers)
	if err != nil {
		return nil, err
	}
	r := t.Refresh(nil, now)
	if r.err != nil {
		return nil, r.err
	}
	return b, r.takeRoot(b)
}

// NamePublic makes a Signer that names a public key and can sign nothing.
func NamePublic(public []byte) (Signer, error) {
	if err := checkPublic(public); err != nil {
		return Signer{}, err
	}
	key := &metadata.Key{Type: metadata.KeyTypeEd25519, Scheme: metadata.KeySchemeEd25519}
	key.Value.PublicKey = hex.EncodeToString(public)
	id, err := key.ID()
	if err != nil {
		return Signer{}, fmt.Errorf("public key: %w", err)
	}
	return Signer{key: key, id: id}, nil
}
