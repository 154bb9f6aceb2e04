package policy

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// The edges of what is taken, one row each: what a thief with the right keys, a broken seed or a broken
// disk may show.

func TestRostersOutOfBoundsAreRefused(t *testing.T) {
	many := func(n int, s string) []string {
		out := make([]string, n)
		for i := range out {
			out[i] = s
		}
		return out
	}
	revoked := func(n int, peer string) []Revocation {
		out := make([]Revocation, n)
		for i := range out {
			out[i] = Revocation{Peer: fmt.Sprintf("%s%05d", peer, i), At: t0, Until: t0.Add(day), Reason: strings.Repeat("r", MaxReasonText)}
		}
		return out
	}
	seed := SeedEntry{Peer: "p", Site: "hq"}
	for name, r := range map[string]Roster{
		"no organisation":           {},
		"65 enrolment keys":         {Org: "acme", EnrolmentKeys: many(65, pub("x"))},
		"a weak enrolment key":      {Org: "acme", EnrolmentKeys: []string{torsion[0]}},
		"257 seeds":                 {Org: "acme", Seeds: make([]SeedEntry, 257)},
		"too many revocations":      {Org: "acme", Revoked: revoked(MaxRevocations+1, "p")},
		"a revocation in two lines": {Org: "acme", Revoked: revoked(1, "a\nb")},
		"a long revocation":         {Org: "acme", Revoked: revoked(1, strings.Repeat("x", 129))},
		"a site that is a path":     {Org: "acme", Seeds: []SeedEntry{{Peer: "p", Site: "../hq"}}},
		"a seed without name":       {Org: "acme", Seeds: []SeedEntry{{Site: "hq"}}},
		"a seed with 33 addresses":  {Org: "acme", Seeds: []SeedEntry{{Peer: "p", Site: "hq", Addrs: many(33, "192.0.2.1:1")}}},
		"a control character":       {Org: "acme", Seeds: []SeedEntry{seed, {Peer: "p", Site: "hq", Addrs: []string{"\x1b[2J"}}}},
		"more bytes than allowed":   {Org: "acme", Revoked: revoked(MaxRevocations, strings.Repeat("x", 110))},
	} {
		if _, err := r.Encode(); !errors.Is(err, ErrFormat) && !errors.Is(err, ErrTooLarge) && !errors.Is(err, ErrWeakKey) {
			t.Errorf("%s: encode: %v", name, err)
		}
	}
	if _, err := DecodeRoster([]byte(`{"format":2,"org":"acme","serial":1,"issued_at":"0001-01-01T00:00:00Z","enrolment_keys":null,"seeds":null,"revoked":null}`)); !errors.Is(err, ErrFormat) {
		t.Errorf("another format: %v", err)
	}
	ok := Roster{Org: "acme", EnrolmentKeys: []string{pub("x")}, Seeds: []SeedEntry{{Peer: "p", Site: "hq", Addrs: []string{"192.0.2.1:7700"}}}, Revoked: revoked(1, "q")}
	b, err := ok.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeRoster(b); err != nil {
		t.Fatal(err)
	}
}

func TestManifestsOutOfBoundsAreRefused(t *testing.T) {
	big := &Manifest{Org: "acme", Epoch: 1}
	for i := range maxHolds {
		big.Holds = append(big.Holds, Hold{ID: fmt.Sprintf("h%05d", i), Update: AllUpdates, Kind: "pause", Reason: strings.Repeat("<", maxReasonBytes)})
	}
	for i := range maxGroups {
		big.Groups = append(big.Groups, Group{Name: fmt.Sprintf("g%05d", i), Parent: GroupAll})
	}
	for i := range 9000 {
		a := Approval{Update: UpdateID(fmt.Sprintf("u%05d%s", i, strings.Repeat("x", 120))), Revision: 1, Descriptor: fileDescriptor().ID(), DescriptorBytes: 10, Group: GroupAll, Action: ActionInstall}
		big.Approvals = append(big.Approvals, a)
	}
	if _, err := big.Encode(); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a manifest above its limit: %v", err)
	}
	for name, m := range map[string]Manifest{
		"a hold whose name is a path":   {Holds: []Hold{{ID: "../h", Update: AllUpdates, Kind: "pause"}}},
		"a hold of no update":           {Holds: []Hold{{ID: "h", Update: "A b", Kind: "pause"}}},
		"a hold of a group like a path": {Holds: []Hold{{ID: "h", Update: "u", Group: "a/b", Kind: "pause"}}},
		"a group like a path":           {Groups: []Group{{Name: "../g"}}},
	} {
		m.Org, m.Epoch = "acme", 1
		if _, err := m.Encode(); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := (&Manifest{Org: "acme", Epoch: 1, IssuedAt: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}).Encode(); err == nil {
		t.Error("a year that nobody can read was written")
	}
}

func TestDescriptorsOutOfBoundsAreRefused(t *testing.T) {
	for name, edit := range map[string]func(*Descriptor){
		"thousands of texts":             func(d *Descriptor) { d.CVEs = make([]string, 2001) },
		"a licence with control bytes":   func(d *Descriptor) { d.Licence = "a\x00b" },
		"a licence of escapes":           func(d *Descriptor) { d.Licence = strings.Repeat("<", 128<<10) },
		"a superseded id that is a path": func(d *Descriptor) { d.Supersedes = []UpdateID{"../x"} },
		"no revision":                    func(d *Descriptor) { d.Revision = 0 },
	} {
		d := fileDescriptor()
		edit(d)
		if _, err := d.Encode(); !errors.Is(err, ErrFormat) && !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
		if !d.ID().IsZero() {
			t.Errorf("%s has a name", name)
		}
	}
	b, err := fileDescriptor().Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeDescriptor([]byte(strings.Replace(string(b), `"format":1`, `"format":9`, 1))); !errors.Is(err, ErrFormat) {
		t.Errorf("another format: %v", err)
	}
}

func TestSignersOfNothingSignNothing(t *testing.T) {
	if _, err := NewSigner(make(ed25519.PrivateKey, 5)); !errors.Is(err, ErrFormat) {
		t.Errorf("a short key: %v", err)
	}
	if _, err := NewSigner(make(ed25519.PrivateKey, 64)); !errors.Is(err, ErrWeakKey) {
		t.Errorf("a key whose public half is of low order: %v", err)
	}
	m := newMesh(t, "acme", 1, 1)
	if _, err := m.trust.NextRoot(m.keys, []Signer{{}}, t0); !errors.Is(err, ErrFormat) {
		t.Errorf("a root signed by nobody: %v", err)
	}
	k := m.keys
	k.Online.Timestamp = Signer{}
	if _, err := m.trust.NextRoot(k, k.Root, t0); !errors.Is(err, ErrFormat) {
		t.Errorf("a root that names nobody: %v", err)
	}
	for name, edit := range map[string]func(*RoleKeys){
		"no roster key":              func(k *RoleKeys) { k.Online.Roster = Signer{} },
		"no root key":                func(k *RoleKeys) { k.Root = []Signer{{}} },
		"a root that does not sign":  func(k *RoleKeys) { s, _ := NamePublic(mustHex(t, pub("r"))); k.Root = []Signer{s} },
		"an approver without a key":  func(k *RoleKeys) { s, _ := NamePublic(mustHex(t, pub("a"))); k.Approvers = []Signer{s} },
		"a threshold above the keys": func(k *RoleKeys) { k.Threshold = 5 },
	} {
		k := m.keys
		edit(&k)
		if f, err := NewRepository("acme", k, &Roster{Org: "acme"}, t0); err == nil || f.Root != nil {
			t.Errorf("%s: documents were made: %v", name, err)
		}
	}
	if _, err := NewRepository("acme", m.keys, &Roster{}, t0); !errors.Is(err, ErrOrg) && !errors.Is(err, ErrFormat) {
		t.Errorf("a roster of nobody: %v", err)
	}
	if _, err := NewRepository("", m.keys, &Roster{}, t0); !errors.Is(err, ErrFormat) {
		t.Errorf("an organisation without name: %v", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("a constant that is no point passed")
		}
	}()
	mustPoint("zz")
}

func TestRootAloneKnowsNothingElse(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	tr, err := OpenTrust(Files{Root: m.trust.Files().Root}, t0)
	if err != nil {
		t.Fatal(err)
	}
	if tr.HeadVersion() != 0 || tr.Epoch() != 0 || tr.Manifest() != nil || len(tr.Roster().Seeds) != 0 || tr.Stale(t0.Add(1000*day)) ||
		!tr.ExpiresAt().IsZero() || !tr.ApprovalsExpireAt().IsZero() || !tr.HeadIssuedAt().IsZero() || !tr.AgeingAt(t0).IsZero() {
		t.Error("a root alone claims to know more")
	}
	if !tr.RootExpiresAt().Equal(t0.Add(DefaultLife().Root)) {
		t.Errorf("the root expires at %s", tr.RootExpiresAt())
	}
	if _, err := OpenTrust(Files{Root: []byte("{}")}, t0); !errors.Is(err, ErrFormat) {
		t.Errorf("no root: %v", err)
	}
	noTrust(t, signed(t, reparse[metadata.RootType](t, m.trust.Files().Root)), ErrThreshold)
	root := reparse[metadata.RootType](t, m.trust.Files().Root)
	delete(root.Signed.Roles, metadata.SNAPSHOT)
	noTrust(t, signed(t, root, m.keys.Root...), ErrFormat)
	root = reparse[metadata.RootType](t, m.trust.Files().Root)
	root.Signed.UnrecognizedFields = nil
	noTrust(t, signed(t, root, m.keys.Root...), ErrFormat)
}

// A caller who has it wrong, or whose memory is damaged, gets an error and no trust.
func TestRefreshUsedWronglyGivesNothing(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	r := m.trust.Refresh(m.trust.Files().Timestamp, t0)
	if got, err := r.Result(); got != nil || !errors.Is(err, ErrFormat) {
		t.Errorf("a result before the end: %v", err)
	}
	r = m.trust.Refresh(m.trust.Files().Timestamp, t0)
	if err := r.Supply(nil); err != nil {
		t.Fatal(err)
	}
	if _, more := r.Need(); more {
		t.Fatal("documents at hand are asked for")
	}
	if err := r.Supply([]byte("more")); !errors.Is(err, ErrFormat) {
		t.Errorf("what nobody needs: %v", err)
	}
	broken := *m.trust
	broken.files.Delegated = []byte("no list")
	r = broken.Refresh(m.trust.Files().Timestamp, t0)
	if _, more := r.Need(); more {
		t.Error("a refresh from documents that cannot be read goes on")
	}
	if err := r.Supply(nil); err == nil {
		t.Error("a refresh from documents that cannot be read takes something")
	}
	if got, err := r.Result(); got != nil || err == nil {
		t.Error("a refresh from documents that cannot be read has a result")
	}
	r = m.trust.Refresh(m.trust.Files().Timestamp, t0)
	r.roots = maxRoots
	root := m.rotate(m.keys)
	if err := r.Supply(root); !errors.Is(err, ErrTooLarge) {
		t.Errorf("one root too many: %v", err)
	}
}

// Documents that are signed and named rightly, and are none.
func TestSignedGarbageIsRefused(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	f := m.trust.Files()
	role := reparse[metadata.TargetsType](t, f.RosterRole)
	role.Signed.Version = 2
	role.Signed.Targets[RosterPath] = targetFile([]byte("garbage"))
	g := f
	g.Roster, g.RosterRole = []byte("garbage"), signed(t, role, m.keys.Online.Roster)
	refused(t, m.trust, m.forge(g, t0, nil, nil), t0, ErrFormat)

	targets := reparse[metadata.TargetsType](t, f.Targets)
	targets.Signed.Version = 2
	targets.Signed.Targets[ManifestPath] = targetFile([]byte("garbage"))
	g = f
	g.Manifest, g.Targets = []byte("garbage"), signed(t, targets, m.keys.Approvers...)
	refused(t, m.trust, m.forge(g, t0, nil, nil), t0, ErrFormat)

	delete(targets.Signed.Targets, ManifestPath)
	g = f
	g.Targets = signed(t, targets, m.keys.Approvers...)
	refused(t, m.trust, m.forge(g, t0, nil, nil), t0, ErrFormat)

	g = f
	g.Targets = []byte(`{"signed":null,"signatures":[]}`)
	refused(t, m.trust, m.forge(g, t0, nil, nil), t0, ErrFormat)
	g = f
	g.RosterRole = []byte(`{"signed":null,"signatures":[]}`)
	refused(t, m.trust, m.forge(g, t0, nil, nil), t0, ErrFormat)

	// The snapshot that sets the roster's floor is lost from memory: the roster's own serial still does.
	machine := *m.trust
	machine.files.Snapshot = nil
	newer := *machine.roster
	newer.Serial = 5
	machine.roster = &newer
	refusedBy := m.forge(f, t0, nil, nil)
	if _, err := walk(&machine, refusedBy, t0); !errors.Is(err, ErrRollback) {
		t.Errorf("an older roster: %v", err)
	}
	r := m.trust.Refresh(f.Timestamp, t0)
	r.rootDone, r.files.Timestamp = true, f.Timestamp
	r.tm.Timestamp, r.tm.Snapshot = m.trust.tm.Timestamp, metadata.Snapshot(t0)
	r.files.Snapshot = f.Snapshot
	r.tm.Snapshot.Signed.Meta = map[string]*metadata.MetaFiles{}
	if _, more := r.Need(); more || !errors.Is(r.err, ErrFormat) {
		t.Errorf("a snapshot that names no targets: %v", r.err)
	}
}

func TestErrorsOfGoTUFKeepTheirMeaning(t *testing.T) {
	if err := translate("x", &metadata.ErrLengthOrHashMismatch{Msg: "m"}); !errors.Is(err, ErrHash) {
		t.Error(err)
	}
	if !below(pMinus, pMinus) || below([32]byte{31: 0xff}, pMinus) {
		t.Error("numbers are not compared as they should be")
	}
}

func TestFloorsOutOfBounds(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	f := m.trust.Floor()
	if err := errors.Join(f.Valid(), f.Check(m.trust)); err != nil || !f.Equal(m.trust.Floor()) {
		t.Fatalf("its own floor: %v", err)
	}
	for name, edit := range map[string]func(*Floor){
		"another root of the version": func(f *Floor) { f.Online = []string{"timestamp somebody"} },
		"a newer root":                func(f *Floor) { f.Root = 2 },
		"a newer head":                func(f *Floor) { f.Timestamp = 2 },
		"a newer snapshot":            func(f *Floor) { f.Snapshot = 2 },
		"a newer roster":              func(f *Floor) { f.Targets = map[string]int64{metadata.TARGETS: 1, RosterRole: 2} },
		"a newer epoch":               func(f *Floor) { f.Targets = map[string]int64{metadata.TARGETS: 2} },
		"a newer epoch that new online keys do not free": func(f *Floor) {
			f.Root, f.Online, f.Targets = 0, []string{"timestamp gone"}, map[string]int64{metadata.TARGETS: 2}
		},
	} {
		g := m.trust.Floor()
		edit(&g)
		if err := g.Check(m.trust); !errors.Is(err, ErrRollback) {
			t.Errorf("%s: %v, want ErrRollback", name, err)
		}
		if g.Equal(f) {
			t.Errorf("%s is the same floor", name)
		}
	}
	delegated := Floor{Root: 1, Targets: map[string]int64{"canary": 7}}
	if err := delegated.checkDelegated(Floor{Targets: map[string]int64{"canary": 6}}); !errors.Is(err, ErrRollback) {
		t.Errorf("a delegated role that goes back: %v", err)
	}
	low := Floor{Root: 1, Timestamp: 1, Online: m.trust.Floor().Online}
	far := m.open(m.forge(m.trust.Files(), t0, nil, func(ts *metadata.TimestampType) { ts.Version = 2 + maxVersionJump }))
	if err := low.Check(far); !errors.Is(err, ErrFormat) {
		t.Errorf("a head that runs ahead: %v", err)
	}
	for name, g := range map[string]Floor{
		"no root": {}, "a negative head": {Root: 1, Timestamp: -1}, "a role of no version": {Root: 1, Targets: map[string]int64{"x": 0}},
	} {
		if err := g.Valid(); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAgeOfHeadsThatDoNotSayWhenTheyWereSigned(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	if got := m.trust.AgeingAt(time.Time{}); !got.Equal(t0.Add(7 * day / 2)) {
		t.Errorf("half of a week is over at %s", got)
	}
	for name, says := range map[string]any{"nothing": nil, "nonsense": "yesterday", "a time after its end": t0.Add(30 * day).Format(time.RFC3339)} {
		f := m.forge(m.trust.Files(), t0, nil, func(ts *metadata.TimestampType) { ts.UnrecognizedFields = map[string]any{issuedField: says} })
		if says == nil {
			f = m.forge(m.trust.Files(), t0, nil, nil)
		}
		tr := m.open(f)
		if !tr.HeadIssuedAt().IsZero() {
			t.Errorf("%s: signed at %s", name, tr.HeadIssuedAt())
		}
		if got := tr.AgeingAt(t0.Add(day)); !got.Equal(t0.Add(4 * day)) {
			t.Errorf("%s: taken up after a day, half of the rest is over at %s", name, got)
		}
		if got := tr.AgeingAt(time.Time{}); !got.Equal(tr.ExpiresAt()) {
			t.Errorf("%s: not known since when, and yet %s", name, got)
		}
	}
}

func TestDataBehindADraftIsRefused(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	man, err := DecodeManifest(m.trust.Files().Manifest)
	if err != nil {
		t.Fatal(err)
	}
	man.Epoch++
	d, err := NewDraft(m.trust, man, t0)
	if err != nil {
		t.Fatal(err)
	}
	b, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeDraft(b); err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeDraft(append(b, "{}"...)); !errors.Is(err, ErrFormat) {
		t.Fatalf("%v, want ErrFormat", err)
	}
}
