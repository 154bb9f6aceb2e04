package policy

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// canaryMesh needs two of three approvers for everything; one canary key is enough for its group.
func canaryMesh(t testing.TB) (*mesh, Signer) {
	t.Helper()
	m := newMesh(t, "acme", 2, 3)
	k := key(t, "canary approver")
	m.grant(t0, canaryLimits(), 1, k)
	return m, k
}

func TestDelegatedRoleApprovesForItsGroupAlone(t *testing.T) {
	m, k := canaryMesh(t)
	machine := m.trust
	f := m.mustRole(t0, "canary", approveRole("tool", "canary", ActionInstall), k)
	got, err := walk(machine, f, t0)
	if err != nil {
		t.Fatal(err)
	}
	if got.Epoch() != machine.Epoch() || got.HeadVersion() != machine.HeadVersion()+1 {
		t.Errorf("epoch %d, head %d: a role's word moves the head, not the epoch", got.Epoch(), got.HeadVersion())
	}
	if v := verbs(got.Manifest(), t0, []string{"canary"}, "tool"); v["tool"] != VerbInstall {
		t.Errorf("on a canary machine: %v", v)
	}
	if v := verbs(got.Manifest(), t0, []string{"office"}, "tool"); len(v) != 0 {
		t.Errorf("elsewhere: %v", v)
	}
	if a := got.Manifest().Approvals[0]; a.Role() != "canary" {
		t.Errorf("the approval is said to come from %q", a.Role())
	}
	again, err := OpenTrust(got.Files(), t0)
	if err != nil || len(again.Manifest().Approvals) != 1 {
		t.Fatalf("after a restart: %v", err)
	}
	fresh, err := NewTrust(f.Root)
	if err != nil {
		t.Fatal(err)
	}
	if joined, err := walk(fresh, f, t0); err != nil || len(joined.Manifest().Approvals) != 1 {
		t.Fatalf("a machine that has just joined: %v", err)
	}
}

func TestDraftOfARoleKeepsToItsLimits(t *testing.T) {
	m, k := canaryMesh(t)
	for name, edit := range map[string]func(*RoleManifest){
		"another group":      approveRole("tool", "office", ActionInstall),
		"every machine":      approveRole("tool", GroupAll, ActionInstall),
		"another action":     approveRole("tool", "canary", ActionRemove),
		"a hold for all":     holdRole("canary.h", ""),
		"a hold for a group": holdRole("canary.h", "office"),
		"past the budget": func(rm *RoleManifest) {
			approveRole("tool", "canary", ActionInstall)(rm)
			rm.Approvals[0].IgnoreBudget = true
		},
		"expedited": func(rm *RoleManifest) {
			approveRole("tool", "canary", ActionInstall)(rm)
			rm.Approvals[0].Expedite = true
		},
		"one good and one bad": func(rm *RoleManifest) {
			approveRole("a", "canary", ActionInstall)(rm)
			approveRole("b", "office", ActionInstall)(rm)
		},
	} {
		if _, err := m.roleNext(t0, "canary", edit, k); !errors.Is(err, ErrLimit) {
			t.Errorf("%s: %v, want ErrLimit", name, err)
		}
	}
	if _, err := m.roleNext(t0, "canary", holdRole("h-1", "canary"), k); !errors.Is(err, ErrFormat) {
		t.Errorf("a hold that is not named for its role: %v", err)
	}
	if _, err := m.roleNext(t0, "canary", nil); !errors.Is(err, ErrThreshold) {
		t.Errorf("without a signature: %v", err)
	}
	if _, err := m.roleNext(t0, "pilot", nil, k); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("a role that nobody made: %v", err)
	}
}

// The role's own threshold signs beyond its limits, past its own tools: all of that document is
// refused, whatever else is in it; the main approvers' word and other roles' go on.
func TestDocumentBeyondItsLimitsIsRefusedWhole(t *testing.T) {
	m, k := canaryMesh(t)
	lab := key(t, "lab approver")
	m.grant(t0, Delegation{Role: "lab", Groups: []string{"office"}, Actions: []string{"install"}}, 1, lab)
	m.mustRole(t0, "lab", approveRole("labtool", "office", ActionInstall), lab)
	r, _ := m.trust.role("canary")
	rm := &RoleManifest{Org: "acme", Role: "canary", Granted: r.Granted, Serial: 1, IssuedAt: t0, Approvals: []Approval{
		approval("evil", "all", ActionInstall), approval("tool", "canary", ActionInstall),
	}, Holds: []Hold{}}
	roles, err := decodeDelegated(m.trust.Files().Delegated)
	if err != nil {
		t.Fatal(err)
	}
	evil := m.forgeRoles(m.trust.Files(), t0, append(roles, signRole(t, rm, t0.Add(day), k)))
	got, err := walk(m.trust, evil, t0)
	if err != nil {
		t.Fatal(err)
	}
	if v := verbs(got.Manifest(), t0, []string{"canary", "office"}, "evil", "tool", "labtool"); len(v) != 1 || v["labtool"] != VerbInstall {
		t.Fatalf("plan %v", v)
	}
	if r, _ := got.role("canary"); !errors.Is(r.Refused, ErrLimit) || !strings.Contains(r.Refused.Error(), "evil") {
		t.Fatalf("refused with %v", r.Refused)
	}
}

// Limits are judged anew against what is in force: the main approvers can take a group away at once.
func TestNarrowerLimitsBindTheOldDocument(t *testing.T) {
	m, k := canaryMesh(t)
	m.mustRole(t0, "canary", approveRole("tool", "canary", ActionInstall), k)
	narrower := canaryLimits()
	narrower.Groups = []string{"office"}
	m.grant(t0, narrower, 1, k)
	if n := len(m.trust.Manifest().Approvals); n != 0 {
		t.Fatalf("%d approvals outlive the right to make them", n)
	}
	m.grant(t0, canaryLimits(), 1, k)
	if n := len(m.trust.Manifest().Approvals); n != 1 {
		t.Fatalf("%d approvals after the right came back to the same keys", n)
	}
}

func TestHoldsOfARoleStopMainApprovalsOnItsGroup(t *testing.T) {
	m, k := canaryMesh(t)
	m.mustNext(t0, func(man *Manifest) { man.Approvals = append(man.Approvals, approval("tool", GroupAll, ActionInstall)) })
	m.mustRole(t0, "canary", holdRole("canary.h1", "canary"), k)
	if v := verbs(m.trust.Manifest(), t0, []string{"canary"}, "tool"); v["tool"] != VerbHold {
		t.Errorf("on a canary machine: %v", v)
	}
	if v := verbs(m.trust.Manifest(), t0, []string{"office"}, "tool"); v["tool"] != VerbInstall {
		t.Errorf("elsewhere: %v", v)
	}
}

func TestMainApproversWordStandsForTheSameGroup(t *testing.T) {
	m, k := canaryMesh(t)
	m.mustNext(t0, func(man *Manifest) { man.Approvals = append(man.Approvals, approval("tool", "canary", ActionDecline)) })
	m.mustRole(t0, "canary", approveRole("tool", "canary", ActionInstall), k)
	if v := verbs(m.trust.Manifest(), t0, []string{"canary"}, "tool"); v["tool"] != VerbNone {
		t.Fatalf("declined by the main approvers, approved by the role: %v", v)
	}
}

// The seed's keys are stolen: documents that the role itself has replaced still carry its signature.
func TestRollbackOfARoleIsRefused(t *testing.T) {
	m, k := canaryMesh(t)
	old := m.mustRole(t0, "canary", approveRole("tool", "canary", ActionInstall), k)
	m.mustRole(t0, "canary", func(rm *RoleManifest) { rm.Approvals = []Approval{} }, k)
	roles, err := decodeDelegated(old.Delegated)
	if err != nil {
		t.Fatal(err)
	}
	refused(t, m.trust, m.forgeRoles(m.trust.Files(), t0, roles), t0, ErrRollback)
	// The snapshot may lie about the version; then it is not what the role signed.
	evil := m.trust.Files()
	evil.Delegated = old.Delegated
	refused(t, m.trust, m.forge(evil, t0, func(s *metadata.SnapshotType) {
		s.Meta["canary.json"] = metaFile(3, roles[0].Signed)
	}, nil), t0, ErrFormat)
	// Nor may the role fall silent.
	refused(t, m.trust, m.forgeRoles(m.trust.Files(), t0, nil), t0, ErrFormat)
}

// New online keys free the versions of online roles, and with them the snapshot's floors. A role's
// own floor does not move.
func TestRollbackOfARoleAfterNewOnlineKeysIsRefused(t *testing.T) {
	m, k := canaryMesh(t)
	old := m.mustRole(t0, "canary", holdRole("canary.h1", "canary"), k)
	m.mustRole(t0, "canary", holdRole("canary.h2", "canary"), k)
	machine := m.trust
	m.keys.Online.Timestamp, m.keys.Online.Snapshot = key(t, "new timestamp"), key(t, "new snapshot")
	root, err := m.trust.NextRoot(m.keys, m.keys.Root, t0)
	if err != nil {
		t.Fatal(err)
	}
	f, err := m.trust.PublishRoot(root, nil, nil, m.keys.Online, t0)
	if err != nil {
		t.Fatal(err)
	}
	roles, err := decodeDelegated(old.Delegated)
	if err != nil {
		t.Fatal(err)
	}
	for name, evil := range map[string]Files{"an older document": m.forgeRoles(f, t0, roles), "no document": m.forgeRoles(f, t0, nil)} {
		if _, err := walk(machine, evil, t0, root); !errors.Is(err, ErrRollback) {
			t.Errorf("%s: %v, want ErrRollback", name, err)
		}
	}
	if got, err := walk(machine, f, t0, root); err != nil || len(got.Manifest().Holds) != 2 {
		t.Fatalf("the honest set under the new root: %v", err)
	}
}

// A machine that knows nothing yet is told by the main approvers how far each role has come.
func TestJoiningMachineIsNotShownAnOlderRole(t *testing.T) {
	m, k := canaryMesh(t)
	old := m.mustRole(t0, "canary", approveRole("tool", "canary", ActionInstall), k)
	m.mustRole(t0, "canary", func(rm *RoleManifest) { rm.Approvals = []Approval{} }, k)
	m.mustNext(t0, nil)
	fresh, err := NewTrust(m.trust.Files().Root)
	if err != nil {
		t.Fatal(err)
	}
	roles, err := decodeDelegated(old.Delegated)
	if err != nil {
		t.Fatal(err)
	}
	refused2 := func(name string, evil Files) {
		t.Helper()
		if _, err := walk(fresh, evil, t0); !errors.Is(err, ErrRollback) {
			t.Errorf("%s: %v, want ErrRollback", name, err)
		}
	}
	refused2("an older document", m.forgeRoles(m.trust.Files(), t0, roles))
	refused2("none", m.forgeRoles(m.trust.Files(), t0, nil))
	if _, err := walk(fresh, m.trust.Files(), t0); err != nil {
		t.Fatal(err)
	}
}

// A stranger's, an online key's or a main approver's signature makes no document of a role; and once
// a role was heard, spoiling its document must not make its holds disappear.
func TestRoleNeedsItsOwnThreshold(t *testing.T) {
	m, k := canaryMesh(t)
	m.mustRole(t0, "canary", holdRole("canary.h1", "canary"), k)
	r, _ := m.trust.role("canary")
	for name, signer := range map[string]Signer{
		"a stranger": key(t, "stranger"), "the roster key": m.keys.Online.Roster, "the snapshot key": m.keys.Online.Snapshot,
		"one main approver": m.keys.Approvers[0],
	} {
		rm := &RoleManifest{Org: "acme", Role: "canary", Granted: r.Granted, Serial: 2, IssuedAt: t0, Approvals: []Approval{approval("evil", "canary", ActionInstall)}, Holds: []Hold{}}
		evil := m.forgeRoles(m.trust.Files(), t0, []delegatedFile{signRole(t, rm, t0.Add(day), signer)})
		t.Run(name, func(t *testing.T) { refused(t, m.trust, evil, t0, ErrThreshold) })
	}
	spoiled := m.forgeRoles(m.trust.Files(), t0, []delegatedFile{{Role: "canary", Signed: []byte(`{"signed":{},"signatures":[]}`)}})
	refused(t, m.trust, spoiled, t0, ErrFormat)
}

// What the role signed and nobody can read costs the role its approvals; since it may have held
// something, its groups are held.
func TestUnreadableDocumentHoldsItsGroups(t *testing.T) {
	m, k := canaryMesh(t)
	m.mustNext(t0, func(man *Manifest) { man.Approvals = append(man.Approvals, approval("tool", GroupAll, ActionInstall)) })
	m.mustRole(t0, "canary", holdRole("canary.h1", "canary"), k)
	future := signRoleBytes(t, "canary", 2, []byte(`{"format":2,"new":"things"}`), t0.Add(day), k)
	got, err := walk(m.trust, m.forgeRoles(m.trust.Files(), t0, []delegatedFile{future}), t0)
	if err != nil {
		t.Fatal(err)
	}
	if v := verbs(got.Manifest(), t0, []string{"canary"}, "tool"); v["tool"] != VerbHold {
		t.Errorf("on a canary machine: %v", v)
	}
	if v := verbs(got.Manifest(), t0, []string{"office"}, "tool"); v["tool"] != VerbInstall {
		t.Errorf("elsewhere: %v", v)
	}
}

// Other keys begin empty: what the old ones signed may be why they were replaced. A role that is
// taken away and given again does not wake its old documents either.
func TestNewKeysAndNewGrantsBeginEmpty(t *testing.T) {
	for name, again := range map[string]func(m *mesh, k Signer){
		"other keys": func(m *mesh, _ Signer) { m.grant(t0, canaryLimits(), 1, key(m.t, "second canary")) },
		"given again": func(m *mesh, k Signer) {
			if _, err := m.regrant(t0, nil, []string{"canary"}); err != nil {
				m.t.Fatal(err)
			}
			if n := len(m.trust.Manifest().Approvals); n != 0 {
				m.t.Fatalf("%d approvals of a role that was taken away", n)
			}
			m.grant(t0, canaryLimits(), 1, k)
		},
	} {
		t.Run(name, func(t *testing.T) {
			m, k := canaryMesh(t)
			old := m.mustRole(t0, "canary", approveRole("tool", "canary", ActionInstall), k)
			again(m, k)
			if n := len(m.trust.Manifest().Approvals); n != 0 {
				t.Fatalf("%d approvals of the earlier grant count", n)
			}
			roles, err := decodeDelegated(old.Delegated)
			if err != nil {
				t.Fatal(err)
			}
			got, err := walk(m.trust, m.forgeRoles(m.trust.Files(), t0, roles), t0)
			if err == nil && len(got.Manifest().Approvals) != 0 {
				t.Fatal("the old document was woken")
			}
			signer := k
			if name == "other keys" {
				signer = key(t, "second canary")
			}
			m.mustRole(t0, "canary", approveRole("tool2", "canary", ActionInstall), signer)
			if a := m.trust.Manifest().Approvals; len(a) != 1 || a[0].Update != "tool2" {
				t.Fatalf("the new grant's own: %v", a)
			}
		})
	}
}

// A role's signatures expire: nothing more is begun on its word, its holds stay, the mesh goes on.
func TestExpiredRoleApprovesNothingAndStillHolds(t *testing.T) {
	m, k := canaryMesh(t)
	m.mustNext(t0, func(man *Manifest) { man.Approvals = append(man.Approvals, approval("main", GroupAll, ActionInstall)) })
	m.mustRole(t0, "canary", func(rm *RoleManifest) {
		approveRole("tool", "canary", ActionInstall)(rm)
		rm.Holds = append(rm.Holds, Hold{ID: "canary.h", Update: "main", Group: "canary", Kind: "pause", Reason: "because", At: t0})
	}, k)
	later := t0.Add(31 * day)
	p := MakePlan(m.trust.Manifest(), describeAll("tool", "main"), Machine{Groups: []string{"canary"}, Installers: []string{"file"}}, false, t0)
	if want := t0.Add(30 * day); !p.NextAt.Equal(want) {
		t.Errorf("the plan says it changes at %v, want %v", p.NextAt, want)
	}
	v := verbs(m.trust.Manifest(), later, []string{"canary"}, "tool", "main")
	if _, there := v["tool"]; there || v["main"] != VerbHold {
		t.Fatalf("after the role's life: %v", v)
	}
	f, err := m.trust.Publish(nil, nil, m.keys.Online, later)
	if err != nil {
		t.Fatalf("an expired role wedges the mesh: %v", err)
	}
	if _, err := OpenTrust(f, later); err != nil {
		t.Fatal(err)
	}
}

func TestDelegationsThatBindNobodyAreRefused(t *testing.T) {
	m, k := canaryMesh(t)
	online := m.keys.Online
	for name, edit := range map[string]func(*metadata.Delegations){
		"another path":         func(d *metadata.Delegations) { d.Roles[1].Paths = []string{"*"} },
		"the main manifest":    func(d *metadata.Delegations) { d.Roles[1].Paths = []string{ManifestPath} },
		"two paths":            func(d *metadata.Delegations) { d.Roles[1].Paths = append(d.Roles[1].Paths, "x") },
		"a threshold of none":  func(d *metadata.Delegations) { d.Roles[1].Threshold = 0 },
		"a threshold too high": func(d *metadata.Delegations) { d.Roles[1].Threshold = 2 },
		"a missing key":        func(d *metadata.Delegations) { d.Roles[1].KeyIDs = []string{"00"} },
		"one key twice":        func(d *metadata.Delegations) { d.Roles[1].Threshold = 2; d.Roles[1].KeyIDs = []string{k.id, k.id} },
		"the roster's key":     func(d *metadata.Delegations) { d.Roles[1].KeyIDs = []string{online.Roster.id} },
		"the snapshot's key": func(d *metadata.Delegations) {
			d.Keys[online.Snapshot.id] = online.Snapshot.key
			d.Roles[1].KeyIDs = []string{online.Snapshot.id}
		},
		"a role before roster": func(d *metadata.Delegations) { d.Roles[0], d.Roles[1] = d.Roles[1], d.Roles[0] },
		"a reserved name": func(d *metadata.Delegations) {
			d.Roles[1].Name = "snapshot"
			d.Roles[1].Paths = []string{RolePath("snapshot")}
		},
		"keys without limits": func(d *metadata.Delegations) {
			r := d.Roles[1]
			r.Name = "more"
			r.Paths = []string{RolePath("more")}
			d.Roles = append(d.Roles, r)
		},
		"limits without keys":   func(d *metadata.Delegations) { d.Roles = d.Roles[:1] },
		"a name that is a path": func(d *metadata.Delegations) { d.Roles[1].Name = "../x"; d.Roles[1].Paths = []string{RolePath("../x")} },
	} {
		targets := reparse[metadata.TargetsType](t, m.trust.Files().Targets)
		edit(targets.Signed.Delegations)
		f := m.trust.Files()
		f.Targets = signed(t, targets, m.keys.Approvers[0], m.keys.Approvers[1])
		if got, err := walk(m.trust, m.forge(f, t0, nil, nil), t0); err == nil {
			t.Errorf("%s: taken, %v", name, got.Roles())
		} else if !errors.Is(err, ErrFormat) && !errors.Is(err, ErrWeakKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A thief of the seed writes the drafts that approvers are asked to sign.
func TestDraftsThatWakeOldGrantsAreRefused(t *testing.T) {
	m, k := canaryMesh(t)
	m.mustRole(t0, "canary", holdRole("canary.h1", "canary"), k)
	m.mustNext(t0, nil)
	for name, edit := range map[string]func(*Delegation, *metadata.Delegations){
		"an earlier grant": func(l *Delegation, _ *metadata.Delegations) { l.Granted-- },
		"a lower floor":    func(l *Delegation, _ *metadata.Delegations) { l.MinSerial = 0 },
		"new keys under the old grant": func(l *Delegation, d *metadata.Delegations) {
			thief := key(t, "thief")
			d.Keys[thief.id] = thief.key
			d.Roles[1].KeyIDs = []string{thief.id}
		},
	} {
		d := m.draft()
		man, err := DecodeManifest(d.manifest)
		if err != nil {
			t.Fatal(err)
		}
		del := cloneDelegations(d.targets.Signed.Delegations)
		edit(&man.Delegations[0], del)
		evil, err := newDraft(man, del, t0.Add(day))
		if err != nil {
			t.Fatal(err)
		}
		if err := travel(t, evil).Check(m.trust); !errors.Is(err, ErrRollback) {
			t.Errorf("%s: %v, want ErrRollback", name, err)
		}
	}
}

func TestDraftOfARoleTravelsAndCountsItsOwnKeys(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	a, b := key(t, "a"), key(t, "b")
	m.grant(t0, canaryLimits(), 2, a, b)
	rm, err := m.trust.RoleManifest("canary")
	if err != nil {
		t.Fatal(err)
	}
	d, err := NewRoleDraft(m.trust, rm, t0)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range []Signer{m.keys.Approvers[0], a, a, b} {
		if err := d.Sign(s); err != nil {
			t.Fatal(err)
		}
		d = travel(t, d)
		want := []int{0, 1, 1, 2}[i]
		if made, need, missing := d.Status(m.trust); made != want || need != 2 || len(missing) != 2-want {
			t.Fatalf("after signature %d: %d of %d, missing %v", i, made, need, missing)
		}
	}
	if _, err := m.trust.Publish(d, nil, m.keys.Online, t0); err != nil {
		t.Fatal(err)
	}
	bytesOf, _ := d.Encode()
	if _, err := DecodeDraft(bytes.Replace(bytesOf, []byte(`"role":"canary"`), []byte(`"role":"pilot"`), 1)); !errors.Is(err, ErrFormat) {
		t.Fatalf("under another role's name: %v", err)
	}
}

// A change of grants that waits for signatures is not lost when something else is added to the draft.
func TestPendingGrantsSurviveFurtherChanges(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	first := m.draft()
	man, _ := DecodeManifest(first.manifest)
	d, err := m.trust.DraftGrants(man, []Grant{{Delegation: canaryLimits(), Keys: []Signer{key(t, "k")}, Threshold: 1}}, nil, t0)
	if err != nil {
		t.Fatal(err)
	}
	man, _ = DecodeManifest(d.Manifest())
	hold("h9")(man)
	d, err = travel(t, d).Amend(m.trust, man, nil, nil, t0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.publish(t0, d, m.keys.Approvers...); err != nil {
		t.Fatal(err)
	}
	if r := m.trust.Roles(); len(r) != 1 || len(m.trust.Manifest().Holds) != 1 {
		t.Fatalf("%d roles, %d holds", len(r), len(m.trust.Manifest().Holds))
	}
	if _, err := m.regrant(t0, nil, []string{"nobody"}); err == nil {
		t.Fatal("a role that does not exist was taken away")
	}
}

func TestMoreThan64RolesAreRefused(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	var grants []Grant
	for i := range MaxDelegations + 1 {
		l := canaryLimits()
		l.Role = fmt.Sprintf("r%02d", i)
		grants = append(grants, Grant{Delegation: l, Keys: []Signer{key(t, "k")}, Threshold: 1})
	}
	if _, err := m.regrant(t0, grants, nil); !errors.Is(err, ErrTooLarge) {
		t.Fatalf("%v, want ErrTooLarge", err)
	}
	if _, err := m.regrant(t0, grants[:MaxDelegations], nil); err != nil {
		t.Fatal(err)
	}
	if n := len(m.trust.Roles()); n != MaxDelegations {
		t.Fatalf("%d roles", n)
	}
}

// The role's own key signs things that its tools would not.
func TestRoleThatSignsOtherThanItsDocumentIsRefused(t *testing.T) {
	m, k := canaryMesh(t)
	m.mustRole(t0, "canary", nil, k)
	r, _ := m.trust.role("canary")
	doc := func(serial, granted uint64) *RoleManifest {
		return &RoleManifest{Org: "acme", Role: "canary", Granted: granted, Serial: serial, IssuedAt: t0, Approvals: []Approval{approval("tool", "canary", ActionInstall)}, Holds: []Hold{}}
	}
	same := m.forgeRoles(m.trust.Files(), t0, []delegatedFile{signRole(t, doc(1, r.Granted), t0.Add(day), k)})
	refused(t, m.trust, same, t0, ErrRollback) // a second document of one serial
	for name, edit := range map[string]func(*metadata.TargetsType){
		"a second target": func(s *metadata.TargetsType) { s.Targets[ManifestPath] = targetFile([]byte("x")) },
		"a delegation":    func(s *metadata.TargetsType) { s.Delegations = m.trust.delegations() },
	} {
		file := signRole(t, doc(2, r.Granted), t0.Add(day), k)
		role := reparse[metadata.TargetsType](t, file.Signed)
		edit(&role.Signed)
		file.Signed = signed(t, role, k)
		t.Run(name, func(t *testing.T) {
			refused(t, m.trust, m.forgeRoles(m.trust.Files(), t0, []delegatedFile{file}), t0, ErrFormat)
		})
	}
	for name, rm := range map[string]*RoleManifest{"an earlier grant": doc(2, r.Granted-1), "another organisation": {
		Org: "other", Role: "canary", Granted: r.Granted, Serial: 2, IssuedAt: t0, Approvals: []Approval{approval("tool", "canary", ActionInstall)}, Holds: []Hold{},
	}} {
		got, err := walk(m.trust, m.forgeRoles(m.trust.Files(), t0, []delegatedFile{signRole(t, rm, t0.Add(day), k)}), t0)
		if err != nil || len(got.Manifest().Approvals) != 0 || got.Roles()[0].Refused == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDecodeRoleManifest(f *testing.F) {
	rm := &RoleManifest{Org: "acme", Role: "canary", Granted: 2, Serial: 1, IssuedAt: t0, Approvals: []Approval{approval("tool", "canary", ActionInstall)}, Holds: []Hold{}}
	b, err := rm.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := DecodeRoleManifest(b)
		if err != nil {
			return
		}
		if again, err := m.Encode(); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("decodes, but encodes otherwise: %v", err)
		}
	})
}

// FuzzDelegatedFiles: what lies on the disk of a machine, or comes with a membership.
func FuzzDelegatedFiles(f *testing.F) {
	m, k := canaryMesh(f)
	good := m.mustRole(t0, "canary", approveRole("tool", "canary", ActionInstall), k)
	f.Add(good.Delegated)
	f.Add([]byte(`[{"role":"canary","signed":null,"document":null}]`))
	walk := openWalk(f, good)
	walk.old = good
	walk.old.Delegated = nil
	if _, more := walk.Need(); !more {
		f.Fatal("nothing is needed without the role's documents")
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		evil := good
		evil.Delegated = b
		tr, err := reopen(walk, evil)
		if err == nil {
			tr, err = OpenTrust(evil, t0) // from the root on
		}
		if err == nil && len(tr.Manifest().Approvals) != 1 {
			t.Fatal("another set was believed")
		}
	})
}

// A main draft waits for days; meanwhile the role goes on deciding, and neither spoils the other.
func TestWaitingDraftSurvivesWhatRolesDecide(t *testing.T) {
	for name, grant := range map[string][]Grant{
		"no change of the role":   nil,
		"new keys for the role":   {{Delegation: canaryLimits(), Keys: []Signer{key(t, "second canary")}, Threshold: 1}},
		"other limits, same keys": {{Delegation: Delegation{Role: "canary", Groups: []string{"canary", "office"}, Actions: []string{"install", MayHold}}, Keys: []Signer{key(t, "canary approver")}, Threshold: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			m, k := canaryMesh(t)
			m.mustRole(t0, "canary", holdRole("canary.h1", "canary"), k)
			man, _ := DecodeManifest(m.trust.Files().Manifest)
			man.Epoch++
			d, err := m.trust.DraftGrants(man, grant, nil, t0)
			if err != nil {
				t.Fatal(err)
			}
			m.mustRole(t0, "canary", holdRole("canary.h2", "canary"), k)
			machine := m.trust
			f, err := m.publish(t0, travel(t, d), m.keys.Approvers[:2]...)
			if err != nil {
				t.Fatal(err)
			}
			got, err := walk(machine, f, t0)
			if err != nil {
				t.Fatal(err)
			}
			want := 2
			if name == "new keys for the role" {
				want = 0
			}
			if n := len(got.Manifest().Holds); n != want {
				t.Fatalf("%d holds, want %d", n, want)
			}
		})
	}
}
