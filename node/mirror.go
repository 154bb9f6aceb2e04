package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/node/origin"
	"patchmesh/node/state"
	"patchmesh/node/tufdir"
	"patchmesh/policy"
)

// This file moves trusted documents between a node and a static web host. The node itself neither
// fetches from URLs nor writes to paths that somebody names: the command line does, as its user, and
// hands over signed bytes, which are verified again from the trust in force on.

// TrustDocs implements api.Truster.
func (n *Node) TrustDocs(context.Context) (*api.TrustDocs, error) {
	return trustDocs(n.db, n.believer.current())
}

// AdoptTrust implements api.Truster.
func (n *Node) AdoptTrust(_ context.Context, d api.TrustDocs) (*api.TrustAdopted, error) {
	if n.seed != nil {
		n.seed.mu.Lock() // a publication under way would be built on what is being replaced
		defer n.seed.mu.Unlock()
	}
	next, roots, err := verifyDocs(n.believer.current(), d, n.cfg.Now(), n.late())
	if err != nil {
		return nil, tufTrouble(err)
	}
	s := trustState(next, n.believer.current())
	if s.Unchanged {
		return s, nil
	}
	if err := keepRoots(n.db, roots); err != nil {
		return nil, spaceClass(err)
	}
	if err := n.takeUp(next, handed(d, n.cfg.Now())); err != nil {
		return nil, spaceClass(err)
	}
	if n.core != nil {
		n.events.send(n.manifestEvent(0, next))
	}
	return s, nil
}

// handed is how documents came that a command has handed over. What it says of that is for people alone.
func handed(d api.TrustDocs, now time.Time) via {
	if d.FromMedium {
		return via{how: api.SyncMedium, began: now}
	}
	return via{how: api.SyncMirror, began: now}
}

var _ api.Truster = (*Node)(nil)

func trustState(next, was *policy.Trust) *api.TrustAdopted {
	return &api.TrustAdopted{
		Root: next.RootVersion(), Head: next.HeadVersion(), Epoch: next.Epoch(), ExpiresAt: next.ExpiresAt().UTC(),
		Unchanged: next.HeadVersion() == was.HeadVersion() && next.RootVersion() == was.RootVersion(),
	}
}

// trustDocs collects what is in force, and of the older roots those that are kept.
func trustDocs(db *state.DB, t *policy.Trust) (*api.TrustDocs, error) {
	f := t.Files()
	d := &api.TrustDocs{
		Timestamp: f.Timestamp, Snapshot: f.Snapshot, Targets: f.Targets, RosterRole: f.RosterRole, Roster: f.Roster, Manifest: f.Manifest,
		Delegated: f.Delegated,
	}
	for v := int64(1); v < t.RootVersion(); v++ {
		b, err := db.Value(rootKey(v))
		if errors.Is(err, state.ErrNotFound) || (err == nil && len(b) == 0) {
			continue
		}
		if err != nil {
			return nil, err
		}
		// A machine keeps the root that it joined with in the place of the first.
		if r, err := policy.NewTrust(b); err == nil && r.RootVersion() == v {
			d.Roots = append(d.Roots, api.TrustRoot{Version: v, Body: b})
		}
	}
	d.Roots = append(d.Roots, api.TrustRoot{Version: t.RootVersion(), Body: f.Root})
	return d, nil
}

// verifyDocs walks from a trust to the one that documents lead to. roots are those that are new.
func verifyDocs(t *policy.Trust, d api.TrustDocs, now time.Time, late time.Duration) (next *policy.Trust, roots []api.TrustRoot, err error) {
	byID := map[content.ID][]byte{}
	for _, b := range filesOf(&d).Documents() {
		byID[content.Sum(b)] = b
	}
	r := t.RefreshLate(d.Timestamp, now, late)
	for need, more := r.Need(); more; need, more = r.Need() {
		var b []byte
		if need.RootVersion > 0 {
			for _, root := range d.Roots {
				if root.Version == need.RootVersion {
					b, roots = root.Body, append(roots, root)
				}
			}
		} else if b = byID[need.ID]; b == nil {
			return nil, nil, fmt.Errorf("%s: %w", need.Role, policy.ErrMissing)
		}
		if err := r.Supply(b); err != nil {
			return nil, nil, err
		}
	}
	next, err = r.Result()
	return next, roots, err
}

func keepRoots(db *state.DB, roots []api.TrustRoot) error {
	for _, r := range roots {
		if err := db.PutValue(rootKey(r.Version), r.Body); err != nil {
			return err
		}
	}
	return nil
}

// stopped is the data folder of a machine whose node is not running.
type stopped struct{ *folder }

// WithFolder calls f with the trusted documents of a data folder whose node is not running.
// ErrLocked if it is.
func WithFolder(dir string, now func() time.Time, f func(api.Truster) error) error {
	d, err := openStopped(dir, now)
	if err != nil {
		return err
	}
	defer d.close()
	return f(stopped{d})
}

func (s stopped) TrustDocs(context.Context) (*api.TrustDocs, error) {
	return trustDocs(s.db, s.believer.current())
}

func (s stopped) AdoptTrust(_ context.Context, d api.TrustDocs) (*api.TrustAdopted, error) {
	was := s.believer.current()
	next, roots, err := verifyDocs(was, d, s.now(), siteLate(was, s.member))
	if err != nil {
		return nil, tufTrouble(err)
	}
	st := trustState(next, was)
	if st.Unchanged {
		return st, nil
	}
	if err := keepRoots(s.db, roots); err != nil {
		return nil, spaceClass(err)
	}
	if err := s.believer.adopt(next, s.now()); err != nil {
		return nil, spaceClass(err)
	}
	return st, spaceClass(s.db.AddSync(syncDone(handed(d, s.now()), was, next, s.now())))
}

// FetchTrust gets from a static web host the documents that are newer than those in force. All of
// them are verified on the way, so a hostile host is found out before it can fill memory; whoever
// adopts them verifies again.
func FetchTrust(ctx context.Context, have *api.TrustDocs, url string, now time.Time) (*api.TrustDocs, error) {
	t, err := openDocs(have, now)
	if err != nil {
		return nil, err
	}
	web := origin.New(origin.Config{})
	defer web.Close()
	get := func(name string, limit int) ([]byte, error) { return web.Get(ctx, url, name, limit) }
	head, err := get(policy.MirrorHead, policy.MaxTimestampBytes)
	if err != nil {
		return nil, tufTrouble(err)
	}
	out := &api.TrustDocs{}
	r := t.Refresh(head, now)
	for need, more := r.Need(); more; need, more = r.Need() {
		b, err := get(r.MirrorName(need), need.MaxBytes)
		if need.RootVersion > 0 && errors.Is(err, origin.ErrNotFound) {
			b, err = nil, nil // the chain ends here
		} else if need.RootVersion > 0 && err == nil {
			out.Roots = append(out.Roots, api.TrustRoot{Version: need.RootVersion, Body: b})
		}
		if err == nil {
			err = r.Supply(b)
		}
		if err != nil {
			return nil, tufTrouble(err)
		}
	}
	next, err := r.Result()
	if err != nil {
		return nil, tufTrouble(err)
	}
	f := next.Files()
	out.Timestamp, out.Snapshot, out.Targets, out.RosterRole, out.Roster, out.Manifest = f.Timestamp, f.Snapshot, f.Targets, f.RosterRole, f.Roster, f.Manifest
	out.Delegated = f.Delegated
	return out, nil
}

// openDocs verifies documents that a node gave away.
func openDocs(d *api.TrustDocs, now time.Time) (*policy.Trust, error) {
	if len(d.Roots) == 0 {
		return nil, api.Errorf(api.ClassFailed, "the node gave no root of trust")
	}
	f := filesOf(d)
	f.Root = d.Roots[len(d.Roots)-1].Body
	return policy.OpenTrust(f, now)
}

// filesOf are the documents without a root.
func filesOf(d *api.TrustDocs) policy.Files {
	return policy.Files{
		Timestamp: d.Timestamp, Snapshot: d.Snapshot, Targets: d.Targets, RosterRole: d.RosterRole, Roster: d.Roster, Manifest: d.Manifest,
		Delegated: d.Delegated,
	}
}

// Mirrored says what WriteMirror did.
type Mirrored struct {
	Dir     string `json:"dir"`
	Head    int64  `json:"head"`
	Epoch   uint64 `json:"epoch"`
	Files   int    `json:"files"`   // that the head leads to, and itself
	Written int    `json:"written"` // the others were there already
	Removed int    `json:"removed"` // that no head has led to for a day
}

// WriteMirror writes documents as a static mirror. A folder that shows a newer head, or is the mirror
// of another root, is refused: a seed that was restored from a backup must not roll machines back.
func WriteMirror(dir string, d *api.TrustDocs, now time.Time) (*Mirrored, error) {
	t, err := openDocs(d, now)
	if err != nil {
		return nil, tufTrouble(err)
	}
	if d.Roots[0].Version != 1 || len(d.Roots) != int(t.RootVersion()) || t.Manifest() == nil {
		return nil, api.Errorf(api.ClassFailed, "not every root since the first is here").WithHint("write the mirror on the seed that made the organisation")
	}
	m, err := tufdir.OpenMirror(dir)
	if err != nil {
		return nil, tufTrouble(err)
	}
	defer m.Close()
	if err := checkMirror(m, t, d.Roots[0].Body, now); err != nil {
		return nil, err
	}
	files := t.MirrorFiles()
	out := &Mirrored{Dir: dir, Head: t.HeadVersion(), Epoch: t.Epoch()}
	for _, r := range d.Roots[:len(d.Roots)-1] {
		files = append([]policy.MirrorFile{{Name: policy.MirrorRoot(r.Version), Body: r.Body}}, files...)
	}
	var keep []string
	for _, f := range files {
		put := m.Put
		if f.Name == policy.MirrorHead {
			put = m.PutHead
		}
		written, err := put(f.Name, f.Body)
		if err != nil {
			return nil, tufTrouble(err)
		}
		if out.Files++; written {
			out.Written++
		}
		keep = append(keep, f.Name)
	}
	if out.Removed, err = m.Prune(keep, now); err != nil {
		return nil, tufTrouble(err)
	}
	return out, nil
}

// checkMirror looks at what a folder shows already.
func checkMirror(m *tufdir.Mirror, t *policy.Trust, first []byte, now time.Time) error {
	root, err := m.Read(policy.MirrorRoot(1))
	if err != nil {
		return tufTrouble(err)
	}
	if root != nil && !bytes.Equal(root, first) {
		return api.Errorf(api.ClassRefused, "the folder is the mirror of another root of trust").WithHint("choose an empty folder")
	}
	head, err := m.Read(policy.MirrorHead)
	if err != nil {
		return tufTrouble(err)
	}
	if newer, version, err := t.CheckHead(head, now); err == nil && newer {
		return api.Errorf(api.ClassRefused, "the mirror shows head %d already, this seed is at %d", version, t.HeadVersion()).
			WithHint("was the seed restored from a backup? bring it up to date first: 'patchmesh trust refresh --metadata-url URL'")
	}
	return nil
}
