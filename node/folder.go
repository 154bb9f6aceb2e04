package node

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"patchmesh/content"
	"patchmesh/content/disk"
	"patchmesh/node/api"
	"patchmesh/node/keys"
	"patchmesh/node/state"
	"patchmesh/node/trustdir"
	"patchmesh/policy"
)

// folder is an open data folder: everything that needs no network. Whoever has it open is the only
// one: the payload store's lock guards all of it.
type folder struct {
	dir      string
	db       *state.DB
	store    *disk.Store
	docs     *library
	believer *believer
	member   membership
	key      ed25519.PrivateKey
	id       string
	seed     *seed
	now      func() time.Time
}

// openFolder opens the data folder of a member.
func openFolder(dir string, now func() time.Time) (*folder, error) {
	if _, err := os.Stat(filepath.Join(dir, "state.db")); errors.Is(err, fs.ErrNotExist) {
		return nil, notAMember(dir)
	} else if errors.Is(err, fs.ErrPermission) {
		return nil, forbidden(dir)
	}
	if err := noLinks(dir); err != nil {
		return nil, err
	}
	f := &folder{dir: dir, now: now}
	if err := f.open(); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// forbidden: this user may not use the data folder.
func forbidden(dir string) error {
	return api.Errorf(api.ClassFailed, "no permission to use the data folder %s", dir).
		WithHint("run it as the user who owns the folder, or choose another one with --data")
}

// waitFolder opens a data folder that a short command may just be using.
func waitFolder(dir string, now func() time.Time, most time.Duration) (*folder, error) {
	for end := time.Now().Add(most); ; time.Sleep(50 * time.Millisecond) {
		f, err := openFolder(dir, now)
		if !errors.Is(err, ErrLocked) || time.Now().After(end) {
			return f, err
		}
	}
}

func (f *folder) open() error {
	var err error
	// The store first: its lock keeps a second process from touching anything.
	if f.store, err = openStore(f.dir, f.now); err != nil {
		return err
	}
	if f.db, err = state.Open(filepath.Join(f.dir, "state.db")); err != nil {
		return err
	}
	if f.member, err = loadMembership(f.dir, f.db); err != nil {
		return err
	}
	if err = f.openIdentity(); err != nil {
		return err
	}
	if f.believer, err = openBeliever(filepath.Join(f.dir, "trust"), f.now, f.knownRoots()...); err != nil {
		return trustTrouble(f.dir, err)
	}
	f.now = f.believer.clock.now // from here on nobody reads the wall clock alone
	f.docs = newLibrary(f.db)
	f.docs.setTrusted(f.believer.current().Files())
	f.seed, err = openSeed(f.dir, f.db, f.store, f.believer, f.docs, f.member, f.now)
	return err
}

// knownRoots are the roots that this machine has followed, which it keeps to serve them to others. Those
// from before it joined are not among them.
func (f *folder) knownRoots() (roots [][]byte) {
	for v := int64(1); v <= maxRootsAhead || len(roots) > 0; v++ {
		b, err := f.db.Value(rootKey(v))
		if err == nil && len(b) > 0 {
			roots = append(roots, b)
		} else if len(roots) > 0 {
			break
		}
	}
	return roots
}

// maxRootsAhead bounds the search for the first root that is kept: organisations make one a year.
const maxRootsAhead = 1024

// trustTrouble: not even a root is left, so nothing could be verified. Nothing is reset: that would be
// the very rollback that the documents protect against.
func trustTrouble(dir string, err error) error {
	if errors.Is(err, trustdir.ErrEmpty) || errors.Is(err, trustdir.ErrDamaged) || failureIsTrust(err) {
		return api.Errorf(api.ClassRefused, "the trusted documents in %s cannot be believed: %v", filepath.Join(dir, "trust"), err).
			WithHint("restore the folder from a backup, or enrol the machine again with a new token in an empty data folder")
	}
	return err
}

func openStore(dir string, now func() time.Time) (*disk.Store, error) {
	if err := disk.Guard(dir); err != nil {
		return nil, api.Errorf(api.ClassRefused, "the data folder cannot be kept from other users: %v", err).WithHint("choose another one with --data")
	}
	s, err := disk.Open(filepath.Join(dir, "payloads"), disk.Options{Now: now, SaveEvery: 2 * time.Second, QuotaBytes: -1})
	if errors.Is(err, content.ErrLocked) {
		return nil, fmt.Errorf("%w: %w", ErrLocked, api.Errorf(api.ClassFailed, "another patchmesh works on %s", dir).
			WithHint("stop it first, or choose another folder with --data"))
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, forbidden(dir)
	}
	return s, err
}

// ErrLocked: another process works on the data folder.
var ErrLocked = errors.New("the data folder is in use")

func (f *folder) close() {
	var errs []error
	if f.store != nil {
		errs = append(errs, f.store.Close())
	}
	if f.db != nil {
		errs = append(errs, f.db.Close())
	}
	_ = errors.Join(errs...) // nothing is lost: what counts was synced before it was acknowledged
}

// newFolder makes an empty data folder for init or join. One that holds a member already is refused.
func newFolder(dir string, now func() time.Time) (*folder, error) {
	if err := os.MkdirAll(dir, 0o700); errors.Is(err, fs.ErrPermission) {
		return nil, forbidden(dir)
	} else if err != nil {
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	err := errors.Join(ActAsOwner(dir), noLinks(dir))
	if err != nil {
		return nil, err
	}
	f := &folder{dir: dir, now: now}
	if f.store, err = openStore(dir, now); err != nil {
		return nil, err
	}
	if f.db, err = state.Open(filepath.Join(dir, "state.db")); err != nil {
		f.close()
		return nil, err
	}
	if b, err := f.db.Value(membershipKey); err == nil && len(b) > 0 {
		f.close()
		return nil, api.Errorf(api.ClassUsage, "%s belongs to a mesh already", dir).WithHint("choose an empty folder with --data")
	}
	if err := f.openIdentity(); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// openIdentity loads the node key, making it if need be.
func (f *folder) openIdentity() (err error) {
	if f.key, err = keys.LoadOrCreateNode(filepath.Join(f.dir, "keys"), rand.Reader); err != nil {
		return err
	}
	f.id, err = keys.PeerID(f.key.Public().(ed25519.PublicKey))
	return err
}

// beginTrust keeps the first set of documents of a new folder.
func (f *folder) beginTrust(files policy.Files, rootVersion int64) error {
	t, err := policy.OpenTrust(files, f.now())
	if err != nil {
		return err
	}
	dir, err := trustdir.Open(filepath.Join(f.dir, "trust"))
	if err != nil {
		return err
	}
	if err := dir.Keep(t, policy.ClockState{}); err != nil {
		return err
	}
	return f.db.PutValue(rootKey(rootVersion), files.Root)
}
