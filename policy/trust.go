package policy

import (
	"bytes"
	"fmt"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"

	"patchmesh/content"
)

// Names of the targets and of the delegated role.
const (
	ManifestPath = "manifest.json"
	RosterPath   = "roster.json"
	RosterRole   = "roster"
)

// Limits per role: read no more, whatever a peer sends.
const (
	MaxRootBytes      = 512 << 10
	MaxTimestampBytes = 16 << 10
	MaxSnapshotBytes  = 2 << 20
	MaxTargetsBytes   = 8 << 20
)

// Names of TUF documents inside others.
const (
	snapshotFile = "snapshot.json"
	targetsFile  = "targets.json"
	rosterFile   = RosterRole + ".json"
)

// Files are the exact signed bytes of everything that a machine trusts. Root alone is a machine that
// has just joined.
type Files struct {
	Root, Timestamp, Snapshot, Targets, RosterRole, Roster, Manifest []byte

	// Delegated packs the documents of delegated roles, so that this stays a fixed list of files; nil
	// without such roles. Documents and Find look into it.
	Delegated []byte
}

// Trust is a verified set of documents. It is immutable and safe for concurrent use.
type Trust struct {
	files    Files
	tm       *trustedmetadata.TrustedMetadata
	main     *Manifest   // of the main approvers, as they signed it
	manifest *Manifest   // in force: with what delegated roles decided, see merge
	roles    []RoleState // the delegated roles
	roster   *Roster
}

// beginning is a reference time before everything: documents that this machine verified before are
// loaded whatever the clock says. Staleness is judged by Stale, not by refusing to start.
var beginning = time.Unix(0, 0)

// OpenTrust verifies documents that were saved by this machine. All must hold together; that they
// have expired meanwhile is no error, see Stale. A set without its timestamp is refused: to begin
// again from the root alone would forget how far this machine had come, and let it be rolled back.
// Now is not consulted: what was trusted once is loaded whatever the clock says.
func OpenTrust(f Files, _ time.Time) (*Trust, error) {
	t, err := NewTrust(f.Root)
	if err != nil {
		return nil, err
	}
	if len(f.Timestamp) == 0 {
		if len(f.Snapshot)+len(f.Targets)+len(f.RosterRole)+len(f.Roster)+len(f.Manifest)+len(f.Delegated) > 0 {
			return nil, fmt.Errorf("timestamp is missing: %w", ErrHash)
		}
		return t, nil
	}
	r := &Refresh{base: t, tm: t.tm, files: Files{Root: f.Root}, old: f, rootDone: true, local: true}
	if r.oldRoles, err = decodeDelegated(f.Delegated); err != nil {
		return nil, err
	}
	if err := r.supplyTimestamp(f.Timestamp); err != nil {
		return nil, err
	}
	if need, more := r.Need(); more {
		return nil, fmt.Errorf("%s is missing or not what was signed: %w", need.Role, ErrHash)
	}
	return r.Result()
}

// NewTrust begins with a root whose digest the caller has pinned.
func NewTrust(root []byte) (*Trust, error) {
	if _, err := parseRoot(root); err != nil {
		return nil, err
	}
	tm, err := trustedmetadata.New(root)
	if err != nil {
		return nil, translate("root", err)
	}
	tm.RefTime = beginning // go-tuf put the wall clock there
	return &Trust{files: Files{Root: root}, tm: tm}, nil
}

// Files are the documents as they came.
func (t *Trust) Files() Files { return t.files }

// Manifest is the approval manifest in force: the main approvers' with what delegated roles decided
// within their limits. It is not a document of its own: its epoch is the main manifest's, and only
// HeadVersion tells two of one epoch apart. Nil before the first.
func (t *Trust) Manifest() *Manifest { return t.manifest }

// Roster is the roster in force; an empty one before the first.
func (t *Trust) Roster() *Roster {
	if t.roster == nil {
		return &Roster{}
	}
	return t.roster
}

// Epoch of the manifest; 0 before the first.
func (t *Trust) Epoch() uint64 {
	if t.manifest == nil {
		return 0
	}
	return t.manifest.Epoch
}

// HeadVersion is the version of the timestamp; 0 before the first.
func (t *Trust) HeadVersion() int64 {
	if t.tm.Timestamp == nil {
		return 0
	}
	return t.tm.Timestamp.Signed.Version
}

// RootVersion is the version of the root.
func (t *Trust) RootVersion() int64 { return t.tm.Root.Signed.Version }

// Org is the organisation that the root names.
func (t *Trust) Org() string { return orgOf(t.tm.Root) }

// ApprovalsExpireAt is when the approvers' signatures expire: by then they must have signed again,
// or no newer head will be taken. Zero before the first manifest.
func (t *Trust) ApprovalsExpireAt() time.Time {
	if t.tm.Targets[metadata.TARGETS] == nil {
		return time.Time{}
	}
	return t.tm.Targets[metadata.TARGETS].Signed.Expires
}

// RootExpiresAt is when the root expires: by then NextRoot must have followed.
func (t *Trust) RootExpiresAt() time.Time { return t.tm.Root.Signed.Expires }

// ExpiresAt is when the timestamp expires; zero before the first.
func (t *Trust) ExpiresAt() time.Time {
	if t.tm.Timestamp == nil {
		return time.Time{}
	}
	return t.tm.Timestamp.Signed.Expires
}

// Stale says whether the timestamp has expired: nothing new may be taken up.
func (t *Trust) Stale(now time.Time) bool { return !t.ExpiresAt().IsZero() && now.After(t.ExpiresAt()) }

// Threshold is how many approver signatures are needed, of how many keys.
func (t *Trust) Threshold() (need, keys int) {
	r := t.tm.Root.Signed.Roles[metadata.TARGETS]
	return r.Threshold, len(r.KeyIDs)
}

// CheckHead verifies a signed timestamp from anywhere: format, signature, expiry, version. newer says
// whether it is ahead of what is trusted. An older one is ErrRollback; the caller knows whether that
// is an attack or a rumour that has been going round. ErrUnknownKey may also mean that a newer root,
// which this machine has not seen, has another timestamp key: a Refresh asks for it first. A head
// grants nothing: it says what to ask for.
func (t *Trust) CheckHead(ts []byte, now time.Time) (newer bool, version int64, err error) {
	m, err := parseTimestamp(t.tm.Root, ts)
	if err != nil {
		return false, 0, err
	}
	if err := t.tm.Root.VerifyDelegate(metadata.TIMESTAMP, m); err != nil {
		return false, 0, fmt.Errorf("timestamp: %w", blame(t.tm.Root.Signed.Roles[metadata.TIMESTAMP].KeyIDs, m.Signatures))
	}
	v := m.Signed.Version
	switch have := t.HeadVersion(); {
	case v < have:
		return false, v, fmt.Errorf("head %d, trusted is %d: %w", v, have, ErrRollback)
	case v == have:
		return false, v, nil
	default:
		if err := checkJump("head", have, v); err != nil {
			return false, v, err
		}
	}
	if m.Signed.IsExpired(now) {
		return false, v, fmt.Errorf("head %d of %s: %w", v, m.Signed.Expires.Format(time.DateOnly), ErrExpired)
	}
	return true, v, nil
}

// idOf is the content ID that a role's metadata states for a document, with its length. A document
// without both is refused: it could not be asked for by name, nor bounded.
func idOf(what string, length int64, hashes metadata.Hashes, limit int) (content.ID, int, error) {
	sum := hashes["sha256"]
	if len(sum) != 32 || length <= 0 {
		return content.ID{}, 0, fmt.Errorf("%s: no length and sha256 are signed: %w", what, ErrFormat)
	}
	if length > int64(limit) {
		return content.ID{}, 0, fmt.Errorf("%s of %d bytes: %w", what, length, ErrTooLarge)
	}
	return content.FromSHA256([32]byte(sum)), int(length), nil
}

func sameBytes(a, b []byte) bool { return len(a) > 0 && bytes.Equal(a, b) }
