package policy

import (
	"errors"
	"testing"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

func (m *mesh) draft() *Draft {
	m.t.Helper()
	man, err := DecodeManifest(m.trust.Files().Manifest)
	if err != nil {
		m.t.Fatal(err)
	}
	man.Epoch++
	d, err := NewDraft(m.trust, man, t0)
	if err != nil {
		m.t.Fatal(err)
	}
	return d
}

// travel encodes and decodes a draft, as between two approvers.
func travel(t *testing.T, d *Draft) *Draft {
	t.Helper()
	b, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if d, err = DecodeDraft(b); err != nil {
		t.Fatal(err)
	}
	return d
}

// A thief who holds the seed writes drafts: he may hope that an approver signs his roster key along
// with the approvals.
func TestDraftWithAnotherRosterKeyIsRefused(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	d := m.draft()
	d.targets.Signed.Delegations = delegate(key(t, "thief"))
	d = travel(t, d)
	if err := d.Check(m.trust); !errors.Is(err, ErrUnknownKey) {
		t.Fatalf("an approver's machine: %v", err)
	}
	if err := d.Sign(m.keys.Approvers[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := m.trust.Publish(d, nil, m.keys.Online, t0); !errors.Is(err, ErrUnknownKey) {
		t.Fatalf("a seed: %v", err)
	}
}

func TestDraftsThatDelegateMoreAreRefused(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	for name, edit := range map[string]func(*metadata.TargetsType){
		"the roster key signs manifests": func(s *metadata.TargetsType) { s.Delegations.Roles[0].Paths = []string{ManifestPath} },
		"the roster key signs anything":  func(s *metadata.TargetsType) { s.Delegations.Roles[0].Paths = []string{"*"} },
		"a second role": func(s *metadata.TargetsType) {
			s.Delegations.Roles = append(s.Delegations.Roles, metadata.DelegatedRole{Name: "more", KeyIDs: []string{}, Threshold: 1, Paths: []string{"*"}})
		},
		"no delegation": func(s *metadata.TargetsType) { s.Delegations = nil },
		"hashed bins": func(s *metadata.TargetsType) {
			s.Delegations.Roles, s.Delegations.SuccinctRoles = nil, &metadata.SuccinctRoles{KeyIDs: []string{}, Threshold: 1, BitLength: 1, NamePrefix: "x"}
		},
	} {
		d := m.draft()
		d.targets.Signed.Delegations = delegate(m.keys.Online.Roster)
		edit(&d.targets.Signed)
		if err := travel(t, d).Check(m.trust); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v, want ErrFormat", name, err)
		}
	}
	d := m.draft()
	d.targets.Signed.Targets["other"] = targetFile([]byte("x"))
	b, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeDraft(b); !errors.Is(err, ErrFormat) {
		t.Errorf("a second target: %v", err)
	}
}

// The manifest that an approver is shown must be the one that the signature covers.
func TestDraftShowsWhatIsSigned(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	d, other := m.draft(), m.draft()
	man, _ := DecodeManifest(d.manifest)
	hold("hidden")(man)
	other.manifest, _ = man.Encode()
	b, err := other.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeDraft(b); !errors.Is(err, ErrFormat) {
		t.Fatalf("%v, want ErrFormat", err)
	}
}

func TestDraftOfAnotherOrganisationIsRefused(t *testing.T) {
	d := newMesh(t, "other", 1, 1).draft()
	if err := d.Check(newMesh(t, "acme", 1, 1).trust); !errors.Is(err, ErrOrg) {
		t.Fatalf("%v, want ErrOrg", err)
	}
}

// After thieves of approver keys published ahead, honest approvers must be able to overtake them.
func TestDraftMayOvertake(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	machine := m.trust
	f := m.mustNext(t0, func(man *Manifest) { man.Epoch += 1000 })
	got, err := walk(machine, f, t0)
	if err != nil || got.Epoch() != 1002 {
		t.Fatalf("%v", err)
	}
	if _, err := m.next(t0, 1, func(man *Manifest) { man.Epoch += maxVersionJump }); !errors.Is(err, ErrFormat) {
		t.Fatalf("a jump too far: %v", err)
	}
}

func TestApprovalsAreRenewedWithoutChange(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	later := t0.Add(89 * day)
	if _, err := m.trust.Publish(nil, nil, m.keys.Online, later.Add(2*day)); !errors.Is(err, ErrExpired) {
		t.Fatalf("freshening expired approvals: %v", err)
	}
	f := m.mustNext(later, nil)
	if want := later.Add(90 * day); !m.trust.ApprovalsExpireAt().Equal(want) {
		t.Fatalf("approvals expire %v, want %v", m.trust.ApprovalsExpireAt(), want)
	}
	if got, err := walk(m.trust, f, later.Add(day)); err != nil || got.Epoch() != 2 {
		t.Fatalf("the renewed approvals: %v", err)
	}
}

func TestSeedRenewsTheRosterByItself(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	m.keys.Online.Life = Life{Targets: 365 * day}
	f, err := m.trust.Publish(nil, nil, m.keys.Online, t0.Add(20*day))
	if err != nil {
		t.Fatal(err)
	}
	if got := m.open(f).Roster().Serial; got != 1 {
		t.Fatalf("renewed after 20 of 90 days: serial %d", got)
	}
	if f, err = m.trust.Publish(nil, nil, m.keys.Online, t0.Add(50*day)); err != nil {
		t.Fatal(err)
	}
	if got := m.open(f).Roster(); got.Serial != 2 || len(got.EnrolmentKeys) != 1 || m.trust.Roster().Serial != 1 {
		t.Fatalf("after 50 days: %+v", got)
	}
}

func TestPublishWithoutKeysOrBeginningIsAnError(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	fresh, err := NewTrust(m.trust.Files().Root)
	if err != nil {
		t.Fatal(err)
	}
	for name, publish := range map[string]func() (Files, error){
		"no keys":      func() (Files, error) { return m.trust.Publish(nil, nil, OnlineKeys{}, t0) },
		"no manifest":  func() (Files, error) { return fresh.Publish(nil, &Roster{Org: "acme"}, m.keys.Online, t0) },
		"no roster":    func() (Files, error) { return fresh.Publish(m.draft(), nil, m.keys.Online, t0) },
		"no root":      func() (Files, error) { return m.trust.PublishRoot(nil, nil, nil, m.keys.Online, t0) },
		"other keys":   func() (Files, error) { return m.trust.Publish(nil, nil, newMesh(t, "x", 1, 1).keys.Online, t0) },
		"empty draft":  func() (Files, error) { return m.trust.Publish(m.draft(), nil, m.keys.Online, t0) },
		"a false root": func() (Files, error) { return m.trust.PublishRoot(fresh.Files().Targets, nil, nil, m.keys.Online, t0) },
	} {
		if f, err := publish(); err == nil || f.Timestamp != nil {
			t.Errorf("%s: published %v", name, err)
		}
	}
	if _, err := NewDraft(fresh, &Manifest{Org: "acme", Epoch: 1}, t0); !errors.Is(err, ErrFormat) {
		t.Errorf("a draft before the first manifest: %v", err)
	}
	if _, err := NewSigner([]byte("short")); !errors.Is(err, ErrFormat) {
		t.Errorf("a short private key: %v", err)
	}
	if err := m.draft().Sign(Signer{}); !errors.Is(err, ErrFormat) {
		t.Errorf("an empty signer: %v", err)
	}
	if _, err := NewRepository("acme", RoleKeys{}, &Roster{Org: "acme"}, t0); !errors.Is(err, ErrFormat) {
		t.Errorf("a mesh without keys: %v", err)
	}
}
