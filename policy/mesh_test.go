package policy

import (
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"patchmesh/content"
)

var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// key makes a signer from a name: the same name, the same key.
func key(t testing.TB, name string) Signer {
	t.Helper()
	seed := content.Sum([]byte(name)).SHA256()
	s, err := NewSigner(ed25519.NewKeyFromSeed(seed[:]))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func pub(name string) string {
	seed := content.Sum([]byte(name)).SHA256()
	return hex.EncodeToString(ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey))
}

// mesh is an organisation with its seed, as far as documents go.
type mesh struct {
	t     testing.TB
	keys  RoleKeys
	trust *Trust
}

func newMesh(t testing.TB, org string, threshold, approvers int) *mesh {
	t.Helper()
	k := RoleKeys{Root: []Signer{key(t, org+" root")}, RootThreshold: 1, Threshold: threshold}
	for i := range approvers {
		k.Approvers = append(k.Approvers, key(t, fmt.Sprintf("%s approver %d", org, i)))
	}
	k.Online = OnlineKeys{Timestamp: key(t, org+" timestamp"), Snapshot: key(t, org+" snapshot"), Roster: key(t, org+" roster")}
	f, err := NewRepository(org, k, &Roster{Org: org, EnrolmentKeys: []string{pub(org + " enrol")}}, t0)
	if err != nil {
		t.Fatal(err)
	}
	m := &mesh{t: t, keys: k}
	m.trust = m.open(f)
	return m
}

func (m *mesh) open(f Files) *Trust {
	m.t.Helper()
	tr, err := OpenTrust(f, t0)
	if err != nil {
		m.t.Fatal(err)
	}
	return tr
}

// next publishes one more epoch, signed by the first n approvers.
func (m *mesh) next(now time.Time, signers int, edit func(*Manifest)) (Files, error) {
	m.t.Helper()
	man, err := DecodeManifest(m.trust.Files().Manifest)
	if err != nil {
		m.t.Fatal(err)
	}
	man.Epoch++
	if edit != nil {
		edit(man)
	}
	d, err := NewDraft(m.trust, man, now)
	if err != nil {
		return Files{}, err
	}
	for _, s := range m.keys.Approvers[:signers] {
		if err := d.Sign(s); err != nil {
			m.t.Fatal(err)
		}
	}
	f, err := m.trust.Publish(d, nil, m.keys.Online, now)
	if err == nil {
		m.trust = m.open(f)
	}
	return f, err
}

func (m *mesh) mustNext(now time.Time, edit func(*Manifest)) Files {
	m.t.Helper()
	f, err := m.next(now, len(m.keys.Approvers), edit)
	if err != nil {
		m.t.Fatal(err)
	}
	return f
}

// walk refreshes a trust from a set of files, as a machine does from a peer.
func walk(tr *Trust, f Files, now time.Time, roots ...[]byte) (*Trust, error) {
	if _, _, err := tr.CheckHead(f.Timestamp, now); err != nil && len(roots) == 0 {
		return nil, err
	}
	return follow(tr.Refresh(f.Timestamp, now), f, roots...)
}

func follow(r *Refresh, f Files, roots ...[]byte) (*Trust, error) {
	for need, more := r.Need(); more; need, more = r.Need() {
		var b []byte
		switch need.Role {
		case "root":
			if i := int(need.RootVersion) - 2; i < len(roots) {
				b = roots[i]
			}
		case "snapshot":
			b = f.Snapshot
		case "targets":
			b = f.Targets
		case "roster-role":
			b = f.RosterRole
		case "roster":
			b = f.Roster
		case "manifest":
			b = f.Manifest
		default:
			b = f.Find(need.ID)
		}
		if err := r.Supply(b); err != nil {
			return nil, err
		}
	}
	return r.Result()
}

func hold(id string) func(*Manifest) {
	return func(m *Manifest) {
		m.Holds = append(m.Holds, Hold{ID: id, Update: AllUpdates, Kind: "pause", Reason: "because", At: t0})
	}
}

// forge makes what a thief of the timestamp and snapshot keys could: any snapshot and timestamp over
// the documents of f, one version ahead of what the mesh trusts unless an edit says otherwise.
func (m *mesh) forge(f Files, now time.Time, snap func(*metadata.SnapshotType), ts func(*metadata.TimestampType)) Files {
	m.t.Helper()
	version := func(b []byte) int64 {
		var d struct{ Signed struct{ Version int64 } }
		if err := json.Unmarshal(b, &d); err != nil {
			return 1 // no document at all: an edit says what is signed about it
		}
		return d.Signed.Version
	}
	s := metadata.Snapshot(expiry(now, 14*day))
	s.Signed.Version = m.trust.tm.Snapshot.Signed.Version + 1
	s.Signed.Meta = map[string]*metadata.MetaFiles{
		targetsFile: metaFile(version(f.Targets), f.Targets), rosterFile: metaFile(version(f.RosterRole), f.RosterRole),
	}
	if snap != nil {
		snap(&s.Signed)
	}
	f.Snapshot = signed(m.t, s, m.keys.Online.Snapshot)
	h := metadata.Timestamp(expiry(now, 7*day))
	h.Signed.Version = m.trust.HeadVersion() + 1
	h.Signed.Meta = map[string]*metadata.MetaFiles{snapshotFile: metaFile(s.Signed.Version, f.Snapshot)}
	if ts != nil {
		ts(&h.Signed)
	}
	f.Timestamp = signed(m.t, h, m.keys.Online.Timestamp)
	return f
}

// signed signs and encodes any TUF document.
func signed[T metadata.Roles](t testing.TB, m *metadata.Metadata[T], signers ...Signer) []byte {
	t.Helper()
	m.ClearSignatures()
	for _, s := range signers {
		if _, err := m.Sign(s.sig); err != nil {
			t.Fatal(err)
		}
	}
	b, err := m.ToBytes(false)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// reparse decodes a document to change it.
func reparse[T metadata.Roles](t testing.TB, b []byte) *metadata.Metadata[T] {
	t.Helper()
	m, err := new(metadata.Metadata[T]).FromBytes(b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func mustHex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
