package policy

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// rotate makes the next root with these keys, signed by the present root keys and the new ones.
func (m *mesh) rotate(k RoleKeys) []byte {
	m.t.Helper()
	b, err := m.trust.NextRoot(k, append(append([]Signer{}, m.keys.Root...), k.Root...), t0)
	if err != nil {
		m.t.Fatal(err)
	}
	return b
}

// publishRoot publishes under a new root and goes on from there.
func (m *mesh) publishRoot(root []byte) Files {
	m.t.Helper()
	f, err := m.trust.PublishRoot(root, nil, nil, m.keys.Online, t0)
	if err != nil {
		m.t.Fatal(err)
	}
	m.trust = m.open(f)
	return f
}

func TestRotationOfTheTimestampKeyIsFollowed(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	machine := m.trust
	stolen := m.keys.Online.Timestamp
	k := m.keys
	k.Online.Timestamp = key(t, "new timestamp")
	root := m.rotate(k)
	m.keys = k
	f := m.publishRoot(root)
	if _, _, err := machine.CheckHead(f.Timestamp, t0); !errors.Is(err, ErrUnknownKey) {
		t.Fatalf("before the new root: %v", err)
	}
	got, err := walk(machine, f, t0, root)
	if err != nil || got.RootVersion() != 2 {
		t.Fatalf("with the new root: %v", err)
	}
	old := reparse[metadata.TimestampType](t, f.Timestamp)
	old.Signed.Version = 50
	if _, _, err := got.CheckHead(signed(t, old, stolen), t0); !errors.Is(err, ErrUnknownKey) {
		t.Fatalf("the stolen key still counts: %v", err)
	}
	if _, err := OpenTrust(got.Files(), t0); err != nil {
		t.Fatalf("after a restart: %v", err)
	}
}

func TestRotationOfApproversAndRootKeys(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	machine := m.trust
	k := m.keys
	k.Root, k.Approvers, k.Threshold = []Signer{key(t, "root 2")}, []Signer{key(t, "ann"), key(t, "bob")}, 2
	root := m.rotate(k)
	man, err := DecodeManifest(m.trust.Files().Manifest)
	if err != nil {
		t.Fatal(err)
	}
	man.Epoch++
	d, err := NewDraft(m.trust, man, t0)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Sign(m.keys.Approvers[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := m.trust.PublishRoot(root, d, nil, k.Online, t0); !errors.Is(err, ErrThreshold) {
		t.Fatalf("signed by the approver who left: %v", err)
	}
	for _, s := range k.Approvers {
		if err := d.Sign(s); err != nil {
			t.Fatal(err)
		}
	}
	f, err := m.trust.PublishRoot(root, d, nil, k.Online, t0)
	if err != nil {
		t.Fatal(err)
	}
	got, err := walk(machine, f, t0, root)
	if err != nil {
		t.Fatal(err)
	}
	if need, keys := got.Threshold(); need != 2 || keys != 2 || got.Epoch() != 2 {
		t.Fatalf("%d of %d, epoch %d", need, keys, got.Epoch())
	}
}

func TestRootNeedsOldAndNewKeys(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	k := m.keys
	k.Root = []Signer{key(t, "usurper")}
	if _, err := m.trust.NextRoot(k, k.Root, t0); !errors.Is(err, ErrThreshold) {
		t.Fatalf("new keys alone: %v", err)
	}
	if _, err := m.trust.NextRoot(k, m.keys.Root, t0); !errors.Is(err, ErrThreshold) {
		t.Fatalf("old keys alone: %v", err)
	}
	k.Root, k.RootThreshold = m.keys.Root, 2
	if _, err := m.trust.NextRoot(k, m.keys.Root, t0); err == nil {
		t.Fatal("a root that nobody can sign was made")
	}
	usurped := reparse[metadata.RootType](t, m.trust.Files().Root)
	usurped.Signed.Version = 2
	if err := m.trust.Refresh(m.trust.Files().Timestamp, t0).Supply(signed(t, usurped, key(t, "usurper"))); !errors.Is(err, ErrThreshold) {
		t.Fatalf("on a machine: %v", err)
	}
	usurped.Signed.Version = 3
	if err := m.trust.Refresh(m.trust.Files().Timestamp, t0).Supply(signed(t, usurped, m.keys.Root...)); !errors.Is(err, ErrRollback) {
		t.Fatalf("a root that skips a version: %v", err)
	}
	usurped.Signed.Version = 2
	usurped.Signed.UnrecognizedFields[orgField] = "other"
	if err := m.trust.Refresh(m.trust.Files().Timestamp, t0).Supply(signed(t, usurped, m.keys.Root...)); !errors.Is(err, ErrOrg) {
		t.Fatalf("a root that moves the mesh to another organisation: %v", err)
	}
}

func TestMachineFollowsAChainOfRoots(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	machine := m.trust
	var roots [][]byte
	var f Files
	for i := range 5 {
		k := m.keys
		k.Root = []Signer{key(t, string(rune('a'+i)))}
		roots = append(roots, m.rotate(k))
		m.keys = k
		f = m.publishRoot(roots[i])
	}
	got, err := walk(machine, f, t0, roots...)
	if err != nil || got.RootVersion() != 6 {
		t.Fatalf("%v", err)
	}
	if _, err := walk(machine, f, t0, roots[0], roots[2]); err == nil {
		t.Fatal("a root was left out")
	}
}

// A thief ran the versions ahead as far as he could. New online keys free the versions, and only
// those: the epoch of the approvals stays.
func TestRotationRecoversFromFastForward(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	seed := m.trust
	evil := m.forge(m.trust.Files(), t0, func(s *metadata.SnapshotType) { s.Version = 1000000 }, func(ts *metadata.TimestampType) {
		ts.Version = 1000000
		ts.Meta[snapshotFile].Version = 1000000
	})
	machine, err := walk(m.trust, evil, t0)
	if err != nil {
		t.Fatal(err)
	}
	f, err := seed.Publish(nil, nil, m.keys.Online, t0.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	refused(t, machine, f, t0.Add(time.Hour), ErrRollback)
	k := m.keys
	k.Online.Timestamp, k.Online.Snapshot = key(t, "ts 2"), key(t, "snap 2")
	root := m.rotate(k)
	if f, err = seed.PublishRoot(root, nil, nil, k.Online, t0.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	got, err := walk(machine, f, t0.Add(time.Hour), root)
	if err != nil || got.HeadVersion() != 2 {
		t.Fatalf("after the rotation: %v", err)
	}
}

func TestRotationDoesNotBringBackOldApprovals(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	old := m.trust // a seed restored from a backup
	m.mustNext(t0, hold("h1"))
	machine := m.trust
	k := m.keys
	k.Online.Timestamp, k.Online.Snapshot = key(t, "ts 2"), key(t, "snap 2")
	root := m.rotate(k)
	f, err := old.PublishRoot(root, nil, nil, k.Online, t0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := walk(machine, f, t0, root); !errors.Is(err, ErrRollback) {
		t.Fatalf("%v, want ErrRollback", err)
	}
}

func TestPublicKeysMayBeNamedWithoutTheirPrivateHalf(t *testing.T) {
	whole := key(t, "ann")
	seed := ed25519.PublicKey(mustHex(t, pub("ann")))
	s, err := NamePublic(seed)
	if err != nil || s.KeyID() != whole.KeyID() {
		t.Fatalf("%v", err)
	}
	m := newMesh(t, "acme", 1, 1)
	k := m.keys
	k.Approvers = append(k.Approvers, s)
	if b := m.rotate(k); !bytes.Contains(b, []byte(pub("ann"))) {
		t.Fatal("the key is not in the root")
	}
	man, _ := DecodeManifest(m.trust.Files().Manifest)
	man.Epoch++
	d, err := NewDraft(m.trust, man, t0)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Sign(s); !errors.Is(err, ErrFormat) {
		t.Fatalf("signing with a public key: %v", err)
	}
	if _, err := NamePublic(make([]byte, 32)); !errors.Is(err, ErrWeakKey) {
		t.Fatalf("a weak key: %v", err)
	}
}
