package policy

import (
	"errors"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// rosterRoot is the signed next root that gives the roster to another key.
func (m *mesh) rosterRoot(s Signer, more ...func(*RootChange)) []byte {
	m.t.Helper()
	c := RootChange{Roster: &s}
	for _, f := range more {
		f(&c)
	}
	b, err := m.trust.RootDraft(c, t0)
	if err != nil {
		m.t.Fatal(err)
	}
	for _, k := range m.keys.Root {
		if b, err = SignRoot(b, k); err != nil {
			m.t.Fatal(err)
		}
	}
	return b
}

// sameAgain is a draft of what is approved already, made for a root that is about to come.
func (m *mesh) sameAgain(root []byte) *Draft {
	m.t.Helper()
	by, err := m.trust.WithRoot(root)
	if err != nil {
		m.t.Fatal(err)
	}
	man, err := DecodeManifest(m.trust.Files().Manifest)
	if err != nil {
		m.t.Fatal(err)
	}
	man.Epoch++
	d, err := NewDraft(by, man, t0)
	if err != nil {
		m.t.Fatal(err)
	}
	for _, s := range m.keys.Approvers {
		if err := d.Sign(s); err != nil {
			m.t.Fatal(err)
		}
	}
	return d
}

// rotateRoster gives the roster to a new key, publishes and goes on with it.
func (m *mesh) rotateRoster(name string, more ...func(*RootChange)) (Files, []byte) {
	m.t.Helper()
	root := m.rosterRoot(key(m.t, name), more...)
	online := m.keys.Online
	online.Roster = key(m.t, name)
	f, err := m.trust.PublishRoot(root, m.sameAgain(root), nil, online, t0)
	if err != nil {
		m.t.Fatal(err)
	}
	m.keys.Online, m.trust = online, m.open(f)
	return f, root
}

func TestRosterKeyRotates(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	machine, before := m.trust, m.trust.Roster()
	f, root := m.rotateRoster("roster 2")
	got, err := walk(machine, f, t0, root)
	if err != nil {
		t.Fatal(err)
	}
	if now := got.Roster(); now.Serial != before.Serial+1 || len(now.EnrolmentKeys) != 1 || now.EnrolmentKeys[0] != before.EnrolmentKeys[0] {
		t.Errorf("%+v, was %+v: certificates must outlive the key of the roster", now, before)
	}
	if r := got.RootRoles()[2]; len(r.Keys) != 1 || r.Keys[0] != key(t, "roster 2").KeyID() {
		t.Errorf("%+v", r)
	}
	if _, err := OpenTrust(got.Files(), t0); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	m.mustNext(t0, hold("h1")) // life goes on, and a second time
	f, next := m.rotateRoster("roster 3")
	if _, err := walk(got, f, t0, root, next); err != nil {
		t.Errorf("the next rotation: %v", err)
	}
}

// Everything that a seed holds online was stolen, and the roster's key is replaced alone. What the old
// one signs is refused: beside the new approvals, beside the old ones, and under drafts that a thief
// slips to approvers.
func TestStolenRosterKeyIsWorthlessAfterItsRotation(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	stolen, old := m.keys.Online.Roster, m.trust
	evil := *old.Roster()
	evil.EnrolmentKeys = []string{pub("thief enrol")}
	f, root := m.rotateRoster("roster 2")

	evilSerial := uint64(m.trust.Roster().Serial + 1)
	evil.Serial = evilSerial
	doc, err := evil.Encode()
	if err != nil {
		t.Fatal(err)
	}
	role := metadata.Targets(expiry(t0, 90*day))
	role.Signed.Version = int64(evilSerial)
	role.Signed.Targets[RosterPath] = targetFile(doc)
	forged := f
	forged.RosterRole, forged.Roster = signed(t, role, stolen), doc

	beside := m.forge(forged, t0, nil, nil)
	if _, err := walk(m.trust, beside, t0); !errors.Is(err, ErrUnknownKey) && !errors.Is(err, ErrThreshold) {
		t.Errorf("beside the new approvals: %v", err)
	}
	if _, err := walk(old, beside, t0, root); !errors.Is(err, ErrUnknownKey) && !errors.Is(err, ErrThreshold) {
		t.Errorf("to a machine that comes from before: %v", err)
	}
	older := forged
	older.Targets, older.Manifest = old.Files().Targets, old.Files().Manifest // these do give it the roster
	replayed := m.forge(older, t0, nil, nil)
	if _, err := walk(old, replayed, t0); err != nil {
		t.Fatalf("the attack must be real before the rotation: %v", err)
	}
	if _, err := walk(old, replayed, t0, root); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("beside the old approvals, to a machine that comes from before: %v", err)
	}
	fresh, err := NewTrust(root)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := walk(fresh, replayed, t0); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("beside the old approvals, to one that has just joined: %v", err)
	}
	online := m.keys.Online
	online.Roster = stolen
	if _, err := m.trust.Publish(nil, &evil, online, t0.Add(time.Hour)); err == nil {
		t.Error("the old key still publishes rosters")
	}
}

func TestApproversAloneDoNotMoveTheRoster(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	root := m.rosterRoot(key(t, "roster 2"))
	d := m.sameAgain(root)
	if err := d.Check(m.trust); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("a draft for another roster key without the root that asks for it: %v", err)
	}
	online := m.keys.Online
	online.Roster = key(t, "roster 2")
	if _, err := m.trust.Publish(d, nil, online, t0); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("published all the same: %v", err)
	}
	if _, err := m.trust.PublishRoot(root, nil, nil, online, t0); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("the root without its approvers: %v", err)
	}
	st, err := m.trust.RootStatus(root)
	if err != nil || st.Approved || !st.Complete || st.Roster != key(t, "roster 2").KeyID() {
		t.Errorf("%+v, %v", st, err)
	}
	if _, err := m.trust.PublishRoot(root, d, nil, m.keys.Online, t0); err == nil {
		t.Error("published with the roster signed by the old key")
	}
	m.rotateRoster("roster 2")
	thief := m.rosterRoot(key(t, "thief"))
	if err := m.sameAgain(thief).Check(m.trust); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("a draft away from the named key: %v", err)
	}
}

// A draft was waiting for a second approver when the roster's key was replaced: its changes stay, and
// it follows the root.
func TestWaitingDraftFollowsTheRosterKey(t *testing.T) {
	m := newMesh(t, "acme", 2, 2)
	man, err := DecodeManifest(m.trust.Files().Manifest)
	if err != nil {
		t.Fatal(err)
	}
	man.Epoch++
	hold("h1")(man)
	d, err := NewDraft(m.trust, man, t0)
	if err != nil {
		t.Fatal(err)
	}
	root := m.rosterRoot(key(t, "roster 2"))
	by, err := m.trust.WithRoot(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Check(by); !errors.Is(err, ErrUnknownKey) {
		t.Fatalf("as it is: %v", err)
	}
	if err := d.Follows(by); err != nil {
		t.Fatal(err)
	}
	if d, err = d.Amend(by, man, nil, nil, t0); err != nil {
		t.Fatal(err)
	}
	for _, s := range m.keys.Approvers {
		if err := d.Sign(s); err != nil {
			t.Fatal(err)
		}
	}
	online := m.keys.Online
	online.Roster = key(t, "roster 2")
	machine := m.trust
	f, err := m.trust.PublishRoot(root, d, nil, online, t0)
	if err != nil {
		t.Fatal(err)
	}
	got, err := walk(machine, f, t0, root)
	if err != nil || len(got.Manifest().Holds) != 1 {
		t.Fatalf("%v", err)
	}
}

func TestRootRefusesARosterKeyThatCouldApprove(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	for name, s := range map[string]Signer{"an approver's": m.keys.Approvers[0], "a root key": m.keys.Root[0]} {
		if _, err := m.trust.RootDraft(RootChange{Roster: &s}, t0); !errors.Is(err, ErrWeakKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, field := range map[string]any{"no text": 7.0, "no key": "abc", "empty": "", "a weak key": "0100000000000000000000000000000000000000000000000000000000000000"} {
		root := reparse[metadata.RootType](t, m.trust.Files().Root)
		root.Signed.UnrecognizedFields[rosterField] = field
		if _, err := NewTrust(signed(t, root, m.keys.Root...)); !errors.Is(err, ErrFormat) && !errors.Is(err, ErrWeakKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	m.rotateRoster("roster 2")
	k := m.keys
	k.Online.Timestamp = key(t, "timestamp 2")
	if got := rosterKeyOf(reparse[metadata.RootType](t, m.rotate(k))); got != pub("roster 2") {
		t.Errorf("the next root names %q", got)
	}
}
