package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"patchmesh/content"
)

// What is left of the verification's refusals when the suites have passed: each row is a document that
// a thief, a coerced approver or a bad disk could put before a machine.

// What lies on disk beside the set: damage there must not be taken for "no delegated roles", whose
// holds would then be gone.
func TestDamagedDocumentsOfRolesAreRefusedAtTheStart(t *testing.T) {
	m, k := canaryMesh(t)
	good := m.mustRole(t0, "canary", holdRole("canary.h1", "canary"), k)
	crowd := make([]delegatedFile, MaxDelegations+1)
	for name, b := range map[string][]byte{
		"no list": []byte(`{}`), "an empty list": []byte(`[]`), "cut short": good.Delegated[:len(good.Delegated)-1], "too many": encodeDelegated(crowd),
		"gone": nil,
	} {
		f := good
		f.Delegated = b
		if _, err := OpenTrust(f, t0); err == nil {
			t.Errorf("%s: opened", name)
		}
		if n := len(f.Documents()); n < 5 || len(f.Delegated) < 100 && n != 5 {
			t.Errorf("%s: %d documents are offered", name, n)
		}
	}
	if m.open(good).Manifest().Holds[0].Role() != "canary" {
		t.Error("the hold is not the role's")
	}
}

// A thief of the online keys says in the snapshot what he likes.
func TestSnapshotsThatNameOddDocumentsAreRefused(t *testing.T) {
	m, k := canaryMesh(t)
	m.mustRole(t0, "canary", holdRole("canary.h1", "canary"), k)
	f := m.trust.Files()
	refused(t, m.trust, m.forge(f, t0, func(s *metadata.SnapshotType) {
		s.Meta = map[string]*metadata.MetaFiles{}
		for name, file := range m.trust.tm.Snapshot.Signed.Meta {
			s.Meta[name] = file
		}
		for i := range maxSnapshotFiles {
			s.Meta[fmt.Sprintf("x%d.json", i)] = metaFile(1, nil)
		}
	}, nil), t0, ErrTooLarge)
	fresh, err := NewTrust(f.Root)
	if err != nil {
		t.Fatal(err)
	}
	unheard, k2 := canaryMesh(t)
	file := signRole(t, &RoleManifest{Org: "acme", Role: "canary", Granted: 2, Serial: 1, IssuedAt: t0, Holds: []Hold{}, Approvals: []Approval{}}, t0.Add(day), k2)
	none := metaFile(1, file.Signed)
	none.Version = -1
	for _, tr := range []*Trust{unheard.trust, fresh} {
		evil := unheard.forgeRoles(unheard.trust.Files(), t0, []delegatedFile{file})
		evil = unheard.forge(evil, t0, func(s *metadata.SnapshotType) { s.Meta["canary.json"] = none }, nil)
		if got, err := walk(tr, evil, t0); !errors.Is(err, ErrFormat) {
			t.Errorf("document -1 of a role: %v, %v", got, err)
		}
	}
}

// The role's document and the metadata that names it must be about the same thing.
func TestDocumentOfAnotherSerialCostsTheRoleItsDecisions(t *testing.T) {
	m, k := canaryMesh(t)
	m.mustRole(t0, "canary", approveRole("tool", "canary", ActionInstall), k)
	r, _ := m.trust.role("canary")
	doc := &RoleManifest{
		Format: RoleManifestFormat, Org: "acme", Role: "canary", Granted: r.Granted, Serial: 9, IssuedAt: t0, Approvals: []Approval{approval("evil", "canary", ActionInstall)}, Holds: []Hold{},
	}
	b, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	got, err := walk(m.trust, m.forgeRoles(m.trust.Files(), t0, []delegatedFile{signRoleBytes(t, "canary", 2, b, t0.Add(day), k)}), t0)
	if err != nil || got.Roles()[0].Refused == nil || len(got.Manifest().Approvals) != 0 {
		t.Fatalf("%v: %+v", err, got)
	}
}

func TestDocumentsOfRolesThatNobodyCouldReadAreNotWritten(t *testing.T) {
	doc := func() *RoleManifest {
		return &RoleManifest{Org: "acme", Role: "canary", Granted: 1, Serial: 1, IssuedAt: t0}
	}
	year := doc()
	year.IssuedAt = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	if _, err := year.Encode(); err == nil {
		t.Error("a time that JSON cannot hold was written")
	}
	long := doc()
	for i := range maxRoleApprovals {
		a := approval(fmt.Sprintf("%0100d", i), "canary", ActionInstall)
		a.NotBefore, a.Deadline = t0, t0.Add(day)
		long.Approvals = append(long.Approvals, a)
	}
	if _, err := long.Encode(); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a document beyond its limit: %v", err)
	}
	b, err := json.Marshal(&RoleManifest{Format: 9, Org: "acme", Role: "canary", Granted: 1, Serial: 1, IssuedAt: t0, Approvals: []Approval{}, Holds: []Hold{}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeRoleManifest(b); !errors.Is(err, ErrFormat) {
		t.Errorf("another format: %v", err)
	}
}

// Keys are the same only if all of them are, with the same threshold: a draft that changes one must
// not pass for one that changes none.
func TestRoleHasTheSameKeysOnlyIfAllOfThemAre(t *testing.T) {
	with := func(threshold int, keys ...string) *metadata.Delegations {
		d := &metadata.Delegations{Keys: map[string]*metadata.Key{}, Roles: []metadata.DelegatedRole{{Name: "canary", Threshold: threshold}}}
		for _, name := range keys {
			s := key(t, name)
			d.Keys[s.id] = s.key
			d.Roles[0].KeyIDs = append(d.Roles[0].KeyIDs, s.id)
		}
		return d
	}
	was := with(1, "a", "b")
	if !sameKeys(was, with(1, "b", "a"), "canary") {
		t.Error("the order of keys matters")
	}
	renamed := with(1, "a", "b")
	renamed.Keys[renamed.Roles[0].KeyIDs[1]] = key(t, "c").key
	for name, d := range map[string]*metadata.Delegations{
		"nothing": nil, "no role": {}, "another threshold": with(2, "a", "b"), "a key more": with(1, "a", "b", "c"), "another key": with(1, "a", "c"), "another key under its id": renamed,
	} {
		if sameKeys(was, d, "canary") || sameKeys(d, was, "canary") {
			t.Errorf("%s passes for the same", name)
		}
	}
}

func TestRosterSaysWhatItStatesOfASiteAndNoMore(t *testing.T) {
	sum := content.Sum([]byte("key"))
	r := &Roster{
		Org: "acme", IssuedAt: t0, Sites: []SiteEntry{{Site: "main", Prefixes: []string{"10.0.0.0/8"}}},
		Gossip: []GossipEpoch{{ID: 1, UseAt: t0, Keys: []GossipKeySum{{"main", sum}}}},
	}
	if got, ok := r.Gossip[0].SumOf("main"); !ok || got != sum {
		t.Errorf("%v, %v", got, ok)
	}
	if _, ok := r.Gossip[0].SumOf("other"); ok {
		t.Error("a key of a site that is not there")
	}
	if got := r.SitePrefixes("main"); len(got) != 1 || r.SitePrefixes("other") != nil {
		t.Errorf("%q", got)
	}
	sites := make([]SiteEntry, MaxSites+1)
	keys := make([]GossipKeySum, MaxSites+1)
	for name, edit := range map[string]func(*Roster){
		"too many sites":         func(r *Roster) { r.Sites = sites },
		"a site that is a path":  func(r *Roster) { r.Sites = []SiteEntry{{Site: "../x", Prefixes: []string{"10.0.0.0/8"}}} },
		"too many keys":          func(r *Roster) { r.Gossip = []GossipEpoch{{ID: 1, UseAt: t0, Keys: keys}} },
		"a key of a path":        func(r *Roster) { r.Gossip = []GossipEpoch{{ID: 1, UseAt: t0, Keys: []GossipKeySum{{"../x", sum}}}} },
		"a prefix with controls": func(r *Roster) { r.Sites = []SiteEntry{{Site: "main", Prefixes: []string{"10.0.0.0/8\x1b"}}} },
	} {
		bad := *r
		edit(&bad)
		if _, err := bad.Encode(); !errors.Is(err, ErrFormat) && !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What comes on a stick: any part of it may be missing, damaged or of somebody else.
func TestDamagedParcelsDoNotOpen(t *testing.T) {
	m, _ := canaryMesh(t)
	root := m.trust.Files().Root
	pinned, err := NewTrust(root)
	if err != nil {
		t.Fatal(err)
	}
	parcel := func(edit func(*Parcel)) *Parcel {
		b, err := NewParcel(m.trust, m.draft(), [][]byte{root}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		p, err := DecodeParcel(b)
		if err != nil {
			t.Fatal(err)
		}
		edit(p)
		return p
	}
	if _, err := parcel(func(*Parcel) {}).Open(pinned, t0); err != nil {
		t.Fatal(err)
	}
	next, err := m.trust.RootDraft(RootChange{AddApprovers: []Signer{key(t, "new")}}, t0)
	if err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(*Parcel){
		"no draft":                     func(p *Parcel) { p.Draft = []byte(`{}`) },
		"another targets":              func(p *Parcel) { p.Targets = p.RosterRole },
		"a head of nobody":             func(p *Parcel) { p.Timestamp = bytes.Replace(p.Timestamp, []byte(`"sig":"`), []byte(`"sig":"00`), 1) },
		"a next root that is none":     func(p *Parcel) { p.NextRoot = []byte(`{}`) },
		"a next root with no signer":   func(p *Parcel) { p.NextRoot = next },
		"roots that lead nowhere":      func(p *Parcel) { p.Roots = [][]byte{[]byte(`{}`)} },
		"nothing but a draft":          func(p *Parcel) { p.Timestamp = nil },
		"nothing but a damaged draft":  func(p *Parcel) { p.Timestamp, p.Draft = nil, []byte(`{"format":1}`) },
		"nothing but a draft of words": func(p *Parcel) { p.Timestamp, p.Draft = nil, []byte(`"words"`) },
	} {
		if o, err := parcel(edit).Open(pinned, t0); err == nil {
			t.Errorf("%s: opened: %+v", name, o)
		}
	}
	for name, b := range map[string][]byte{"words": []byte("words"), "another format": []byte(`{"format":2}`), "a field that nobody knows": []byte(`{"format":1,"more":1}`)} {
		if _, err := DecodeParcel(b); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := NewParcel(m.trust, m.draft(), nil, nil, nil); !errors.Is(err, ErrFormat) {
		t.Errorf("a parcel without the first root: %v", err)
	}
}

// The way back: the parcel carries the signatures home.
func TestParcelComesBackWithItsSignatures(t *testing.T) {
	m, _ := canaryMesh(t)
	root := m.trust.Files().Root
	b, err := NewParcel(m.trust, m.draft(), [][]byte{root}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := DecodeParcel(b)
	if err != nil {
		t.Fatal(err)
	}
	d, err := DecodeDraft(p.Draft)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Sign(m.keys.Approvers[0]); err != nil {
		t.Fatal(err)
	}
	if b, err = p.WithDraft(d); err != nil {
		t.Fatal(err)
	}
	back, err := DecodeParcel(b)
	if err != nil {
		t.Fatal(err)
	}
	o, err := back.Open(m.trust, t0)
	if err != nil {
		t.Fatal(err)
	}
	if made, _, _ := o.Draft.Status(o.By); made != 1 {
		t.Fatalf("%d signatures came back", made)
	}
}

func TestDraftsOfOddFormsAreRefused(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	b, err := m.draft().Encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"another format": bytes.Replace(b, []byte(`"format":1`), []byte(`"format":2`), 1),
		"no targets":     bytes.Replace(b, []byte(`"signatures"`), []byte(`"signatvres"`), 1),
	} {
		if _, err := DecodeDraft(b); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A log that says other than what was signed, in ways that hash and follow well.
func TestLogEntriesThatDoNotFollowAreRefused(t *testing.T) {
	_, lines, roots := logOf(t)
	first, err := DecodeEntry(lines[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(*Entry){
		"another format":             func(e *Entry) { e.Format = 2 },
		"a reason without end":       func(e *Entry) { e.Reason = strings.Repeat("x", maxReasonBytes+1) },
		"a gap before it":            func(e *Entry) { e.Before = 1 },
		"going back":                 func(e *Entry) { e.After = 0 },
		"older than it may":          func(e *Entry) { e.At = time.Time{} },
		"metadata that is none":      func(e *Entry) { e.Signed = []byte(`{}`) },
		"of another organisation":    func(e *Entry) { e.Org = "other" },
		"a role before any was made": func(e *Entry) { e.Role = "canary" },
	} {
		e := *first
		edit(&e)
		line, err := json.Marshal(&e)
		if err != nil {
			t.Fatal(err)
		}
		h := &History{}
		if name == "older than it may" {
			h.at = t0
		}
		if _, err := h.Add(line, roots); err == nil {
			t.Errorf("%s: taken", name)
		}
		if h.Checkpoint() != nil {
			t.Errorf("%s: the log has an end", name)
		}
	}
}

func TestLogSaysNothingOfWhatNobodySigned(t *testing.T) {
	m, lines, roots := logOf(t)
	fresh, err := NewTrust(m.trust.Files().Root)
	if err != nil {
		t.Fatal(err)
	}
	empty, _ := canaryMesh(t)
	for name, next := range map[string]func() (*Entry, error){
		"a mesh without approvals": func() (*Entry, error) { return (&History{}).Next(fresh, nil, "", "because", t0) },
		"a role without decisions": func() (*Entry, error) { return (&History{}).Next(empty.trust, nil, "canary", "because", t0) },
		"no role of this name":     func() (*Entry, error) { return (&History{}).Next(empty.trust, nil, "nobody", "because", t0) },
	} {
		if e, err := next(); err == nil {
			t.Errorf("%s: %+v", name, e)
		}
	}
	entry := func(i int) *Entry {
		e, err := DecodeEntry(lines[i])
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	add := func(h *History, e *Entry, roots []*Trust) error {
		line, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		_, err = h.Add(line, roots)
		return err
	}
	// The signatures under another manifest, however good.
	e := entry(0)
	e.Signed = entry(1).Signed
	if err := add(&History{}, e, roots); !errors.Is(err, ErrHash) {
		t.Errorf("signatures about something else: %v", err)
	}
	// The right signatures, and the roots of somebody else.
	other, err := NewTrust(newMesh(t, "other", 1, 1).trust.Files().Root)
	if err != nil {
		t.Fatal(err)
	}
	if err := add(&History{}, entry(0), []*Trust{other}); !errors.Is(err, ErrThreshold) {
		t.Errorf("another organisation's roots: %v", err)
	}
	// A role's decision before any main manifest has given it the role.
	first := entry(2)
	if first.Role != "canary" || first.Before != 0 {
		t.Fatalf("entry 2 is %s from %d", first.Role, first.Before)
	}
	first.Index, first.Prev = 0, ""
	if err := add(&History{}, first, roots); !errors.Is(err, ErrThreshold) {
		t.Errorf("a role that nobody was given: %v", err)
	}
	// A clock that was set back stops no approval, and the log's times never fall.
	h := &History{at: t0.Add(day)}
	if e, err := h.Next(m.trust, nil, "", "because", t0); err != nil || !e.At.Equal(t0.Add(day)) {
		t.Errorf("at %v, %v", e.At, err)
	}
	if (&History{}).Checkpoint() != nil || (&Checkpoint{Entries: 1, Head: content.Sum(lines[0]).String()}).check() != nil {
		t.Error("checkpoints")
	}
}

// Limits without keys would be idle, keys without limits boundless: a draft has both or neither.
func TestDraftsWithKeysAndNoLimitsAreRefused(t *testing.T) {
	m, _ := canaryMesh(t)
	d := m.draft()
	d.targets.Signed.Delegations = reparse[metadata.TargetsType](t, m.trust.Files().Targets).Signed.Delegations
	d.targets.Signed.Delegations.Roles = d.targets.Signed.Delegations.Roles[:1]
	if err := d.Check(m.trust); !errors.Is(err, ErrFormat) {
		t.Errorf("limits without keys: %v", err)
	}
	d = m.draft()
	d.manifest = []byte(`{}`)
	if err := d.Check(m.trust); err == nil {
		t.Error("a draft without a manifest")
	}
	if _, err := NewRoleDraft(m.trust, &RoleManifest{Org: "acme", Role: "nobody", Granted: 1, Serial: 1, IssuedAt: t0}, t0); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("a draft of a role that there is not: %v", err)
	}
}

// A role's document cannot bind an approval to a ring plan: plans stand elsewhere and change without it.
func TestRoleDocumentsAlongRingPlansAreRefused(t *testing.T) {
	d := &RoleManifest{Org: "acme", Role: "canary", Serial: 1, Granted: 1}
	approveRole("tool", "canary", ActionInstall)(d)
	if _, err := d.Encode(); err != nil {
		t.Fatal(err)
	}
	d.Approvals[0].RingPlan = "slow"
	if _, err := d.Encode(); !errors.Is(err, ErrFormat) {
		t.Errorf("%v", err)
	}
}

// What approvers sign is judged whole: a window, a setting or a ring that makes no sense is no manifest.
func TestManifestsWithPartsThatMakeNoSenseAreRefused(t *testing.T) {
	for name, spoil := range map[string]func(*Manifest){
		"a window":              func(m *Manifest) { m.Windows = []Window{{}} },
		"a setting":             func(m *Manifest) { m.Settings = []Setting{{}} },
		"a plan without a ring": func(m *Manifest) { m.RingPlans = []RingPlan{{Name: "slow"}} },
		"rings without a plan":  func(m *Manifest) { m.Approvals[0].RingsOpened = []time.Time{t0} },
	} {
		m := &Manifest{Org: "acme", Epoch: 1, IssuedAt: t0, Approvals: []Approval{approval("tool", GroupAll, ActionInstall)}}
		if _, err := m.Encode(); err != nil {
			t.Fatal(err)
		}
		spoil(m)
		if _, err := m.Encode(); err == nil {
			t.Errorf("%s was signed", name)
		}
	}
}
