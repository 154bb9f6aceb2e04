package policy

import (
	"errors"
	"testing"
)

// Two organisations, or two meshes of one owner that are meant to be apart, were founded with the very
// same keys: nothing but what is signed tells them apart. T3: no document of one counts in the other,
// as a whole or mixed, for a machine that has just joined and for one that runs.
//
// Within one organisation there is nothing to replay between sites: all sites follow one set of
// documents, whose versions never go back, and an approval names groups. Which of those a machine is in
// stands in its certificate, which is bound to its key and site.
func TestReplayToAnotherMeshOfTheSameKeysIsRefused(t *testing.T) {
	acme := newMesh(t, "acme", 1, 1)
	acme.mustNext(t0, hold("h1"))
	f, err := NewRepository("beta", acme.keys, &Roster{Org: "beta", EnrolmentKeys: []string{pub("beta enrol")}}, t0)
	if err != nil {
		t.Fatal(err)
	}
	beta := &mesh{t: t, keys: acme.keys}
	beta.trust = beta.open(f)
	joined, err := NewTrust(f.Root)
	if err != nil {
		t.Fatal(err)
	}
	own, foreign := beta.trust.Files(), acme.trust.Files()
	if _, err := walk(joined, own, t0); err != nil {
		t.Fatalf("its own documents: %v", err)
	}
	cases := 0
	for mask := 1; mask < 8; mask++ {
		mixed := own
		if mask&1 != 0 {
			mixed.Targets, mixed.Manifest = foreign.Targets, foreign.Manifest
		}
		if mask&2 != 0 {
			mixed.RosterRole, mixed.Roster = foreign.RosterRole, foreign.Roster
		}
		if mask&4 != 0 {
			mixed.Snapshot, mixed.Timestamp = foreign.Snapshot, foreign.Timestamp
		} else { // whoever holds the online keys signs any set anew
			mixed = beta.forge(mixed, t0, nil, nil)
		}
		for name, from := range map[string]*Trust{"joined": joined, "running": beta.trust} {
			if mask == 4 { // the whole head of the other mesh, over whatever it names
				mixed = foreign
			}
			cases++
			if got, err := walk(from, mixed, t0); err == nil {
				t.Errorf("%s, set %03b: taken, epoch %d of %s", name, mask, got.Epoch(), got.Org())
			} else if mask&4 == 0 && !errors.Is(err, ErrOrg) {
				t.Errorf("%s, set %03b: %v, want %v", name, mask, err, ErrOrg)
			}
		}
	}
	root := reparsed(acme.trust.tm.Root)
	root.Signed.Version++
	if _, err := walk(beta.trust, foreign, t0, signed(t, root, acme.keys.Root...)); !errors.Is(err, ErrOrg) {
		t.Errorf("the next root of the other mesh: %v", err)
	}
	man, err := DecodeManifest(foreign.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	man.Epoch = beta.trust.Epoch() + 1
	if d, err := NewDraft(beta.trust, man, t0); !errors.Is(err, ErrOrg) {
		t.Errorf("a draft of the other mesh: %v, %v", d, err)
	}
	t.Logf("%d sets, none taken", cases)
}
