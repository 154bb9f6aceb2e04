package policy

import (
	"crypto/sha256"
	"fmt"
	"path"

	"github.com/theupdateframework/go-tuf/v2/metadata"
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
	files := []MirrorFile{
		{MirrorRoot(t.RootVersion()), t.files.Root},
		{mirrorTarget(sha256.Sum256(t.files.Manifest), ManifestPath), t.files.Manifest},
		{mirrorTarget(sha256.Sum256(t.files.Roster), RosterPath), t.files.Roster},
	}
	roles, err := decodeDelegated(t.files.Delegated)
	if err != nil {
		panic("policy: the documents of roles were verified and do not decode")
	}
	for _, f := range roles {
		files = append(files,
			MirrorFile{mirrorTarget(sha256.Sum256(f.Document), RolePath(f.Role)), f.Document},
			MirrorFile{versioned(t.tm.Snapshot.Signed.Meta[f.Role+".json"].Version, f.Role), f.Signed})
	}
	return append(files, []MirrorFile{
		{versioned(t.tm.Targets[RosterRole].Signed.Version, RosterRole), t.files.RosterRole},
		{versioned(t.tm.Targets[metadata.TARGETS].Signed.Version, metadata.TARGETS), t.files.Targets},
		{versioned(t.tm.Snapshot.Signed.Version, metadata.SNAPSHOT), t.files.Snapshot},
		{MirrorHead, t.files.Timestamp},
	}...)
}

func versioned(version int64, role string) string { return fmt.Sprintf("%d.%s.json", version, role) }

// mirrorTarget is the name of a target: its hash stands before the last part of its path (TUF 6.2).
func mirrorTarget(sum [32]byte, name string) string {
	dir, base := path.Split(name)
	return fmt.Sprintf("%s%s%x.%s", mirrorTargets, dir, sum, base)
}

// MirrorName is the name on a mirror of a document that r needs.
func (r *Refresh) MirrorName(n Need) string {
	switch n.Role {
	case roleSnapshot:
		return versioned(r.tm.Timestamp.Signed.Meta[snapshotFile].Version, metadata.SNAPSHOT)
	case roleTargets:
		return versioned(r.tm.Snapshot.Signed.Meta[targetsFile].Version, metadata.TARGETS)
	case roleRosterRole:
		return versioned(r.tm.Snapshot.Signed.Meta[rosterFile].Version, RosterRole)
	case roleRoster:
		return mirrorTarget(n.ID.SHA256(), RosterPath)
	case roleManifest:
		return mirrorTarget(n.ID.SHA256(), ManifestPath)
	}
	g := r.pending()
	switch {
	case g != nil && n.Role == roleDelegate:
		return versioned(g.meta.Version, g.Role)
	case g != nil && n.Role == roleDelegated:
		return mirrorTarget(n.ID.SHA256(), RolePath(g.Role))
	}
	return MirrorRoot(n.RootVersion)
}
