package policy

import (
	"errors"
	"strings"
	"testing"
)

// A mirror carries what delegated approvers decide, too.
func TestMirrorCarriesDelegatedApprovals(t *testing.T) {
	m, pilot := canaryMesh(t)
	m.mustRole(t0, "canary", approveRole("u1", "canary", ActionInstall), pilot)
	shown := map[string][]byte{}
	for _, f := range m.trust.MirrorFiles() {
		shown[f.Name] = f.Body
	}
	fresh, err := NewTrust(m.trust.Files().Root)
	if err != nil {
		t.Fatal(err)
	}
	r := fresh.Refresh(shown[MirrorHead], t0)
	for need, more := r.Need(); more; need, more = r.Need() {
		b := shown[r.MirrorName(need)]
		if need.RootVersion == 0 && b == nil {
			t.Fatalf("the mirror lacks %s", r.MirrorName(need))
		}
		if err := r.Supply(b); err != nil {
			t.Fatal(err)
		}
	}
	got, err := r.Result()
	if err != nil {
		t.Fatal(err)
	}
	if v := verbs(got.Manifest(), t0, []string{"canary"}, "u1"); v["u1"] != VerbInstall {
		t.Errorf("%v", v)
	}
	if err := signedFolder(shown); err != nil {
		t.Error(err)
	}
}

// signedFolder wants the role's target where TUF clients look for it: the hash before the last part.
func signedFolder(shown map[string][]byte) error {
	for name := range shown {
		if strings.HasPrefix(name, "targets/approvals/") && strings.HasSuffix(name, ".canary.json") {
			return nil
		}
	}
	return errors.New("no target of the role below targets/approvals")
}

// What MirrorFiles names, MirrorName asks for; and whatever a file leads to stands before it.
func TestMirrorIsWrittenAndReadUnderTheSameNames(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	old := m.trust
	next, err := OpenTrust(m.mustNext(t0, hold("h1")), t0)
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := NewTrust(next.Files().Root)
	if err != nil {
		t.Fatal(err)
	}
	if fresh.MirrorFiles() != nil {
		t.Error("a machine that trusts nothing yet writes a mirror")
	}
	shown := map[string][]byte{}
	last := ""
	for _, f := range next.MirrorFiles() {
		if strings.Contains(f.Name, "..") || len(f.Body) == 0 || shown[f.Name] != nil {
			t.Errorf("%q, %d bytes", f.Name, len(f.Body))
		}
		shown[f.Name], last = f.Body, f.Name
	}
	if last != MirrorHead || len(shown) != 7 {
		t.Errorf("%d files, %s is last", len(shown), last)
	}
	for name, from := range map[string]*Trust{"a machine that has joined": fresh, "one that is behind": old} {
		r := from.Refresh(shown[MirrorHead], t0)
		for need, more := r.Need(); more; need, more = r.Need() {
			b := shown[r.MirrorName(need)]
			if need.RootVersion == 0 && b == nil {
				t.Fatalf("%s asks for %s", name, r.MirrorName(need))
			}
			if need.RootVersion > 0 && r.MirrorName(need) != MirrorRoot(need.RootVersion) {
				t.Fatalf("%s asks for %s as a root", name, r.MirrorName(need))
			}
			if err := r.Supply(b); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := r.Result(); err != nil || got.Epoch() != next.Epoch() {
			t.Errorf("%s: %v", name, err)
		}
	}
}
