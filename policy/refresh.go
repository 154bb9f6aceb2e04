package policy

import (
	"errors"
	"fmt"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"

	"patchmesh/content"
)

// The roles that a Need names.
const (
	roleRoot       = "root"
	roleSnapshot   = "snapshot"
	roleTargets    = "targets"
	roleRosterRole = "roster-role"
	roleRoster     = "roster"
	roleManifest   = "manifest"
	roleDelegate   = "delegated-role"     // TUF metadata of a delegated role
	roleDelegated  = "delegated-manifest" // what it decided
)

// Need is the document that a Refresh asks for next.
type Need struct {
	Role        string     // root, snapshot, targets, roster-role, roster, manifest, delegated-role, delegated-manifest: for messages
	RootVersion int64      // for a root: the version wanted; it may not exist
	ID          content.ID // for all others
	MaxBytes    int
}

// Refresh walks from a trusted set to the one behind a newer head, following the client workflow of
// the TUF specification 1.0.x, section 5. It is sans-IO: Need names a document, Supply takes its
// bytes. Any error ends it; the Trust that it began from is untouched.
type Refresh struct {
	base     *Trust
	head     []byte
	now      time.Time
	late     time.Duration // see RefreshLate
	tm       *trustedmetadata.TrustedMetadata
	old      Files // documents at hand: used where the signed hashes name them
	files    Files // verified so far
	rootDone bool
	roots    int  // newer roots taken so far
	floors   bool // the trusted timestamp and snapshot still bind, see rotated
	local    bool // loading our own files: expiry does not matter
	err      error

	manifest  *Manifest // of the main approvers
	roster    *Roster
	oldRoles  []delegatedFile // of old.Delegated
	delegates []*roleWalk     // known once the manifest is
}

// maxRoots bounds the newer roots of one Refresh. Each is signed by a threshold of root keys, about
// once a year, so only thieves of those would come near it.
const maxRoots = 1024

// maxSnapshotFiles bounds the documents that a snapshot names: two, and every delegated role there
// ever was. TUF does not let a name go once it was named.
const maxSnapshotFiles = 2 + 16*MaxDelegations

// Refresh begins with a head, see CheckHead. It asks for newer roots first. The trusted root was verified
// when the Trust was opened: to do so again for every head would let whoever sends heads waste our time.
func (t *Trust) Refresh(head []byte, now time.Time) *Refresh {
	r := &Refresh{base: t, head: head, now: now, old: t.files, files: Files{Root: t.files.Root}}
	r.tm = &trustedmetadata.TrustedMetadata{Root: t.tm.Root, Targets: map[string]*metadata.Metadata[metadata.TargetsType]{}, RefTime: now}
	r.oldRoles, r.err = decodeDelegated(t.files.Delegated)
	return r
}

// Need is the next document; false when there is none, because the walk is complete or has failed.
func (r *Refresh) Need() (Need, bool) {
	if r.err != nil {
		return Need{}, false
	}
	if !r.rootDone {
		return Need{Role: roleRoot, RootVersion: r.tm.Root.Signed.Version + 1, MaxBytes: MaxRootBytes}, true
	}
	for {
		need, have, err := r.next()
		if err != nil {
			r.err = err
			return Need{}, false
		}
		if need.Role == "" || have == nil {
			return need, need.Role != ""
		}
		if err := r.take(need.Role, have); err != nil {
			r.err = err
			return Need{}, false
		}
	}
}

// next finds the first document that is not verified yet, and its bytes if they are at hand.
func (r *Refresh) next() (Need, []byte, error) {
	meta := func(role string) (int64, metadata.Hashes) {
		if m := r.tm.Snapshot.Signed.Meta[role+".json"]; m != nil {
			return m.Length, m.Hashes
		}
		return 0, nil
	}
	target := func(role, path string) (int64, metadata.Hashes) {
		if f := r.tm.Targets[role].Signed.Targets[path]; f != nil {
			return f.Length, f.Hashes
		}
		return 0, nil
	}
	switch {
	case r.files.Snapshot == nil:
		m := r.tm.Timestamp.Signed.Meta[snapshotFile]
		return needFor(roleSnapshot, m.Length, m.Hashes, MaxSnapshotBytes, r.old.Snapshot)
	case r.files.Targets == nil:
		length, hashes := meta(metadata.TARGETS)
		return needFor(roleTargets, length, hashes, MaxTargetsBytes, r.old.Targets)
	case r.files.RosterRole == nil:
		length, hashes := meta(RosterRole)
		return needFor(roleRosterRole, length, hashes, MaxTargetsBytes, r.old.RosterRole)
	case r.files.Roster == nil:
		length, hashes := target(RosterRole, RosterPath)
		return needFor(roleRoster, length, hashes, MaxRosterBytes, r.old.Roster)
	case r.files.Manifest == nil:
		length, hashes := target(metadata.TARGETS, ManifestPath)
		return needFor(roleManifest, length, hashes, MaxManifestBytes, r.old.Manifest)
	}
	return r.nextDelegate()
}

// needFor names a document, with the old one if it is still the right one.
func needFor(role string, length int64, hashes metadata.Hashes, limit int, old []byte) (Need, []byte, error) {
	id, size, err := idOf(role, length, hashes, limit)
	if err != nil {
		return Need{}, nil, err
	}
	if len(old) == size && content.Sum(old) == id {
		return Need{Role: role, ID: id, MaxBytes: size}, old, nil
	}
	return Need{Role: role, ID: id, MaxBytes: size}, nil, nil
}

// Supply gives the document that Need named. For a root, nil says that there is no newer one.
func (r *Refresh) Supply(b []byte) error {
	need, more := r.Need()
	if !more {
		return errors.Join(r.err, fmt.Errorf("nothing is needed: %w", ErrFormat))
	}
	if len(b) > need.MaxBytes {
		r.err = fmt.Errorf("%s of %d bytes: %w", need.Role, len(b), ErrTooLarge)
		return r.err
	}
	if need.RootVersion > 0 {
		r.err = r.supplyRoot(b)
		return r.err
	}
	if content.Sum(b) != need.ID {
		r.err = fmt.Errorf("%s: %w", need.Role, ErrHash)
		return r.err
	}
	r.err = r.take(need.Role, b)
	return r.err
}

// supplyRoot takes one more root, or goes on to the timestamp (specification 5.3).
func (r *Refresh) supplyRoot(b []byte) error {
	if b != nil {
		if err := r.takeRoot(b); err != nil {
			return err
		}
		if r.roots++; r.roots > maxRoots {
			return fmt.Errorf("more than %d newer roots: %w", maxRoots, ErrTooLarge)
		}
		return nil
	}
	if err := r.inTime(roleRoot, r.tm.Root.Signed.Expires); err != nil {
		return err
	}
	r.rootDone = true
	r.floors = !rotated(r.base.tm.Root, r.tm.Root)
	if r.floors && len(r.old.Timestamp) > 0 {
		// The trusted timestamp sets the floor. That it has expired meanwhile does not matter, and
		// go-tuf keeps it although it says so.
		_, _ = r.tm.UpdateTimestamp(r.old.Timestamp)
	}
	return r.supplyTimestamp(r.head)
}

// takeRoot verifies the next root of the chain.
func (r *Refresh) takeRoot(b []byte) error {
	root, err := parseRoot(b)
	if err != nil {
		return err
	}
	if org := orgOf(root); org != orgOf(r.base.tm.Root) {
		return fmt.Errorf("root of %.40q: %w", org, ErrOrg)
	}
	if _, err := r.tm.UpdateRoot(b); err != nil {
		return translate("root", err)
	}
	r.files.Root = b
	return nil
}

func (r *Refresh) supplyTimestamp(b []byte) error {
	m, err := parseTimestamp(r.tm.Root, b)
	if err != nil {
		return err
	}
	if err := r.checkTimestampJump(m); err != nil {
		return err
	}
	_, err = r.tm.UpdateTimestamp(b)
	var equal *metadata.ErrEqualVersionNumber
	if errors.As(err, &equal) {
		if !sameBytes(r.old.Timestamp, b) {
			return fmt.Errorf("two timestamps of version %d: %w", m.Signed.Version, ErrRollback)
		}
		err = nil
		if m.Signed.IsExpired(r.now.Add(-r.late)) && !r.local {
			return fmt.Errorf("timestamp: %w", ErrExpired)
		}
	}
	if err != nil {
		return translate("timestamp", err)
	}
	r.files.Timestamp = b
	if r.floors && len(r.old.Snapshot) > 0 {
		// An old snapshot only sets the floor; that it is not the one the new timestamp names, or
		// has expired, is no matter.
		_, _ = r.tm.UpdateSnapshot(r.old.Snapshot, true)
	}
	return nil
}

// checkTimestampJump bounds the versions that an online key alone can choose.
func (r *Refresh) checkTimestampJump(m *metadata.Metadata[metadata.TimestampType]) error {
	if r.local {
		return nil
	}
	var haveHead, haveSnapshot int64
	if r.tm.Timestamp != nil {
		haveHead, haveSnapshot = r.tm.Timestamp.Signed.Version, r.tm.Timestamp.Signed.Meta[snapshotFile].Version
	}
	if err := checkJump("timestamp", haveHead, m.Signed.Version); err != nil {
		return err
	}
	return checkJump("snapshot", haveSnapshot, m.Signed.Meta[snapshotFile].Version)
}

// takeSnapshot verifies a snapshot and bounds the versions in it.
func (r *Refresh) takeSnapshot(b []byte) error {
	m, err := parseSigned[metadata.SnapshotType]("snapshot", b, MaxSnapshotBytes)
	if err != nil {
		return err
	}
	for _, name := range []string{targetsFile, rosterFile} {
		if m.Signed.Meta[name] == nil {
			return fmt.Errorf("snapshot does not name %s: %w", name, ErrFormat)
		}
	}
	if len(m.Signed.Meta) > maxSnapshotFiles {
		return fmt.Errorf("snapshot names %d documents: %w", len(m.Signed.Meta), ErrTooLarge)
	}
	for name, f := range m.Signed.Meta { // refuses only: order does not matter
		have := int64(0)
		if r.floors && r.tm.Snapshot != nil && r.tm.Snapshot.Signed.Meta[name] != nil {
			have = r.tm.Snapshot.Signed.Meta[name].Version
		}
		if got := f.Version; !r.local && got > have {
			if err := checkJump(name, have, got); err != nil {
				return err
			}
		}
	}
	if _, err := r.tm.UpdateSnapshot(b, false); err != nil {
		return translate("snapshot", err)
	}
	r.files.Snapshot = b
	return nil
}

// take verifies a document whose hash is right already.
func (r *Refresh) take(role string, b []byte) error {
	switch role {
	case roleSnapshot:
		return r.takeSnapshot(b)
	case roleTargets:
		if err := checkShape(role, b); err != nil {
			return err
		}
		m, err := r.tm.UpdateTargets(b)
		if err != nil {
			return translate(role, err)
		}
		if err := r.inTime(role, m.Signed.Expires); err != nil {
			return err
		}
		r.files.Targets = b
		return checkDelegation(r.tm.Root, m)
	case roleRosterRole:
		if err := checkShape(role, b); err != nil {
			return err
		}
		if _, err := r.tm.UpdateDelegatedTargets(b, RosterRole, metadata.TARGETS); err != nil {
			return translate(role, err)
		}
		r.files.RosterRole = b
	case roleRoster:
		return r.takeRoster(b)
	case roleManifest:
		return r.takeManifest(b)
	case roleDelegate, roleDelegated:
		return r.takeDelegate(b)
	}
	return nil
}

func (r *Refresh) takeRoster(b []byte) error {
	roster, err := DecodeRoster(b)
	if err != nil {
		return err
	}
	if roster.Org != orgOf(r.tm.Root) {
		return fmt.Errorf("roster of %.40q in the mesh of %.40q: %w", roster.Org, orgOf(r.tm.Root), ErrOrg)
	}
	if v := r.tm.Targets[RosterRole].Signed.Version; uint64(v) != roster.Serial {
		return fmt.Errorf("roster serial %d under roster role version %d: %w", roster.Serial, v, ErrFormat)
	}
	if was := r.base.roster; was != nil && r.floors && roster.Serial < was.Serial {
		return fmt.Errorf("roster %d, trusted is %d: %w", roster.Serial, was.Serial, ErrRollback)
	}
	r.files.Roster, r.roster = b, roster
	return nil
}

// takeManifest holds on to the epoch whatever happened to keys: a new root may free the versions of
// online roles, never bring back an older set of approvals.
func (r *Refresh) takeManifest(b []byte) error {
	m, err := DecodeManifest(b)
	if err != nil {
		return err
	}
	if m.Org != orgOf(r.tm.Root) {
		return fmt.Errorf("manifest of %.40q in the mesh of %.40q: %w", m.Org, orgOf(r.tm.Root), ErrOrg)
	}
	if v := r.tm.Targets[metadata.TARGETS].Signed.Version; uint64(v) != m.Epoch {
		return fmt.Errorf("manifest epoch %d under targets version %d: %w", m.Epoch, v, ErrFormat)
	}
	if was := r.base.main; was != nil && !r.local {
		switch {
		case m.Epoch < was.Epoch:
			return fmt.Errorf("epoch %d, trusted is %d: %w", m.Epoch, was.Epoch, ErrRollback)
		case m.Epoch == was.Epoch && !sameBytes(b, r.base.files.Manifest):
			return fmt.Errorf("two manifests of epoch %d: %w", m.Epoch, ErrRollback)
		}
	}
	r.files.Manifest, r.manifest = b, m
	return r.beginDelegates()
}

// Result is the new trust, once nothing is needed any more.
func (r *Refresh) Result() (*Trust, error) {
	if r.err != nil {
		return nil, r.err
	}
	if _, more := r.Need(); more || r.manifest == nil {
		return nil, errors.Join(r.err, fmt.Errorf("documents are missing: %w", ErrFormat))
	}
	manifest, roles, delegated := r.endDelegates()
	files := r.files
	files.Delegated = delegated
	return &Trust{files: files, tm: r.tm, main: r.manifest, manifest: manifest.dated(r.roster), roles: roles, roster: r.roster}, nil
}
