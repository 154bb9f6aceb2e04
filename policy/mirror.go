package policy

import (
	"crypto/sha256"
	"fmt"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"patchmesh/content"
)

// The layout of a mirror: the standard names of TUF with consistent snapshots, metadata at the top
// and targets below, so that any static web host carries it and any TUF client reads it.
const (
	MirrorHead    = "timestamp.json"
	mirrorTargets = "targets/"
)

// MirrorRoot is the name of a root on a mirror.
func MirrorRoot(version int64) string { return fmt.Sprintf("%d.root.json", version) }

// MirrorFile is one file of a mirror: its name, with slashes, and its bytes.
type MirrorFile struct {
	Name string
	Body []byte
}

// MirrorFiles are the documents of a trust with their names on a mirror, in the order in which they
// must be written: what a document leads to stands before it, the head is last. The roots before
// this one are not among them. Empty without a manifest.
func (t *Trust) MirrorFiles() []MirrorFile {
	if t.manifest == nil {
		return nil
	}
	hashed := func(b []byte, path string) string {
		return fmt.Sprintf("%s%x.%s", mirrorTargets, sha256.Sum256(b), path)
	}
	versioned := func(version int64, role string) string { return fmt.Sprintf("%d.%s.json", version, role) }
	return []MirrorFile{
		{MirrorRoot(t.RootVersion()), t.files.Root},
		{hashed(t.files.Manifest, ManifestPath), t.files.Manifest},
		{hashed(t.files.Roster, RosterPath), t.files.Roster},
		{versioned(t.tm.Targets[RosterRole].Signed.Version, RosterRole), t.files.RosterRole},
		{versioned(t.tm.Targets[metadata.TARGETS].Signed.Version, metadata.TARGETS), t.files.Targets},
		{versioned(t.tm.Snapshot.Signed.Version, metadata.SNAPSHOT), t.files.Snapshot},
		{MirrorHead, t.files.Timestamp},
	}
}

// MirrorName is the name on a mirror of a document that r needs.
func (r *Refresh) MirrorName(n Need) string {
	hashed := func(id content.ID, path string) string {
		return fmt.Sprintf("%s%x.%s", mirrorTargets, id.SHA256(), path)
	}
	switch n.Role {
	case roleSnapshot:
		return fmt.Sprintf("%d.snapshot.json", r.tm.Timestamp.Signed.Meta[snapshotFile].Version)
	case roleTargets:
		return fmt.Sprintf("%d.targets.json", r.tm.Snapshot.Signed.Meta[targetsFile].Version)
	case roleRosterRole:
		return fmt.Sprintf("%d.%s.json", r.tm.Snapshot.Signed.Meta[rosterFile].Version, RosterRole)
	case roleRoster:
		return hashed(n.ID, RosterPath)
	case roleManifest:
		return hashed(n.ID, ManifestPath)
	}
	return MirrorRoot(n.RootVersion)
}
