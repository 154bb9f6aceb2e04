package policy

import (
	"fmt"
	"maps"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Publish makes the next set of documents: the draft if it is given (of the main approvers or of a
// delegated role), a new roster if it is given, and
// fresh online signatures. The result has been verified as a machine would that trusts t, so a draft
// below the threshold is ErrThreshold here too, and on any error no documents are returned.
func (t *Trust) Publish(d *Draft, roster *Roster, online OnlineKeys, now time.Time) (Files, error) {
	return t.publish(nil, d, roster, online, now)
}

// PublishRoot is Publish under a new root, see NextRoot. A root that changes approvers needs a draft
// that the new ones have signed; a root that changes online keys needs the new ones.
func (t *Trust) PublishRoot(root []byte, d *Draft, roster *Roster, online OnlineKeys, now time.Time) (Files, error) {
	if len(root) == 0 {
		return Files{}, fmt.Errorf("publish root: nothing given: %w", ErrFormat)
	}
	return t.publish(root, d, roster, online, now)
}

func (t *Trust) publish(root []byte, d *Draft, roster *Roster, online OnlineKeys, now time.Time) (Files, error) {
	for _, s := range []Signer{online.Timestamp, online.Snapshot, online.Roster} {
		if s.sig == nil {
			return Files{}, fmt.Errorf("publish: an online key is missing: %w", ErrFormat)
		}
	}
	if t.manifest == nil && (d == nil || roster == nil) {
		return Files{}, fmt.Errorf("publish: a mesh begins with a manifest and a roster: %w", ErrFormat)
	}
	p := publication{t: t, root: root, online: online, now: now, files: t.files}
	if root != nil {
		p.files.Root = root
	}
	if err := p.takeTargets(d); err != nil {
		return Files{}, err
	}
	if err := p.takeRoster(roster); err != nil {
		return Files{}, err
	}
	if err := p.freshen(); err != nil {
		return Files{}, err
	}
	if err := p.verify(); err != nil {
		return Files{}, err
	}
	return p.files, nil
}

// publication is one Publish under way.
type publication struct {
	t              *Trust
	root           []byte // the new one, if there is one
	online         OnlineKeys
	now            time.Time
	files          Files
	targetsVersion int64
	rosterVersion  int64
	role           *Draft                                   // of a delegated role
	main           *metadata.Metadata[metadata.TargetsType] // of the main draft; nil without one
}

func (p *publication) takeTargets(d *Draft) error {
	if d == nil || d.role != "" {
		p.targetsVersion = p.t.tm.Targets[metadata.TARGETS].Signed.Version
	}
	if d == nil {
		return nil
	}
	by := p.t
	if p.root != nil {
		var err error
		if by, err = p.t.WithRoot(p.root); err != nil {
			return err
		}
	}
	if err := d.Check(by); err != nil {
		return err
	}
	if d.role != "" {
		return p.takeRole(d)
	}
	b, err := d.targets.ToBytes(false)
	if err != nil {
		return fmt.Errorf("encode targets: %w", err)
	}
	p.files.Targets, p.files.Manifest, p.targetsVersion, p.main = b, d.manifest, int64(d.epoch), d.targets
	return p.dropRoles(d)
}

func (p *publication) takeRoster(given *Roster) error {
	old := p.t.tm.Targets[RosterRole]
	life := p.online.life().Roster
	switch {
	case old != nil:
		p.rosterVersion = old.Signed.Version
		if given == nil && old.Signed.Expires.Sub(p.now) > life/2 && !p.rosterMoved(old) {
			return nil
		}
		if given == nil {
			given = p.t.roster
		}
	case given == nil:
		return fmt.Errorf("a mesh begins with a roster: %w", ErrFormat)
	}
	p.rosterVersion++
	r := *given // the caller's copy, or the one of a Trust that others read
	r.Serial, r.IssuedAt = uint64(p.rosterVersion), stamp(p.now)
	r.prune(p.now)
	doc, err := r.Encode()
	if err != nil {
		return err
	}
	role := metadata.Targets(expiry(p.now, life))
	role.Signed.Version = p.rosterVersion
	role.Signed.Targets[RosterPath] = targetFile(doc)
	if _, err := role.Sign(p.online.Roster.sig); err != nil {
		return fmt.Errorf("sign roster: %w", err)
	}
	b, err := role.ToBytes(false)
	if err != nil {
		return fmt.Errorf("encode roster role: %w", err)
	}
	p.files.RosterRole, p.files.Roster = b, doc
	return nil
}

// freshen signs a new snapshot and timestamp.
func (p *publication) freshen() error {
	snap := metadata.Snapshot(expiry(p.now, p.online.life().Snapshot))
	if old := p.t.tm.Snapshot; old != nil {
		snap.Signed.Version = old.Signed.Version + 1
	}
	snap.Signed.Meta = map[string]*metadata.MetaFiles{}
	if p.t.tm.Snapshot != nil { // documents of delegated roles: what was named once stays named
		maps.Copy(snap.Signed.Meta, p.t.tm.Snapshot.Signed.Meta)
	}
	snap.Signed.Meta[targetsFile] = metaFile(p.targetsVersion, p.files.Targets)
	snap.Signed.Meta[rosterFile] = metaFile(p.rosterVersion, p.files.RosterRole)
	if err := p.nameRole(snap); err != nil {
		return err
	}
	if _, err := snap.Sign(p.online.Snapshot.sig); err != nil {
		return fmt.Errorf("sign snapshot: %w", err)
	}
	var err error
	if p.files.Snapshot, err = snap.ToBytes(false); err != nil {
		return fmt.Errorf("encode snapshot: %w", err)
	}
	ts := metadata.Timestamp(expiry(p.now, p.online.life().Timestamp))
	ts.Signed.Version = p.t.HeadVersion() + 1
	ts.Signed.Meta = map[string]*metadata.MetaFiles{snapshotFile: metaFile(snap.Signed.Version, p.files.Snapshot)}
	ts.Signed.UnrecognizedFields = map[string]any{issuedField: stamp(p.now).Format(time.RFC3339)}
	if _, err := ts.Sign(p.online.Timestamp.sig); err != nil {
		return fmt.Errorf("sign timestamp: %w", err)
	}
	if p.files.Timestamp, err = ts.ToBytes(false); err != nil {
		return fmt.Errorf("encode timestamp: %w", err)
	}
	return nil
}

func metaFile(version int64, b []byte) *metadata.MetaFiles {
	f := metadata.MetaFile(version)
	f.Length, f.Hashes = int64(len(b)), hashes(b)
	return f
}

// verify walks the new set as a machine would that trusts the old one, and as one that has just
// joined with the new root. The second keeps a seed from publishing what only its own past explains.
func (p *publication) verify() error {
	if err := p.walk(p.t, p.root); err != nil {
		return err
	}
	fresh, err := NewTrust(p.files.Root)
	if err != nil {
		return err
	}
	return p.walk(fresh, nil)
}

func (p *publication) walk(from *Trust, root []byte) error {
	r := from.Refresh(p.files.Timestamp, p.now)
	for need, more := r.Need(); more; need, more = r.Need() {
		b := p.files.Find(need.ID)
		if need.RootVersion > 0 {
			b, root = root, nil
		}
		if err := r.Supply(b); err != nil {
			return err
		}
	}
	_, err := r.Result()
	return err
}
