package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// refused asks that a set of documents is refused for this reason, and that the machine still
// believes what it believed.
func refused(t *testing.T, tr *Trust, f Files, now time.Time, want error) {
	t.Helper()
	before := tr.Files()
	got, err := walk(tr, f, now)
	if !errors.Is(err, want) {
		t.Fatalf("%v, want %v", err, want)
	}
	if got != nil {
		t.Fatal("a refusal came with a trust")
	}
	if ReasonOf(err) == "" {
		t.Error("the refusal has no reason code")
	}
	if !bytes.Equal(tr.Files().Timestamp, before.Timestamp) || tr.Epoch() != tr.Manifest().Epoch {
		t.Error("the trust was touched")
	}
}

func TestRollbackOfTheTimestampIsRefused(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	old := m.mustNext(t0, hold("h1"))
	m.mustNext(t0.Add(time.Hour), hold("h2"))
	refused(t, m.trust, old, t0.Add(2*time.Hour), ErrRollback)
	// Without looking at the head first, too.
	r := m.trust.Refresh(old.Timestamp, t0.Add(2*time.Hour))
	if err := r.Supply(nil); !errors.Is(err, ErrRollback) {
		t.Fatalf("%v, want ErrRollback", err)
	}
}

func TestRollbackOfTheSnapshotIsRefused(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	old := m.mustNext(t0, hold("h1"))
	m.mustNext(t0.Add(time.Hour), hold("h2"))
	now := t0.Add(2 * time.Hour)
	evil := m.forge(m.trust.Files(), now, nil, func(ts *metadata.TimestampType) {
		ts.Meta[snapshotFile] = metaFile(2, old.Snapshot)
	})
	evil.Snapshot = old.Snapshot
	refused(t, m.trust, evil, now, ErrRollback)
}

// All online keys are stolen: the approvers' older targets still carry their signatures.
func TestRollbackOfTheTargetsIsRefused(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	old := m.mustNext(t0, hold("h1"))
	f := m.mustNext(t0.Add(time.Hour), hold("h2"))
	f.Targets, f.Manifest = old.Targets, old.Manifest
	now := t0.Add(2 * time.Hour)
	refused(t, m.trust, m.forge(f, now, nil, nil), now, ErrRollback)
}

func TestReplayOfARosterIsRefused(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	old := m.trust.Files()
	roster := *m.trust.Roster()
	roster.Revoked = []Revocation{{Peer: "12D3KooWStolen", At: t0, Until: t0.Add(time.Hour)}}
	f, err := m.trust.Publish(nil, &roster, m.keys.Online, t0)
	if err != nil {
		t.Fatal(err)
	}
	m.trust = m.open(f)
	f.RosterRole, f.Roster = old.RosterRole, old.Roster
	refused(t, m.trust, m.forge(f, t0, nil, nil), t0, ErrRollback)
	if len(m.trust.Roster().Revoked) != 1 {
		t.Fatal("the stolen machine is welcome again")
	}
}

func TestRollbackOfTheRootIsRefused(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	root1 := m.trust.Files().Root
	root2 := m.rotate(m.keys)
	r := m.trust.Refresh(m.trust.Files().Timestamp, t0)
	if err := r.Supply(root1); !errors.Is(err, ErrRollback) {
		t.Fatalf("root 1 again: %v", err)
	}
	m.publishRoot(root2)
	r = m.trust.Refresh(m.trust.Files().Timestamp, t0)
	if err := r.Supply(root1); !errors.Is(err, ErrRollback) {
		t.Fatalf("root 1 after root 2: %v", err)
	}
}

// Approvers may be tricked into signing an older manifest again, or a seed may mislabel one.
func TestOlderEpochIsRefused(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	old := m.mustNext(t0, hold("h1"))
	m.mustNext(t0, hold("h2"))
	man, err := DecodeManifest(old.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewDraft(m.trust, man, t0); !errors.Is(err, ErrRollback) {
		t.Fatalf("a draft of an old epoch: %v", err)
	}
	targets := reparse[metadata.TargetsType](t, m.trust.Files().Targets)
	targets.Signed.Version = 9
	targets.Signed.Targets[ManifestPath] = targetFile(old.Manifest)
	f := m.trust.Files()
	f.Manifest, f.Targets = old.Manifest, signed(t, targets, m.keys.Approvers...)
	refused(t, m.trust, m.forge(f, t0, nil, nil), t0, ErrFormat)
}

func TestExpiredDocumentsAreRefused(t *testing.T) {
	for _, c := range []struct {
		role string
		life Life
	}{
		{"timestamp", Life{Timestamp: time.Hour}},
		{"snapshot", Life{Snapshot: time.Hour}},
		{"roster", Life{Roster: time.Hour}},
		{"targets", Life{Targets: time.Hour}},
		{"root", Life{Root: time.Hour}},
	} {
		t.Run(c.role, func(t *testing.T) {
			m := newMesh(t, "acme", 1, 1)
			m.keys.Online.Life = c.life
			f, err := NewRepository("acme", m.keys, &Roster{Org: "acme"}, t0)
			if err != nil {
				t.Fatal(err)
			}
			fresh, err := NewTrust(f.Root)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := walk(fresh, f, t0.Add(time.Hour)); err != nil {
				t.Fatalf("in its last second: %v", err)
			}
			if _, err := walk(fresh, f, t0.Add(time.Hour+time.Second)); !errors.Is(err, ErrExpired) {
				t.Fatalf("%v, want ErrExpired", err)
			}
		})
	}
}

// Somebody between the machine and the seed shows the same old head for ever.
func TestFrozenMachineNotices(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	late := t0.Add(8 * day)
	newer, _, err := m.trust.CheckHead(m.trust.Files().Timestamp, late)
	if newer || err != nil {
		t.Fatalf("the same head again: %v %v", newer, err)
	}
	if !m.trust.Stale(late) || m.trust.Stale(t0.Add(6*day)) {
		t.Fatal("staleness does not follow the timestamp")
	}
	r := m.trust.Refresh(m.trust.Files().Timestamp, late)
	if err := r.Supply(nil); !errors.Is(err, ErrExpired) {
		t.Fatalf("a refresh with an expired head: %v", err)
	}
}

func TestHeadOfAStrangersKeyIsRefused(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	f := m.mustNext(t0, nil)
	old := newMesh(t, "acme", 1, 1).trust
	ts := reparse[metadata.TimestampType](t, f.Timestamp)
	b := signed(t, ts, key(t, "stranger"))
	if _, _, err := old.CheckHead(b, t0); !errors.Is(err, ErrUnknownKey) || ReasonOf(err) != ReasonTrustUnknownKey {
		t.Fatalf("%v", err)
	}
	// The stranger claims to be the key that counts.
	ts = reparse[metadata.TimestampType](t, b)
	ts.Signatures[0].KeyID = m.keys.Online.Timestamp.KeyID()
	b, _ = ts.ToBytes(false)
	if _, _, err := old.CheckHead(b, t0); !errors.Is(err, ErrBadSignature) || ReasonOf(err) != ReasonTrustBadSignature {
		t.Fatalf("%v", err)
	}
}

func TestEveryRoleNeedsItsOwnKey(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	f := m.trust.Files()
	online := m.keys.Online
	for _, c := range []struct {
		name  string
		files func() Files
	}{
		{"snapshot signed by the timestamp key", func() Files {
			g := m.forge(f, t0, nil, nil)
			g.Snapshot = signed(t, reparse[metadata.SnapshotType](t, g.Snapshot), online.Timestamp)
			ts := reparse[metadata.TimestampType](t, g.Timestamp)
			ts.Signed.Meta[snapshotFile] = metaFile(2, g.Snapshot)
			g.Timestamp = signed(t, ts, online.Timestamp)
			return g
		}},
		{"targets signed by the snapshot key", func() Files {
			g := f
			targets := reparse[metadata.TargetsType](t, f.Targets)
			targets.Signed.Expires = targets.Signed.Expires.Add(day)
			g.Targets = signed(t, targets, online.Snapshot, online.Timestamp, online.Roster)
			return m.forge(g, t0, nil, nil)
		}},
		{"roster signed by the snapshot key", func() Files {
			g := f
			g.RosterRole = signed(t, reparse[metadata.TargetsType](t, f.RosterRole), online.Snapshot, online.Timestamp)
			return m.forge(g, t0, nil, nil)
		}},
	} {
		t.Run(c.name, func(t *testing.T) { refused(t, m.trust, c.files(), t0, ErrThreshold) })
	}
}

// Two of three approvers are needed; the seed is in an attacker's hands and has the signature of one.
func TestOneSignatureBelowTheThresholdIsRefused(t *testing.T) {
	m := newMesh(t, "acme", 2, 3)
	machine := m.trust
	targets := reparse[metadata.TargetsType](t, m.trust.Files().Targets)
	targets.Signed.Version = 2
	sign := func(signers ...Signer) Files {
		man, err := DecodeManifest(m.trust.Files().Manifest)
		if err != nil {
			t.Fatal(err)
		}
		man.Epoch = 2
		f := m.trust.Files()
		if f.Manifest, err = man.Encode(); err != nil {
			t.Fatal(err)
		}
		targets.Signed.Targets[ManifestPath] = targetFile(f.Manifest)
		f.Targets = signed(t, targets, signers...)
		return m.forge(f, t0, nil, nil)
	}
	a := m.keys.Approvers
	refused(t, machine, sign(a[0]), t0, ErrThreshold)
	refused(t, machine, sign(a[0], key(t, "stranger"), m.keys.Online.Timestamp), t0, ErrThreshold)
	refused(t, machine, sign(), t0, ErrThreshold)
	if _, err := walk(machine, sign(a[0], a[2]), t0); err != nil {
		t.Fatalf("two of three: %v", err)
	}
}

func TestOneApproverDoesNotCountTwice(t *testing.T) {
	m := newMesh(t, "acme", 2, 3)
	f := m.trust.Files()
	t.Run("two signatures under one key id", func(t *testing.T) {
		targets := reparse[metadata.TargetsType](t, f.Targets)
		targets.Signatures[1] = targets.Signatures[0]
		g := f
		g.Targets, _ = targets.ToBytes(false)
		refused(t, m.trust, m.forge(g, t0, nil, nil), t0, ErrFormat)
	})
	t.Run("one key under two key ids", func(t *testing.T) {
		root := reparse[metadata.RootType](t, f.Root)
		id := m.keys.Approvers[0].KeyID()
		root.Signed.Keys["another"] = root.Signed.Keys[id]
		root.Signed.Roles[metadata.TARGETS].KeyIDs = []string{id, "another"}
		if _, err := NewTrust(signed(t, root, m.keys.Root...)); !errors.Is(err, ErrWeakKey) {
			t.Fatalf("%v, want ErrWeakKey", err)
		}
	})
	t.Run("one key in capitals", func(t *testing.T) {
		root := reparse[metadata.RootType](t, f.Root)
		id := m.keys.Approvers[0].KeyID()
		double := *root.Signed.Keys[id]
		double.Value.PublicKey = strings.ToUpper(double.Value.PublicKey)
		root.Signed.Keys["another"] = &double
		root.Signed.Roles[metadata.TARGETS].KeyIDs = []string{id, "another"}
		if _, err := NewTrust(signed(t, root, m.keys.Root...)); !errors.Is(err, ErrFormat) {
			t.Fatalf("%v, want ErrFormat", err)
		}
	})
	t.Run("one key id named twice", func(t *testing.T) {
		root := reparse[metadata.RootType](t, f.Root)
		id := m.keys.Approvers[0].KeyID()
		root.Signed.Roles[metadata.TARGETS].KeyIDs = []string{id, id}
		if _, err := NewTrust(signed(t, root, m.keys.Root...)); !errors.Is(err, ErrFormat) {
			t.Fatalf("%v, want ErrFormat", err)
		}
	})
}

// A seed's key must not be one that approves: who steals the seed would have both.
func TestOnlineKeyThatCouldApproveIsRefused(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	for name, edit := range map[string]func(*RoleKeys){
		"timestamp approves": func(k *RoleKeys) { k.Online.Timestamp = k.Approvers[0] },
		"snapshot approves":  func(k *RoleKeys) { k.Online.Snapshot = k.Approvers[0] },
		"timestamp is root":  func(k *RoleKeys) { k.Online.Timestamp = k.Root[0] },
		"roster approves":    func(k *RoleKeys) { k.Online.Roster = k.Approvers[0] },
		"roster is root":     func(k *RoleKeys) { k.Online.Roster = k.Root[0] },
	} {
		k := m.keys
		edit(&k)
		if _, err := NewRepository("acme", k, &Roster{Org: "acme"}, t0); !errors.Is(err, ErrWeakKey) {
			t.Errorf("%s: %v, want ErrWeakKey", name, err)
		}
	}
}

// The online keys are stolen; the thief combines documents that were never valid together.
func TestMixAndMatchIsRefused(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	f2 := m.mustNext(t0, hold("h1"))
	f3 := m.mustNext(t0, hold("h2"))
	machine := m.open(f2)
	t.Run("old targets below a new snapshot", func(t *testing.T) {
		g := f3
		g.Targets, g.Manifest = f2.Targets, f2.Manifest
		refused(t, machine, g, t0, ErrHash)
	})
	t.Run("new snapshot that names old targets with the new version", func(t *testing.T) {
		g := f3
		g.Targets, g.Manifest = f2.Targets, f2.Manifest
		evil := m.forge(g, t0, func(s *metadata.SnapshotType) { s.Meta[targetsFile].Version = 3 }, nil)
		refused(t, machine, evil, t0, ErrRollback)
	})
	t.Run("new targets with the old manifest", func(t *testing.T) {
		g := f3
		g.Manifest = f2.Manifest
		refused(t, machine, g, t0, ErrHash)
	})
	t.Run("roster in place of the targets", func(t *testing.T) {
		g := f3
		g.Targets = f3.RosterRole
		evil := m.forge(g, t0, func(s *metadata.SnapshotType) { s.Meta[targetsFile].Version = 3 }, nil)
		refused(t, machine, evil, t0, ErrThreshold)
	})
}

func TestManifestWithAnyByteChangedIsRefused(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	machine := m.trust
	f := m.mustNext(t0, hold("h1"))
	for i := range f.Manifest {
		g := f
		g.Manifest = bytes.Clone(f.Manifest)
		g.Manifest[i] ^= 1
		if _, err := walk(machine, g, t0); !errors.Is(err, ErrHash) {
			t.Fatalf("byte %d: %v", i, err)
		}
	}
}

// Two organisations whose admin used the same keys for both: what one approved is nothing to the other.
func TestManifestOfAnotherOrganisationIsRefused(t *testing.T) {
	ours := newMesh(t, "acme", 1, 1)
	f, err := NewRepository("other", ours.keys, &Roster{Org: "other"}, t0)
	if err != nil {
		t.Fatal(err)
	}
	theirs := &mesh{t: t, keys: ours.keys}
	theirs.trust = theirs.open(f)
	f = theirs.mustNext(t0, hold("h1"))
	refused(t, ours.trust, f, t0, ErrOrg)
	fresh, err := NewTrust(ours.trust.Files().Root)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := walk(fresh, f, t0); !errors.Is(err, ErrOrg) {
		t.Fatalf("a machine that has just joined: %v", err)
	}
	mixed := f
	mixed.RosterRole, mixed.Roster = ours.trust.Files().RosterRole, ours.trust.Files().Roster
	refused(t, ours.trust, theirs.forge(mixed, t0, nil, nil), t0, ErrOrg)
}

// A thief of online keys runs the versions ahead, so that no honest one can follow.
func TestFastForwardIsRefused(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	fresh, err := NewTrust(m.trust.Files().Root)
	if err != nil {
		t.Fatal(err)
	}
	f := m.trust.Files()
	for name, evil := range map[string]Files{
		"timestamp": m.forge(f, t0, nil, func(ts *metadata.TimestampType) { ts.Version = 1 << 40 }),
		"timestamp at the end of its range": m.forge(f, t0, nil, func(ts *metadata.TimestampType) {
			ts.Version = math.MaxInt64
		}),
		"snapshot": m.forge(f, t0, nil, func(ts *metadata.TimestampType) { ts.Meta[snapshotFile].Version = 1 << 40 }),
		"roster":   m.forge(f, t0, func(s *metadata.SnapshotType) { s.Meta[rosterFile].Version = 1 << 40 }, nil),
		"targets":  m.forge(f, t0, func(s *metadata.SnapshotType) { s.Meta[targetsFile].Version = 1 << 40 }, nil),
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, m.trust, evil, t0, ErrFormat)
			if _, err := walk(fresh, evil, t0); !errors.Is(err, ErrFormat) {
				t.Fatalf("a machine that has just joined: %v", err)
			}
		})
	}
	ok := m.forge(f, t0, nil, func(ts *metadata.TimestampType) { ts.Version = 1 + maxVersionJump })
	if _, err := walk(m.trust, ok, t0); err != nil {
		t.Fatalf("the furthest jump: %v", err)
	}
}

// A machine far ahead of the first limit must still open what it saved.
func TestHighVersionsReopen(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	f := m.forge(m.trust.Files(), t0, nil, func(ts *metadata.TimestampType) { ts.Version = maxFirstVersion + 5 })
	if tr := m.open(f); tr.HeadVersion() != maxFirstVersion+5 {
		t.Fatal(tr.HeadVersion())
	}
}

func TestOversizeDocumentsAreRefusedUnread(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	machine := m.trust
	f := m.mustNext(t0, hold("h1"))
	if _, _, err := machine.CheckHead(bytes.Repeat([]byte("["), MaxTimestampBytes+1), t0); !errors.Is(err, ErrTooLarge) {
		t.Fatalf("head: %v", err)
	}
	docs := map[string][]byte{"snapshot": f.Snapshot, "targets": f.Targets, "manifest": f.Manifest}
	for victim := range docs {
		r := machine.Refresh(f.Timestamp, t0)
		for need, more := r.Need(); more; need, more = r.Need() {
			give := docs[need.Role]
			if need.Role == victim {
				if give = append(bytes.Clone(give), ' '); need.MaxBytes != len(give)-1 {
					t.Fatalf("%s: %d bytes may be read, %d are signed", victim, need.MaxBytes, len(give)-1)
				}
				if err := r.Supply(give); !errors.Is(err, ErrTooLarge) {
					t.Fatalf("%s with a byte more: %v", victim, err)
				}
				break
			}
			if err := r.Supply(give); err != nil {
				t.Fatal(err)
			}
		}
	}
	for what, limit := range map[string]int{"manifest": MaxManifestBytes, "descriptor": MaxDescriptorBytes, "roster": MaxRosterBytes, "draft": maxDraftBytes, "root": MaxRootBytes} {
		b := bytes.Repeat([]byte("["), limit+1)
		var err error
		switch what {
		case "manifest":
			_, err = DecodeManifest(b)
		case "descriptor":
			_, err = DecodeDescriptor(b)
		case "roster":
			_, err = DecodeRoster(b)
		case "draft":
			_, err = DecodeDraft(b)
		case "root":
			_, err = NewTrust(b)
		}
		if !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v, want ErrTooLarge", what, err)
		}
	}
}

// What is signed may itself promise endless data: the limit of the role counts.
func TestSignedLengthsBeyondTheLimitAreRefused(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	f := m.trust.Files()
	for _, length := range []int64{0, -1, MaxSnapshotBytes + 1, math.MaxInt64} {
		evil := m.forge(f, t0, nil, func(ts *metadata.TimestampType) { ts.Meta[snapshotFile].Length = length })
		if _, err := walk(m.trust, evil, t0); !errors.Is(err, ErrTooLarge) && !errors.Is(err, ErrFormat) {
			t.Errorf("snapshot of %d bytes: %v", length, err)
		}
	}
	evil := m.forge(f, t0, nil, func(ts *metadata.TimestampType) { ts.Meta[snapshotFile].Hashes = nil })
	refused(t, m.trust, evil, t0, ErrFormat)
	evil = m.forge(f, t0, func(s *metadata.SnapshotType) { s.Meta[targetsFile].Hashes = nil }, nil)
	refused(t, m.trust, evil, t0, ErrFormat)
}

// Whoever passes a head on can change what no signature covers. It must not become another head, or
// one too long for a gossip packet.
func TestHeadInAnotherSpellingIsRefused(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	machine := m.trust
	head := m.mustNext(t0, nil).Timestamp
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(head, &doc); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"spaces behind":          append(bytes.Clone(head), bytes.Repeat([]byte(" "), 4000)...),
		"spaces inside":          bytes.Replace(head, []byte(`"signed":`), []byte(`"signed": `), 1),
		"an unsigned field":      bytes.Replace(head, []byte(`{"signatures"`), []byte(`{"extra":1,"signatures"`), 1),
		"a field of a signature": bytes.Replace(head, []byte(`{"keyid"`), []byte(`{"extra":1,"keyid"`), 1),
		"a stranger's signature": bytes.Replace(head, []byte(`"signatures":[`), []byte(`"signatures":[{"keyid":"ab","sig":"cd"},`), 1),
		"other order":            fmt.Appendf(nil, `{"signed":%s,"signatures":%s}`, doc["signed"], doc["signatures"]),
		"signed twice":           fmt.Appendf(nil, `{"signatures":%s,"signed":{"_type":"timestamp"},"signed":%s}`, doc["signatures"], doc["signed"]),
		"other capitals":         bytes.Replace(head, []byte(`"signed":`), []byte(`"Signed":`), 1),
	} {
		if bytes.Equal(b, head) {
			t.Fatalf("%s: nothing changed", name)
		}
		if newer, _, err := machine.CheckHead(b, t0); newer || err == nil {
			t.Errorf("%s was taken", name)
		}
		if err := machine.Refresh(b, t0).Supply(nil); err == nil {
			t.Errorf("%s was taken by a refresh", name)
		}
	}
	if newer, _, err := machine.CheckHead(head, t0); !newer || err != nil {
		t.Fatalf("the head itself: %v", err)
	}
}

// Documents that make a careless decoder follow a nil pointer. None of them needs a valid signature,
// or only one of the online keys.
func TestNullsAndGapsAreRefusedWithoutPanic(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	f := m.trust.Files()
	man, _ := json.Marshal(f.Manifest)
	drop := func(b []byte, old, new string) []byte {
		out := bytes.Replace(b, []byte(old), []byte(new), 1)
		if bytes.Equal(out, b) {
			t.Fatalf("%q not found", old)
		}
		return out
	}
	rootKey := pub("acme root")
	for name, decode := range map[string]func() error{
		"draft with a null target": func() error {
			_, err := DecodeDraft(fmt.Appendf(nil, `{"format":1,"manifest":%s,"targets":{"signed":{"_type":"targets","targets":{"x":null}},"signatures":[]}}`, man))
			return err
		},
		"root with a null key": func() error {
			_, err := NewTrust(drop(f.Root, `{"keytype":"ed25519","keyval":{"public":"`+rootKey+`"},"scheme":"ed25519"}`, `null`))
			return err
		},
		"root with a null role": func() error {
			_, err := NewTrust([]byte(`{"signatures":[],"signed":{"_type":"root","roles":{"root":null}}}`))
			return err
		},
		"root with a short key": func() error { _, err := NewTrust(drop(f.Root, rootKey, "abcd")); return err },
		"root without roles":    func() error { _, err := NewTrust([]byte(`{"signatures":[],"signed":{"_type":"root"}}`)); return err },
		"endless nesting":       func() error { _, err := NewTrust([]byte(strings.Repeat("[", 100000))); return err },
		"timestamp without a snapshot": func() error {
			_, err := walk(m.trust, m.forge(f, t0, nil, func(ts *metadata.TimestampType) { ts.Meta = map[string]*metadata.MetaFiles{} }), t0)
			return err
		},
		"timestamp with a null snapshot": func() error {
			_, err := walk(m.trust, m.forge(f, t0, nil, func(ts *metadata.TimestampType) { ts.Meta[snapshotFile] = nil }), t0)
			return err
		},
		"snapshot with null targets": func() error {
			_, err := walk(m.trust, m.forge(f, t0, func(s *metadata.SnapshotType) { s.Meta[targetsFile] = nil }, nil), t0)
			return err
		},
		"snapshot without a roster": func() error {
			_, err := walk(m.trust, m.forge(f, t0, func(s *metadata.SnapshotType) { delete(s.Meta, rosterFile) }, nil), t0)
			return err
		},
		"targets with a null target": func() error {
			g := f
			g.Targets = drop(f.Targets, `"targets":{`, `"targets":{"x":null,`)
			_, err := walk(m.trust, m.forge(f, t0, func(s *metadata.SnapshotType) { s.Meta[targetsFile] = metaFile(1, g.Targets) }, nil), t0)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := decode(); !errors.Is(err, ErrFormat) && !errors.Is(err, ErrTooLarge) && !errors.Is(err, ErrHash) {
				t.Fatalf("%v", err)
			}
		})
	}
}
