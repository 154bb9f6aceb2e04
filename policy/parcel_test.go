package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"patchmesh/content"
)

func TestDelegationLimitsAreChecked(t *testing.T) {
	many := make([]Delegation, MaxDelegations+1)
	for name, edit := range map[string]func(*Delegation){
		"no group":           func(d *Delegation) { d.Groups = nil },
		"groups unsorted":    func(d *Delegation) { d.Groups = []string{"b", "a"} },
		"a group twice":      func(d *Delegation) { d.Groups = []string{"a", "a"} },
		"a group's bad name": func(d *Delegation) { d.Groups = []string{"a/b"} },
		"too many groups": func(d *Delegation) {
			d.Groups = nil
			for i := range maxDelegatedGroups + 1 {
				d.Groups = append(d.Groups, fmt.Sprintf("g%04d", i))
			}
		},
		"no action":          func(d *Delegation) { d.Actions = nil },
		"an unknown action":  func(d *Delegation) { d.Actions = []string{"everything"} },
		"actions unsorted":   func(d *Delegation) { d.Actions = []string{"install", "hold"} },
		"a reserved name":    func(d *Delegation) { d.Role = "targets" },
		"a capital name":     func(d *Delegation) { d.Role = "Canary" },
		"a dotted name":      func(d *Delegation) { d.Role = "a.b" },
		"granted later":      func(d *Delegation) { d.Granted = 9 },
		"never granted":      func(d *Delegation) { d.Granted = 0 },
		"an endless floor":   func(d *Delegation) { d.MinSerial = maxEpoch + 1 },
		"an endless history": func(d *Delegation) { d.After = maxEpoch + 1 },
	} {
		d := canaryLimits()
		d.Actions, d.Granted = sortedOnce(d.Actions), 1
		edit(&d)
		m := &Manifest{Org: "acme", Epoch: 2, IssuedAt: t0, Delegations: []Delegation{d}}
		if _, err := m.Encode(); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v, want ErrFormat", name, err)
		}
	}
	d := canaryLimits()
	d.Actions, d.Granted = sortedOnce(d.Actions), 1
	for name, list := range map[string][]Delegation{"a role twice": {d, d}, "too many roles": many} {
		m := &Manifest{Org: "acme", Epoch: 2, IssuedAt: t0, Delegations: list}
		if _, err := m.Encode(); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestDocumentOfARoleIsChecked(t *testing.T) {
	for name, edit := range map[string]func(*RoleManifest){
		"no organisation": func(m *RoleManifest) { m.Org = "" },
		"no role":         func(m *RoleManifest) { m.Role = "" },
		"no serial":       func(m *RoleManifest) { m.Serial = 0 },
		"no grant":        func(m *RoleManifest) { m.Granted = 0 },
		"endless serial":  func(m *RoleManifest) { m.Serial = maxEpoch + 1 },
		"a double":        func(m *RoleManifest) { m.Approvals = append(m.Approvals, m.Approvals[0]) },
		"a foreign hold":  func(m *RoleManifest) { holdRole("pilot.h", "canary")(m) },
		"a crowd": func(m *RoleManifest) {
			for i := range maxRoleApprovals {
				m.Approvals = append(m.Approvals, approval(fmt.Sprintf("u%d", i), "canary", ActionInstall))
			}
		},
		"nothing to install": func(m *RoleManifest) { m.Approvals[0].Descriptor = content.ID{} },
	} {
		m := &RoleManifest{Org: "acme", Role: "canary", Granted: 1, Serial: 1, IssuedAt: t0, Approvals: []Approval{approval("tool", "canary", ActionInstall)}}
		edit(m)
		if _, err := m.Encode(); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := DecodeRoleManifest(make([]byte, MaxRoleManifestBytes+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("oversize: %v", err)
	}
	if _, err := DecodeRoleManifest([]byte(`{"format":9}`)); !errors.Is(err, ErrFormat) {
		t.Errorf("another format: %v", err)
	}
}

// Drafts of a role that the mesh has overtaken, or that a thief made up.
func TestStaleDraftsOfARoleAreRefused(t *testing.T) {
	m, k := canaryMesh(t)
	rm, err := m.trust.RoleManifest("canary")
	if err != nil {
		t.Fatal(err)
	}
	d, err := NewRoleDraft(m.trust, rm, t0)
	if err != nil {
		t.Fatal(err)
	}
	far := *d
	far.epoch += maxFirstVersion + 1
	if err := far.Check(m.trust); !errors.Is(err, ErrFormat) {
		t.Errorf("a jump too far: %v", err)
	}
	m.mustRole(t0, "canary", holdRole("canary.h1", "canary"), k)
	if err := travel(t, d).Check(m.trust); !errors.Is(err, ErrRollback) {
		t.Errorf("overtaken: %v", err)
	}
	if rm, err = m.trust.RoleManifest("canary"); err != nil {
		t.Fatal(err)
	}
	if d, err = NewRoleDraft(m.trust, rm, t0); err != nil {
		t.Fatal(err)
	}
	if _, err := m.publishAt(t, d, k); !errors.Is(err, ErrExpired) {
		t.Errorf("signed long ago: %v", err)
	}
	m.grant(t0, canaryLimits(), 1, key(t, "another"))
	if err := d.Check(m.trust); !errors.Is(err, ErrRollback) {
		t.Errorf("of an earlier grant: %v", err)
	}
	if _, err := m.regrant(t0, nil, []string{"canary"}); err != nil {
		t.Fatal(err)
	}
	if err := d.Check(m.trust); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("of a role that is gone: %v", err)
	}
	if made, _, _ := d.Status(m.trust); made != 0 {
		t.Errorf("%d signatures count for a role that is gone", made)
	}
}

// publishAt publishes a draft when the signatures under it have run out.
func (m *mesh) publishAt(t *testing.T, d *Draft, s Signer) (Files, error) {
	t.Helper()
	if err := d.Sign(s); err != nil {
		t.Fatal(err)
	}
	return m.trust.Publish(d, nil, m.keys.Online, t0.Add(31*day))
}

// Two approvers sign two copies of one draft; the seed brings the signatures together.
func TestSignaturesOfCopiesComeTogether(t *testing.T) {
	m := newMesh(t, "acme", 2, 2)
	d := m.draft()
	a, b, other := travel(t, d), travel(t, d), m.draft()
	man, _ := DecodeManifest(other.manifest)
	hold("h1")(man)
	other, err := NewDraft(m.trust, man, t0)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		d *Draft
		s Signer
	}{{a, m.keys.Approvers[0]}, {b, m.keys.Approvers[1]}, {b, key(t, "a stranger")}, {other, m.keys.Approvers[1]}} {
		if err := x.d.Sign(x.s); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []int{1, 0} { // the second time there is nothing new
		if n, err := d.TakeSignatures(m.trust, a); err != nil || n != want {
			t.Fatalf("round %d: %d, %v", i, n, err)
		}
	}
	if n, err := d.TakeSignatures(m.trust, b); err != nil || n != 1 || len(d.targets.Signatures) != 2 {
		t.Fatalf("%d, %v, %d signatures", n, err, len(d.targets.Signatures))
	}
	if _, err := d.TakeSignatures(m.trust, other); !errors.Is(err, ErrFormat) {
		t.Fatalf("of another draft: %v", err)
	}
	if got := d.Signers(m.trust); !slices.Equal(got, []string{m.keys.Approvers[0].id, m.keys.Approvers[1].id}) && len(got) != 2 {
		t.Fatalf("%v", got)
	}
	if _, err := m.trust.Publish(d, nil, m.keys.Online, t0); err != nil {
		t.Fatal(err)
	}
}

// A thief leaves the trusted set out, so that the approver has nothing to compare the draft to.
func TestParcelWithoutItsTrustedSetIsRefused(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	root := m.trust.Files().Root
	pinned, err := NewTrust(root)
	if err != nil {
		t.Fatal(err)
	}
	open := func(d *Draft, keep bool) error {
		b, err := NewParcel(m.trust, d, [][]byte{root}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		p, err := DecodeParcel(b)
		if err != nil {
			t.Fatal(err)
		}
		if !keep {
			p.Timestamp = nil
		}
		_, err = p.Open(pinned, t0)
		return err
	}
	if err := open(m.draft(), true); err != nil {
		t.Fatal(err)
	}
	if err := open(m.draft(), false); !errors.Is(err, ErrRollback) {
		t.Errorf("a draft of epoch 2: %v", err)
	}
	full := &Manifest{Org: "acme", Epoch: 1, IssuedAt: t0, Approvals: []Approval{approval("evil", GroupAll, ActionInstall)}}
	d, err := newDraft(full, m.trust.delegations(), t0.Add(day))
	if err != nil {
		t.Fatal(err)
	}
	if err := open(d, false); !errors.Is(err, ErrRollback) {
		t.Errorf("a first manifest that approves: %v", err)
	}
	first, err := FirstDraft(pinned, m.keys.Online, t0)
	if err != nil {
		t.Fatal(err)
	}
	if err := open(first, false); err != nil {
		t.Errorf("the empty first manifest: %v", err)
	}
	if _, err := NewParcel(m.trust, d, nil, nil, nil); !errors.Is(err, ErrFormat) {
		t.Errorf("without a root: %v", err)
	}
	if _, err := DecodeParcel([]byte(`{"format":2}`)); !errors.Is(err, ErrFormat) {
		t.Errorf("another format: %v", err)
	}
}

// A description is a hint until its very bytes have the approved hash: it is found by that alone.
func TestDescriptionsAreFoundByTheirHash(t *testing.T) {
	b, err := descriptorOf("tool").Encode()
	if err != nil {
		t.Fatal(err)
	}
	p := Parcel{Descriptors: [][]byte{b, []byte("junk")}}
	all := p.Described()
	if len(all) != 2 || string(all[content.Sum(b)]) != string(b) || all[content.Sum([]byte("other"))] != nil {
		t.Fatalf("%v", all)
	}
}

// The log gives the manifest in force of any time, roles included.
func TestLogGivesWhatWasInForce(t *testing.T) {
	m, lines, roots := logOf(t)
	h := &History{}
	if h.InForce() != nil {
		t.Fatal("something was in force before the first entry")
	}
	for i, l := range lines {
		if _, err := h.Add(l, roots); err != nil {
			t.Fatal(err)
		}
		in := h.InForce()
		if wantRole := i >= 2; slices.ContainsFunc(in.Approvals, func(a Approval) bool { return a.Role() == "canary" }) != wantRole {
			t.Fatalf("after entry %d: %v", i, in.Approvals)
		}
	}
	got, want := h.InForce(), m.trust.Manifest()
	if !sameJSON(got, want) {
		t.Fatalf("in force by the log %v, by the documents %v", got, want)
	}
}

func TestChangesOfARoleAreShown(t *testing.T) {
	m, k := canaryMesh(t)
	m.mustRole(t0, "canary", approveRole("tool", "canary", ActionInstall), k)
	rm, err := m.trust.RoleManifest("canary")
	if err != nil {
		t.Fatal(err)
	}
	rm.Approvals[0].NotBefore, rm.Approvals[0].Deadline = t0.Add(day), t0.Add(2*day)
	holdRole("canary.h1", "canary")(rm)
	rm.Holds[0].ExpiresAt = t0.Add(day)
	d, err := NewRoleDraft(m.trust, rm, t0)
	if err != nil {
		t.Fatal(err)
	}
	changes, err := d.Changes(m.trust)
	if err != nil || len(changes) != 2 {
		t.Fatalf("%v, %v", changes, err)
	}
	for i, words := range [][]string{{"~ approval", "not before 2026-03-02T12:00:00Z", "deadline 2026-03-03T12:00:00Z", "was: install tool"}, {"+ hold", "canary.h1", "because", "until 2026-03-02T12:00:00Z"}} {
		for _, w := range words {
			if !strings.Contains(changes[i].Text(), w) {
				t.Errorf("%q does not say %q", changes[i].Text(), w)
			}
		}
	}
}

func TestBadCheckpointsAreRefused(t *testing.T) {
	for name, c := range map[string]Checkpoint{"no entries": {0, content.Sum(nil).String()}, "no end": {1, ""}, "an endless log": {maxEpoch + 1, content.Sum(nil).String()}} {
		r := &Roster{Org: "acme", Log: &c}
		if _, err := r.Encode(); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestNextRootsAreCounted(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	next, err := m.trust.RootDraft(RootChange{AddRoots: []Signer{key(t, "second root")}, RootThreshold: 2, DropApprovers: []string{m.keys.Approvers[0].id}, AddApprovers: []Signer{key(t, "new")}}, t0)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range []Signer{key(t, "stranger"), m.keys.Root[0], key(t, "second root")} {
		if next, err = SignRoot(next, s); err != nil {
			t.Fatal(err)
		}
		st, err := m.trust.RootStatus(next)
		if err != nil {
			t.Fatal(err)
		}
		if st.Complete != (i == 2) || st.NewMade != i || st.OldMade != min(i, 1) || st.Approved {
			t.Errorf("after %d signatures: %+v", i+1, st)
		}
	}
	if _, err := newMesh(t, "other", 1, 1).trust.RootStatus(next); !errors.Is(err, ErrOrg) {
		t.Errorf("another organisation's: %v", err)
	}
	if _, err := m.trust.RootStatus(m.trust.Files().Root); !errors.Is(err, ErrRollback) {
		t.Errorf("the root in force: %v", err)
	}
	if _, err := m.trust.RootDraft(RootChange{DropRoots: []string{"nobody"}}, t0); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("dropping nobody: %v", err)
	}
	online := m.keys.Online.Snapshot
	if _, err := m.trust.RootDraft(RootChange{AddApprovers: []Signer{online}}, t0); !errors.Is(err, ErrWeakKey) {
		t.Errorf("an online key that approves: %v", err)
	}
}
