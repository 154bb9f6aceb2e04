package policy

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// ErrMissing: the repository does not have what its own metadata, or the caller, names.
var ErrMissing = errors.New("not in the repository")

// TUFKind says what a TUFStep wants of the driver.
type TUFKind int

// The kinds of steps.
const (
	TUFLoad   TUFKind = iota // read Role from the metadata folder; nil if it is not there
	TUFFetch                 // get File from the mirror, at most MaxBytes; nil if it is not there
	TUFSave                  // make Body the Role of the metadata folder, durably
	TUFForget                // remove timestamp, snapshot and the mark, durably
)

// TUFStep is what a TUFClient wants next. The driver does it and calls Supply.
type TUFStep struct {
	Kind     TUFKind
	Role     string // TUFLoad, TUFSave: any text that a repository may choose, so never a path
	File     string // TUFFetch: name below the metadata URL, escaped already
	MaxBytes int    // TUFFetch
	Body     []byte // TUFSave
	// Mark, with a TUFSave of the root: the version of the root that withdrew timestamp or snapshot
	// keys whose files have not been forgotten yet, else 0. The driver makes the mark durable before the
	// root (or removes it before, if 0) and gives it to NewTUFClient the next time; it goes with
	// TUFForget.
	Mark int64
}

// TUFOptions of a client. The zero value takes Ed25519 keys only.
type TUFOptions struct {
	AllKeyTypes bool // RSA and ECDSA too, as the specification names them
}

// TUFClient is the client workflow of the TUF specification 1.0.x, section 5, for any repository. It
// is sans-IO: Next names a step, Supply takes its outcome. One error ends it for good; what it saved
// before stays, as the specification wants. It is not safe for concurrent use.
type TUFClient struct {
	now     time.Time // the one reference time (5.1)
	all     bool
	step    *TUFStep
	then    func([]byte) // takes the outcome of step
	err     error
	current bool // the top-level metadata is up to date

	root  *tufDoc[metadata.RootType]
	roots int
	// mark is the version of the root that first withdrew timestamp or snapshot keys since those files
	// were trusted; 0 if none did (5.3.11). It does not grow with later roots: a mark ahead of the root
	// on disk means nothing, so a crash before the later one is saved would lose it.
	mark      int64
	timestamp *tufDoc[metadata.TimestampType]
	snapshot  *tufDoc[metadata.SnapshotType]
	// targets holds the newest bytes seen of every targets role. That they are here says nothing:
	// whoever names the role has them verified again, with its own keys and threshold.
	targets map[string][]byte
	search  *tufSearch
}

// NewTUFClient begins with the trusted root and the mark that was left beside it (see TUFStep.Mark).
// It asks for nothing if the root is not sound. A mark ahead of the root was left by a crash before
// that root became the trusted one, and means nothing.
func NewTUFClient(root []byte, mark int64, now time.Time, o TUFOptions) *TUFClient {
	c := &TUFClient{now: now, all: o.AllKeyTypes, targets: map[string][]byte{}}
	r, err := decodeTUFRoot("trusted root", root)
	if err == nil {
		err = rootKeys(r, metadata.ROOT).check("trusted root", r.payload, r.sigs, c.all)
	}
	if err != nil {
		c.err = err
		return c
	}
	if c.root = r; mark > 0 && mark <= r.version {
		c.mark = mark
	}
	c.nextRoot()
	return c
}

// Next is the step to do; false when there is none: see Err, and Target after Find.
func (c *TUFClient) Next() (TUFStep, bool) {
	if c.err != nil || c.step == nil {
		return TUFStep{}, false
	}
	return *c.step, true
}

// Supply gives the outcome of the step that Next named: the bytes, or nil if there are none. For
// TUFSave and TUFForget it says that they are done, whatever it is given.
func (c *TUFClient) Supply(b []byte) {
	if c.err != nil || c.step == nil {
		return
	}
	step, then := c.step, c.then
	c.step, c.then = nil, nil
	if step.Kind == TUFFetch && len(b) > step.MaxBytes {
		c.fail(fmt.Errorf("%s of %d bytes, at most %d: %w", step.File, len(b), step.MaxBytes, ErrTooLarge))
		return
	}
	then(b)
}

// Err is why the client has ended; nil while it works and when all is well.
func (c *TUFClient) Err() error { return c.err }

// RootVersion is the version of the trusted root; 0 if there is none.
func (c *TUFClient) RootVersion() int64 {
	if c.root == nil {
		return 0
	}
	return c.root.version
}

// Versions of the trusted top-level metadata, once Next has nothing more; 0 for what is not trusted.
func (c *TUFClient) Versions() (timestamp, snapshot, targets int64) {
	if c.timestamp != nil {
		timestamp = c.timestamp.version
	}
	if c.snapshot != nil {
		snapshot = c.snapshot.version
		targets = c.snapshot.signed.Meta[targetsFile].Version
	}
	return timestamp, snapshot, targets
}

func (c *TUFClient) fail(err error) { c.err, c.step, c.then = err, nil, nil }

func (c *TUFClient) want(s TUFStep, then func([]byte)) { c.step, c.then = &s, then }

func (c *TUFClient) load(role string, then func([]byte)) {
	c.want(TUFStep{Kind: TUFLoad, Role: role}, then)
}

func (c *TUFClient) fetch(file string, limit int, then func([]byte)) {
	c.want(TUFStep{Kind: TUFFetch, File: file, MaxBytes: limit}, then)
}

func (c *TUFClient) save(role string, b []byte, then func()) {
	c.want(TUFStep{Kind: TUFSave, Role: role, Body: b}, func([]byte) { then() })
}

// nextRoot walks the chain of roots (5.3.3 to 5.3.9).
func (c *TUFClient) nextRoot() {
	if c.roots >= maxRoots {
		c.rootsDone()
		return
	}
	version := c.root.version + 1
	c.fetch(fmt.Sprintf("%d.root.json", version), MaxRootBytes, func(b []byte) {
		if b == nil {
			c.rootsDone()
			return
		}
		next, err := c.checkNextRoot(b)
		if err != nil {
			c.fail(err)
			return
		}
		if c.mark == 0 && withdrawn(c.root, next) {
			c.mark = next.version
		}
		c.root = next
		c.roots++
		c.want(TUFStep{Kind: TUFSave, Role: metadata.ROOT, Body: b, Mark: c.mark}, func([]byte) { c.nextRoot() })
	})
}

func (c *TUFClient) checkNextRoot(b []byte) (*tufDoc[metadata.RootType], error) {
	next, err := decodeTUFRoot("new root", b)
	if err != nil {
		return nil, err
	}
	for _, by := range []*tufDoc[metadata.RootType]{c.root, next} {
		what := fmt.Sprintf("root %d under the keys of root %d", c.root.version+1, by.version)
		if err := rootKeys(by, metadata.ROOT).check(what, next.payload, next.sigs, c.all); err != nil {
			return nil, err
		}
	}
	if next.version != c.root.version+1 {
		return nil, fmt.Errorf("root %d stands where root %d belongs: %w", next.version, c.root.version+1, ErrRollback)
	}
	return next, nil
}

// withdrawn says whether a root takes a timestamp or snapshot key away.
func withdrawn(old, next *tufDoc[metadata.RootType]) bool {
	for _, role := range onlineRoles {
		for _, id := range old.signed.Roles[role].KeyIDs {
			if !slices.Contains(next.signed.Roles[role].KeyIDs, id) {
				return true
			}
		}
	}
	return false
}

// rootsDone checks the final root (5.3.10) and forgets what withdrawn keys may have run ahead (5.3.11).
func (c *TUFClient) rootsDone() {
	if c.root.expired(c.now) {
		c.fail(fmt.Errorf("root %d of %s: %w", c.root.version, c.root.expires.Format(time.DateOnly), ErrExpired))
		return
	}
	if c.mark == 0 {
		c.load(metadata.TIMESTAMP, c.haveTimestamp)
		return
	}
	c.want(TUFStep{Kind: TUFForget}, func([]byte) {
		c.mark = 0
		c.fetchTimestamp()
	})
}

// haveTimestamp takes the timestamp of the last time as the floor. That it has expired is no matter
// here; if it does not hold together it is as good as none.
func (c *TUFClient) haveTimestamp(b []byte) {
	if ts, err := c.openTimestamp(b); err == nil {
		c.timestamp = ts
	}
	c.fetchTimestamp()
}

func (c *TUFClient) openTimestamp(b []byte) (*tufDoc[metadata.TimestampType], error) {
	ts, err := decodeTUFTimestamp(b)
	if err != nil {
		return nil, err
	}
	return ts, rootKeys(c.root, metadata.TIMESTAMP).check("timestamp", ts.payload, ts.sigs, c.all)
}

// fetchTimestamp updates the timestamp role (5.4).
func (c *TUFClient) fetchTimestamp() {
	c.fetch("timestamp.json", MaxTimestampBytes, func(b []byte) {
		if b == nil {
			c.fail(fmt.Errorf("timestamp.json: %w", ErrMissing))
			return
		}
		ts, err := c.openTimestamp(b)
		if err == nil {
			err = c.checkTimestamp(ts)
		}
		if err != nil {
			c.fail(err)
			return
		}
		if c.timestamp != nil && ts.version == c.timestamp.version {
			c.sameTimestamp()
			return
		}
		c.timestamp = ts
		c.save(metadata.TIMESTAMP, b, c.timestampDone)
	})
}

// checkTimestamp refuses a rollback (5.4.3) and a frozen timestamp (5.4.4).
func (c *TUFClient) checkTimestamp(ts *tufDoc[metadata.TimestampType]) error {
	if have := c.timestamp; have != nil {
		if ts.version < have.version {
			return fmt.Errorf("timestamp %d, trusted is %d: %w", ts.version, have.version, ErrRollback)
		}
		if ts.version == have.version {
			return nil // it is not taken, so nothing else in it matters
		}
		was, is := have.signed.Meta[snapshotFile].Version, ts.signed.Meta[snapshotFile].Version
		if is < was {
			return fmt.Errorf("timestamp %d names snapshot %d, trusted is %d: %w", ts.version, is, was, ErrRollback)
		}
	}
	if ts.expired(c.now) {
		return fmt.Errorf("timestamp %d of %s: %w", ts.version, ts.expires.Format(time.DateOnly), ErrExpired)
	}
	return nil
}

// sameTimestamp keeps the one that is here, whatever else the new one says (5.4.3.1). The rest of
// the walk still runs: the last time may have ended half way.
func (c *TUFClient) sameTimestamp() {
	if c.timestamp.expired(c.now) {
		c.fail(fmt.Errorf("timestamp %d of %s: %w", c.timestamp.version, c.timestamp.expires.Format(time.DateOnly), ErrExpired))
		return
	}
	c.timestampDone()
}

func (c *TUFClient) timestampDone() { c.load(metadata.SNAPSHOT, c.haveSnapshot) }

// haveSnapshot takes the snapshot of the last time as the floor, and as the final one if it is what
// the timestamp names.
func (c *TUFClient) haveSnapshot(b []byte) {
	meta := c.timestamp.signed.Meta[snapshotFile]
	if snap, err := c.openSnapshot(b); err == nil {
		c.snapshot = snap
		if snap.version == meta.Version && meta.VerifyLengthHashes(b) == nil && !snap.expired(c.now) {
			c.loadTargets()
			return
		}
	}
	c.fetchSnapshot(meta)
}

func (c *TUFClient) openSnapshot(b []byte) (*tufDoc[metadata.SnapshotType], error) {
	snap, err := decodeTUFSnapshot(b)
	if err != nil {
		return nil, err
	}
	return snap, rootKeys(c.root, metadata.SNAPSHOT).check("snapshot", snap.payload, snap.sigs, c.all)
}

// fetchSnapshot updates the snapshot role (5.5).
func (c *TUFClient) fetchSnapshot(meta *metadata.MetaFiles) {
	limit, err := tufLimit("snapshot", meta, MaxSnapshotBytes)
	if err != nil {
		c.fail(err)
		return
	}
	c.fetch(c.fileName(metadata.SNAPSHOT, meta.Version), limit, func(b []byte) {
		snap, err := c.checkSnapshot(meta, b)
		if err != nil {
			c.fail(err)
			return
		}
		c.snapshot = snap
		c.save(metadata.SNAPSHOT, b, c.loadTargets)
	})
}

func (c *TUFClient) checkSnapshot(meta *metadata.MetaFiles, b []byte) (*tufDoc[metadata.SnapshotType], error) {
	if b == nil {
		return nil, fmt.Errorf("snapshot %d: %w", meta.Version, ErrMissing)
	}
	if err := meta.VerifyLengthHashes(b); err != nil {
		return nil, fmt.Errorf("snapshot %d: %w: %w", meta.Version, ErrHash, err)
	}
	snap, err := c.openSnapshot(b)
	if err != nil {
		return nil, err
	}
	if snap.version != meta.Version {
		return nil, fmt.Errorf("snapshot %d stands where the timestamp names %d: %w", snap.version, meta.Version, ErrRollback)
	}
	if err := c.checkSnapshotFloor(snap); err != nil {
		return nil, err
	}
	if snap.expired(c.now) {
		return nil, fmt.Errorf("snapshot %d of %s: %w", snap.version, snap.expires.Format(time.DateOnly), ErrExpired)
	}
	return snap, nil
}

// checkSnapshotFloor refuses a snapshot that drops a role or goes back in one (5.5.5).
func (c *TUFClient) checkSnapshotFloor(snap *tufDoc[metadata.SnapshotType]) error {
	if c.snapshot == nil {
		return nil
	}
	for name, was := range c.snapshot.signed.Meta {
		is := snap.signed.Meta[name]
		if is == nil {
			return fmt.Errorf("snapshot %d does not name %.60q any more: %w", snap.version, name, ErrRollback)
		}
		if is.Version < was.Version {
			return fmt.Errorf("snapshot %d names version %d of %.60q, trusted is %d: %w", snap.version, is.Version, name, was.Version, ErrRollback)
		}
	}
	return nil
}

func (c *TUFClient) loadTargets() {
	c.role(metadata.TARGETS, rootKeys(c.root, metadata.TARGETS), func(*tufDoc[metadata.TargetsType]) { c.current = true })
}

// fileName is the name of metadata on the mirror (5.5.1, 5.6.1).
func (c *TUFClient) fileName(role string, version int64) string {
	if c.root.signed.ConsistentSnapshot {
		return fmt.Sprintf("%d.%s.json", version, EscapeTUFName(role))
	}
	return EscapeTUFName(role) + ".json"
}

// tufLimit is how much of a file to read: its length if one is signed, our own bound otherwise.
func tufLimit(what string, meta *metadata.MetaFiles, most int) (int, error) {
	if meta.Length > int64(most) {
		return 0, fmt.Errorf("%.60q of %d bytes, at most %d: %w", what, meta.Length, most, ErrTooLarge)
	}
	if meta.Length > 0 {
		return int(meta.Length), nil
	}
	return most, nil
}
