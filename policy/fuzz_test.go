package policy

import (
	"bytes"
	"testing"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Everything that is decoded may come from an enemy: no input may panic, and none that the key
// holders did not sign may be believed.

func FuzzCheckHead(f *testing.F) {
	m := newMesh(f, "acme", 1, 1)
	next := m.mustNext(t0, hold("h1"))
	old := newMesh(f, "acme", 1, 1).trust
	f.Add(next.Timestamp)
	f.Add(old.Files().Timestamp)
	f.Add(next.Root)
	f.Add([]byte(`{"signed":{"_type":"timestamp","meta":{"snapshot.json":null}},"signatures":[]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		newer, _, err := old.CheckHead(b, t0)
		if err == nil && newer && !bytes.Equal(b, next.Timestamp) {
			t.Fatal("a head was taken that the key did not sign in this spelling")
		}
	})
}

func FuzzSupply(f *testing.F) {
	m := newMesh(f, "acme", 1, 1)
	next := m.mustNext(t0, hold("h1"))
	docs := map[string][]byte{"snapshot": next.Snapshot, "targets": next.Targets, "roster-role": next.RosterRole, "roster": next.Roster, "manifest": next.Manifest}
	walks, right := stages(f, m.trust.Refresh(next.Timestamp, t0), docs)
	for i, b := range append([][]byte{next.Root}, right[1:]...) {
		f.Add(byte(i), b)
	}
	f.Fuzz(func(t *testing.T, at byte, b []byte) {
		i := int(at) % len(walks)
		got, err := finish(walks[i], b, right[i+1:])
		if i > 0 && !bytes.Equal(b, right[i]) && err == nil {
			t.Fatal("another document than the one that is named was taken")
		}
		if err == nil && !bytes.Equal(got.Files().Manifest, next.Manifest) {
			t.Fatal("another manifest was believed")
		}
	})
}

// FuzzSignedByThieves hands over documents whose hashes are right: the snapshot key is stolen.
func FuzzSignedByThieves(f *testing.F) {
	m := newMesh(f, "acme", 1, 1)
	good := m.trust.Files()
	f.Add(good.Targets, good.RosterRole)
	f.Add([]byte(`{"signed":{"_type":"targets","targets":{"x":null}},"signatures":[]}`), good.RosterRole)
	f.Add(good.Targets, []byte(`{"signed":{"_type":"targets","delegations":null},"signatures":null}`))
	forged := m.forge(good, t0, nil, nil)
	r := m.trust.Refresh(forged.Timestamp, t0)
	for _, b := range [][]byte{nil, forged.Snapshot} {
		if err := r.Supply(b); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, targets, role []byte) {
		// The thief's snapshot names exactly these.
		stolen, snap := r.fork(), *r.tm.Snapshot
		snap.Signed.Meta = map[string]*metadata.MetaFiles{targetsFile: metaFile(1, targets), rosterFile: metaFile(1, role)}
		stolen.tm.Snapshot = &snap
		got, err := finish(stolen, targets, [][]byte{role, good.Roster, good.Manifest})
		if err == nil && !bytes.Equal(got.Files().Manifest, good.Manifest) {
			t.Fatal("another manifest was believed")
		}
	})
}

func FuzzRoot(f *testing.F) {
	good := newMesh(f, "acme", 1, 1).trust.Files()
	f.Add(good.Root)
	f.Add(good.Targets)
	f.Add([]byte(`{"signed":{"_type":"root","keys":{"a":null},"roles":{"root":null}},"signatures":[]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if tr, err := NewTrust(b); err == nil && tr.RootVersion() == 0 {
			t.Fatal("a root of version 0 was taken")
		}
	})
}

func FuzzDecodeManifest(f *testing.F) {
	f.Add(newMesh(f, "acme", 1, 1).mustNext(t0, hold("h1")).Manifest)
	f.Add([]byte(`{"format":1,"org":"a","epoch":1,"groups":[{"name":"a","parent":"b"},{"name":"b","parent":"a"}]}`))
	ruled := Manifest{Org: "a", Epoch: 1, IssuedAt: t0, Baselines: []Baseline{{Group: "all", Updates: []UpdateID{"u", "v"}, At: t0}},
		ApprovalRules: []ApprovalRule{{Name: "r", Products: []string{"fire*"}, Sources: []string{"*.example"}, Group: "all", Action: ActionInstall, SoakDays: 1, At: t0}}}
	b, err := ruled.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := DecodeManifest(b)
		if err != nil {
			return
		}
		if again, err := m.Encode(); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("decodes, but encodes otherwise: %v", err)
		}
		MakePlan(m, nothingKnown, Machine{}, false, t0)
	})
}

func FuzzDecodeDescriptor(f *testing.F) {
	made := fileDescriptor()
	made.Withdrawn = true
	made.Vendor = &Vendor{FileName: "app.jar", SHA256: sumOf("app"), Bytes: 7, Origin: "https://vendor.example/app.jar", Member: "lib/app.jar"}
	for _, d := range []*Descriptor{debDescriptor(), fileDescriptor(), made} {
		b, err := d.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := DecodeDescriptor(b)
		if err != nil {
			return
		}
		if again, err := d.Encode(); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("decodes, but encodes otherwise: %v", err)
		}
	})
}

func FuzzDecodeDraft(f *testing.F) {
	m := newMesh(f, "acme", 1, 1)
	man, err := DecodeManifest(m.trust.Files().Manifest)
	if err != nil {
		f.Fatal(err)
	}
	man.Epoch++
	d, err := NewDraft(m.trust, man, t0)
	if err != nil {
		f.Fatal(err)
	}
	b, err := d.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	canary, _ := canaryMesh(f)
	decides, err := canary.trust.RoleManifest("canary")
	if err != nil {
		f.Fatal(err)
	}
	approveRole("tool", "canary", ActionInstall)(decides)
	ofRole, err := NewRoleDraft(canary.trust, decides, t0)
	if err != nil {
		f.Fatal(err)
	}
	roleBytes, err := ofRole.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(roleBytes)
	f.Add(bytes.Replace(b, []byte(`"targets":{"manifest.json"`), []byte(`"targets":{"x":null,"manifest.json"`), 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := DecodeDraft(b)
		if err != nil {
			return
		}
		for _, tr := range []*Trust{m.trust, canary.trust} {
			_ = d.Check(tr)
			if made, _, _ := d.Status(tr); made != 0 {
				t.Fatal("a signature counts that nobody made")
			}
		}
		if _, err := d.Encode(); err != nil {
			t.Fatalf("decodes and does not encode: %v", err)
		}
	})
}
