package policy

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// pastCVE is one advisory of an update system or a peer-to-peer tool, and what it would be here.
type pastCVE struct {
	id, of, here string
	attack       func(t *testing.T, m *mesh)
}

// S-PASTCVE, documents: what has gone wrong elsewhere in judging signed metadata.
var pastCVEs = []pastCVE{
	{"CVE-2020-15093", "tough", "one approver key under two key ids meets a threshold of two", func(t *testing.T, m *mesh) {
		root := reparse[metadata.RootType](t, m.trust.Files().Root)
		id := m.keys.Approvers[0].KeyID()
		root.Signed.Keys["twin"] = root.Signed.Keys[id]
		role := root.Signed.Roles[metadata.TARGETS]
		role.KeyIDs, role.Threshold = []string{id, "twin"}, 2
		noTrust(t, signed(t, root, m.keys.Root...), ErrWeakKey)
	}},
	{"CVE-2020-6174", "python-tuf", "one approver's signature repeated meets a threshold of two", func(t *testing.T, _ *mesh) {
		m := newMesh(t, "acme", 2, 2)
		targets := reparse[metadata.TargetsType](t, m.trust.Files().Targets)
		targets.Signatures[1] = targets.Signatures[0]
		f := m.trust.Files()
		f.Targets, _ = targets.ToBytes(false)
		refused(t, m.trust, m.forge(f, t0, nil, nil), t0, ErrFormat)
	}},
	{"CVE-2026-6966", "tough", "the roster role's threshold is met by one key listed twice", func(t *testing.T, m *mesh) {
		delegating(t, m, func(d *metadata.Delegations) {
			id := d.Roles[0].KeyIDs[0]
			d.Keys["twin"] = d.Keys[id]
			d.Roles[0].KeyIDs, d.Roles[0].Threshold = []string{id, "twin"}, 2
		}, ErrWeakKey)
	}},
	{"CVE-2026-23992", "go-tuf", "a delegation with threshold 0 lets anybody sign the roster", func(t *testing.T, m *mesh) {
		delegating(t, m, func(d *metadata.Delegations) { d.Roles[0].Threshold = 0 }, ErrFormat)
		for role := range m.trust.tm.Root.Signed.Roles {
			root := reparse[metadata.RootType](t, m.trust.Files().Root)
			root.Signed.Roles[role].Threshold = 0
			noTrust(t, signed(t, root, m.keys.Root...), ErrFormat)
		}
	}},
	{"CVE-2026-23991", "go-tuf", "well-formed JSON that is no metadata ends the program before a signature is checked", func(t *testing.T, m *mesh) {
		for _, b := range []string{`null`, `[]`, `{}`, `{"signed":null,"signatures":null}`, `{"signed":{},"signatures":[null]}`, `{"signed":[],"signatures":{}}`, `{"signed":{"_type":1},"signatures":[]}`} {
			noTrust(t, []byte(b), ErrFormat)
			if _, _, err := m.trust.CheckHead([]byte(b), t0); !errors.Is(err, ErrFormat) {
				t.Errorf("head %s: %v", b, err)
			}
		}
	}},
	{"CVE-2024-47534", "go-tuf", "a second delegation is looked up in the wrong order and gives the wrong roster", func(t *testing.T, m *mesh) {
		delegating(t, m, func(d *metadata.Delegations) {
			second := d.Roles[0]
			second.Name = "another"
			d.Roles = []metadata.DelegatedRole{second, d.Roles[0]}
		}, ErrFormat)
	}},
	{"CVE-2021-41131", "python-tuf", "a delegated role named like a path overwrites a file when it is kept", func(t *testing.T, m *mesh) {
		delegating(t, m, func(d *metadata.Delegations) { d.Roles[0].Name = "../../etc/roster" }, ErrFormat)
	}},
	{"CVE-2022-29173", "go-tuf", "older snapshot and targets are taken under a newer head", func(t *testing.T, m *mesh) {
		old := m.mustNext(t0, hold("h1"))
		f := m.mustNext(t0, hold("h2"))
		f.Targets, f.Manifest = old.Targets, old.Manifest
		refused(t, m.trust, m.forge(f, t0, nil, nil), t0, ErrRollback)
	}},
	{"CVE-2025-2885", "tough", "a root that skips a version is taken", func(t *testing.T, m *mesh) {
		root := reparse[metadata.RootType](t, m.trust.Files().Root)
		root.Signed.Version = 3
		if err := m.trust.Refresh(m.trust.Files().Timestamp, t0).Supply(signed(t, root, m.keys.Root...)); !errors.Is(err, ErrRollback) {
			t.Fatalf("%v", err)
		}
	}},
	{"CVE-2020-15163", "python-tuf", "a root that failed to verify is trusted the next time", func(t *testing.T, m *mesh) {
		root := reparse[metadata.RootType](t, m.trust.Files().Root)
		root.Signed.Version = 2
		evil := signed(t, root, key(t, "usurper"))
		for range 2 {
			r := m.trust.Refresh(m.trust.Files().Timestamp, t0)
			if need, _ := r.Need(); need.RootVersion != 2 {
				t.Fatalf("root %d is asked for", need.RootVersion)
			}
			if err := r.Supply(evil); !errors.Is(err, ErrThreshold) {
				t.Fatalf("%v", err)
			}
			if got, err := r.Result(); err == nil || got != nil {
				t.Fatal("a failed walk has a result")
			}
		}
	}},
	{"CVE-2025-2888", "tough", "a head whose snapshot was refused stays behind and blocks the true one", func(t *testing.T, m *mesh) {
		old := m.mustNext(t0, hold("h1"))
		m.mustNext(t0, hold("h2"))
		machine := m.trust
		evil := m.forge(machine.Files(), t0, nil, func(ts *metadata.TimestampType) {
			ts.Version += 100
			ts.Meta[snapshotFile] = metaFile(2, old.Snapshot)
		})
		evil.Snapshot = old.Snapshot
		refused(t, machine, evil, t0, ErrRollback)
		if _, err := walk(machine, m.mustNext(t0, nil), t0); err != nil {
			t.Fatalf("the true head: %v", err)
		}
	}},
	{"CVE-2020-6173", "python-tuf", "thousands of signatures cost minutes before they are refused", func(t *testing.T, _ *mesh) {
		one := `{"keyid":"a","sig":"00"}`
		noTrust(t, []byte(`{"signatures":[`+one+strings.Repeat(","+one, 9000)+`],"signed":{"_type":"root"}}`), ErrTooLarge)
	}},
	{"CVE-2023-33958", "notation", "a head carries signatures without end for the verifier to try", func(t *testing.T, m *mesh) {
		ts := reparse[metadata.TimestampType](t, m.mustNext(t0, nil).Timestamp)
		for i := range 30 {
			ts.Signatures = append(ts.Signatures, metadata.Signature{KeyID: fmt.Sprint(i), Signature: make([]byte, 64)})
		}
		b, _ := ts.ToBytes(false)
		if _, _, err := m.trust.CheckHead(b, t0); !errors.Is(err, ErrFormat) {
			t.Fatalf("%v", err)
		}
	}},
	{"CVE-2023-33959", "notation-go", "what was verified is not what is then used: other bytes under the same name", func(t *testing.T, m *mesh) {
		machine := m.trust
		f := m.mustNext(t0, hold("h1"))
		f.Manifest = bytes.Replace(f.Manifest, []byte(`"reason":"because"`), []byte(`"reason":"bECAUSE"`), 1)
		refused(t, machine, f, t0, ErrHash)
	}},
	{"CVE-2022-36056", "cosign", "a good signature counts for a document that it was not made for", func(t *testing.T, m *mesh) {
		machine := m.trust
		ts := reparse[metadata.TimestampType](t, m.mustNext(t0, nil).Timestamp)
		ts.Signed.Version++
		b, _ := ts.ToBytes(false)
		if _, _, err := machine.CheckHead(b, t0); !errors.Is(err, ErrBadSignature) {
			t.Fatalf("%v", err)
		}
	}},
	{"CVE-2022-35929", "cosign", "a well-signed document of another type stands where the approvals should", func(t *testing.T, m *mesh) {
		f := m.trust.Files()
		f.Targets = f.Root
		_, err := walk(m.trust, m.forge(f, t0, nil, nil), t0)
		if err == nil {
			t.Fatal("a root was taken for targets")
		}
		if _, _, err := m.trust.CheckHead(m.trust.Files().Snapshot, t0); !errors.Is(err, ErrFormat) {
			t.Fatalf("a snapshot for a head: %v", err)
		}
	}},
	{"CVE-2022-21449", "OpenJDK", "a signature of zeros verifies", func(t *testing.T, m *mesh) {
		machine := m.trust
		ts := reparse[metadata.TimestampType](t, m.mustNext(t0, nil).Timestamp)
		ts.Signatures[0].Signature = make([]byte, 64)
		b, _ := ts.ToBytes(false)
		if _, _, err := machine.CheckHead(b, t0); !errors.Is(err, ErrBadSignature) {
			t.Fatalf("%v", err)
		}
	}},
	{"CVE-2020-0601", "Windows CryptoAPI", "a key brings its own curve: a root names keys of other types and schemes", func(t *testing.T, m *mesh) {
		otherKeyType(t, m, "ecdsa", "ecdsa-sha2-nistp256", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----")
		otherKeyType(t, m, metadata.KeyTypeEd25519, "ed25519-with-my-own-base-point", pub("ann"))
	}},
	{"CVE-2023-39533", "go-libp2p", "a huge RSA key makes every verification slow", func(t *testing.T, m *mesh) {
		otherKeyType(t, m, metadata.KeyTypeRSASSA_PSS_SHA256, metadata.KeySchemeRSASSA_PSS_SHA256, strings.Repeat("A", 100000))
	}},
	{"CVE-2024-24783", "Go crypto/x509", "a key of an unknown algorithm ends the program", func(t *testing.T, m *mesh) {
		otherKeyType(t, m, "post-quantum", "dream", "00")
	}},
	{"CVE-2016-1252", "apt", "text around the signed part is read, or an error while checking counts as success", func(t *testing.T, m *mesh) {
		machine := m.trust
		head := m.mustNext(t0, nil).Timestamp
		for i := range head {
			if newer, _, err := machine.CheckHead(head[:i], t0); newer || err == nil {
				t.Fatalf("the first %d bytes were taken", i)
			}
		}
		for _, b := range [][]byte{append([]byte("{}\n"), head...), append(bytes.Clone(head), head...), append([]byte("\ufeff"), head...)} {
			if newer, _, err := machine.CheckHead(b, t0); newer || err == nil {
				t.Fatal("text around a head was taken")
			}
		}
	}},
	{"CVE-2020-7982", "opkg", "a hash that does not parse is skipped instead of refused", func(t *testing.T, m *mesh) {
		f := m.trust.Files()
		refused(t, m.trust, m.forge(f, t0, nil, func(ts *metadata.TimestampType) { ts.Meta[snapshotFile].Hashes = metadata.Hashes{} }), t0, ErrFormat)
		d := fileDescriptor()
		d.SHA256 = " " + d.SHA256
		if _, err := d.Encode(); !errors.Is(err, ErrFormat) {
			t.Fatalf("a hash with a space: %v", err)
		}
	}},
	{"CVE-2025-59354", "Dragonfly", "a weak hash is enough to name a document", func(t *testing.T, m *mesh) {
		f := m.trust.Files()
		weak := metadata.Hashes{"md5": make([]byte, 16), "sha1": make([]byte, 20)}
		refused(t, m.trust, m.forge(f, t0, func(s *metadata.SnapshotType) { s.Meta[targetsFile].Hashes = weak }, nil), t0, ErrFormat)
		short := metadata.Hashes{"sha256": make([]byte, 6)} // half of one is none
		refused(t, m.trust, m.forge(f, t0, func(s *metadata.SnapshotType) { s.Meta[targetsFile].Hashes = short }, nil), t0, ErrFormat)
	}},
	{"CVE-2023-28101", "Flatpak", "escape sequences in a description hide what an approver agrees to", func(t *testing.T, m *mesh) {
		_, err := m.next(t0, 1, func(man *Manifest) {
			hold("h1")(man)
			man.Holds[len(man.Holds)-1].Reason = "harmless\x1b[2K\x1b[1A"
		})
		if !errors.Is(err, ErrFormat) {
			t.Fatalf("%v", err)
		}
		d := fileDescriptor()
		d.Title = "safe \u202egpj.exe"
		if _, err := d.Encode(); !errors.Is(err, ErrFormat) {
			t.Fatalf("a title: %v", err)
		}
	}},
	{"CVE-2020-8437", "µTorrent", "a nested document overruns the decoder", func(t *testing.T, m *mesh) {
		for _, deep := range []string{strings.Repeat("[", 200000), strings.Repeat(`{"a":`, 100000), `{"signed":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `,"signatures":[]}`} {
			noTrust(t, []byte(deep), ErrFormat)
			if _, err := DecodeManifest([]byte(deep)); !errors.Is(err, ErrFormat) {
				t.Errorf("manifest: %v", err)
			}
		}
	}},
	{"CVE-2022-30633", "Go encoding/xml", "groups nested without end exhaust the stack of whoever walks them", func(t *testing.T, m *mesh) {
		man := &Manifest{Org: "acme", Epoch: 2}
		for i := range 5000 {
			man.Groups = append(man.Groups, Group{Name: fmt.Sprintf("g%05d", i), Parent: fmt.Sprintf("g%05d", i+1)})
		}
		man.Groups = append(man.Groups, Group{Name: "g05000", Parent: "g00000"})
		if _, err := man.Encode(); !errors.Is(err, ErrFormat) {
			t.Fatalf("%v", err)
		}
	}},
}

func TestPastCVEs(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range pastCVEs {
		if seen[c.id] {
			t.Errorf("%s stands there twice", c.id)
		}
		seen[c.id] = true
		t.Run(c.id+" "+c.of, func(t *testing.T) {
			t.Log(c.here)
			c.attack(t, newMesh(t, "acme", 1, 1))
		})
	}
	t.Logf("%d advisories", len(pastCVEs))
}

func noTrust(t *testing.T, root []byte, want error) {
	t.Helper()
	if _, err := NewTrust(root); !errors.Is(err, want) {
		t.Fatalf("%v, want %v", err, want)
	}
}

// delegating shows a machine targets with other delegations, signed by the approvers.
func delegating(t *testing.T, m *mesh, edit func(*metadata.Delegations), want error) {
	t.Helper()
	targets := reparse[metadata.TargetsType](t, m.trust.Files().Targets)
	targets.Signed.Version = 2
	edit(targets.Signed.Delegations)
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
	f.Targets = signed(t, targets, m.keys.Approvers...)
	refused(t, m.trust, m.forge(f, t0, nil, nil), t0, want)
}

// otherKeyType names a key of another kind in a root that the true root keys have signed.
func otherKeyType(t *testing.T, m *mesh, kind, scheme, public string) {
	t.Helper()
	root := reparse[metadata.RootType](t, m.trust.Files().Root)
	k := &metadata.Key{Type: kind, Scheme: scheme}
	k.Value.PublicKey = public
	root.Signed.Keys[hex.EncodeToString(make([]byte, 32))] = k
	noTrust(t, signed(t, root, m.keys.Root...), ErrUnknownKey)
}
