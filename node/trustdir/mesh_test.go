package trustdir

import (
	"crypto/ed25519"
	"fmt"
	"os"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
)

var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// soak gives the short or the full count of a suite.
func soak(short, full int) int {
	if os.Getenv("PATCHMESH_SOAK") == "1" {
		return full
	}
	return short
}

// at is a clock that has proven one instant.
func at(t time.Time) policy.ClockState { return policy.ClockState{ProvenAt: t} }

func key(t testing.TB, name string) policy.Signer {
	t.Helper()
	seed := content.Sum([]byte(name)).SHA256()
	s, err := policy.NewSigner(ed25519.NewKeyFromSeed(seed[:]))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// org is an organisation with its seed, as far as documents go.
type org struct {
	t     testing.TB
	keys  policy.RoleKeys
	trust *policy.Trust
	roots [][]byte // from version 2 on
}

func newOrg(t testing.TB) *org {
	t.Helper()
	o := &org{t: t, keys: policy.RoleKeys{
		Root: []policy.Signer{key(t, "root")}, RootThreshold: 1, Approvers: []policy.Signer{key(t, "approver")}, Threshold: 1,
		Online: policy.OnlineKeys{Timestamp: key(t, "timestamp"), Snapshot: key(t, "snapshot"), Roster: key(t, "roster")},
	}}
	f, err := policy.NewRepository("acme", o.keys, &policy.Roster{Org: "acme"}, t0)
	if err != nil {
		t.Fatal(err)
	}
	o.open(f)
	return o
}

func (o *org) open(f policy.Files) {
	o.t.Helper()
	t, err := policy.OpenTrust(f, t0)
	if err != nil {
		o.t.Fatal(err)
	}
	o.trust = t
}

// approve publishes the next epoch.
func (o *org) approve(now time.Time) *policy.Trust {
	o.t.Helper()
	m, err := policy.DecodeManifest(o.trust.Files().Manifest)
	if err != nil {
		o.t.Fatal(err)
	}
	m.Epoch++
	m.IssuedAt = now.UTC().Truncate(time.Second)
	m.Holds = []policy.Hold{{ID: fmt.Sprintf("h%d", m.Epoch), Update: policy.AllUpdates, Kind: "pause", Reason: "because", At: m.IssuedAt}}
	d, err := policy.NewDraft(o.trust, m, now)
	if err != nil {
		o.t.Fatal(err)
	}
	if err := d.Sign(o.keys.Approvers[0]); err != nil {
		o.t.Fatal(err)
	}
	return o.publish(nil, d, nil, now)
}

// freshen publishes a new head over the same approvals; roster nil keeps the one in force.
func (o *org) freshen(roster *policy.Roster, now time.Time) *policy.Trust {
	return o.publish(nil, nil, roster, now)
}

// rotate replaces the online keys by a new root.
func (o *org) rotate(now time.Time) *policy.Trust {
	o.t.Helper()
	n := o.trust.RootVersion() + 1
	k := o.keys
	k.Online.Timestamp, k.Online.Snapshot = key(o.t, fmt.Sprintf("timestamp %d", n)), key(o.t, fmt.Sprintf("snapshot %d", n))
	root, err := o.trust.NextRoot(k, o.keys.Root, now)
	if err != nil {
		o.t.Fatal(err)
	}
	o.keys, o.roots = k, append(o.roots, root)
	return o.publish(root, nil, nil, now)
}

func (o *org) publish(root []byte, d *policy.Draft, roster *policy.Roster, now time.Time) *policy.Trust {
	o.t.Helper()
	var f policy.Files
	var err error
	if root != nil {
		f, err = o.trust.PublishRoot(root, d, roster, o.keys.Online, now)
	} else {
		f, err = o.trust.Publish(d, roster, o.keys.Online, now)
	}
	if err != nil {
		o.t.Fatal(err)
	}
	o.open(f)
	return o.trust
}

// fetch refreshes what a machine believes from documents that somebody shows it.
func fetch(from *policy.Trust, f policy.Files, roots [][]byte, now time.Time) (*policy.Trust, error) {
	r := from.Refresh(f.Timestamp, now)
	for need, more := r.Need(); more; need, more = r.Need() {
		b := f.Find(need.ID)
		if i := int(need.RootVersion) - 2; need.RootVersion > 0 && i < len(roots) {
			b = roots[i]
		}
		if err := r.Supply(b); err != nil {
			return nil, err
		}
	}
	return r.Result()
}

// recall opens a trust folder on a disk as a machine does when it starts.
func recall(t testing.TB, disk *memDisk, roots ...[]byte) (*Dir, Recalled) {
	t.Helper()
	d, err := openOn("/data/trust", disk)
	if err != nil {
		t.Fatal(err)
	}
	r, err := d.Recall(roots...)
	if err != nil {
		t.Fatal(err)
	}
	return d, r
}

// newMachine is a disk with a trust folder that holds one set.
func newMachine(t testing.TB, first *policy.Trust) (*memDisk, *Dir) {
	t.Helper()
	disk := newMemDisk()
	if err := disk.mkdirAll("/data"); err != nil {
		t.Fatal(err)
	}
	if err := disk.syncDir("/"); err != nil {
		t.Fatal(err)
	}
	d, err := openOn("/data/trust", disk)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Keep(first, at(t0)); err != nil {
		t.Fatal(err)
	}
	return disk, d
}
