package policy

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// CheckHead decides what is gossiped on, before any refresh: it must not lean on the refresh.
func TestCheckHeadAlone(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	old := m.mustNext(t0, nil)
	behind := m.trust
	f := m.mustNext(t0.Add(time.Hour), nil)
	for _, c := range []struct {
		name  string
		trust *Trust
		head  []byte
		now   time.Time
		newer bool
		want  error
	}{
		{"newer", behind, f.Timestamp, t0, true, nil},
		{"in its last second", behind, f.Timestamp, t0.Add(time.Hour + 7*day), true, nil},
		{"expired", behind, f.Timestamp, t0.Add(time.Hour + 7*day + time.Second), false, ErrExpired},
		{"the same", m.trust, f.Timestamp, t0, false, nil},
		{"older", m.trust, old.Timestamp, t0, false, ErrRollback},
	} {
		if newer, _, err := c.trust.CheckHead(c.head, c.now); newer != c.newer || !errors.Is(err, c.want) {
			t.Errorf("%s: newer %v, %v", c.name, newer, err)
		}
	}
}

// A stolen timestamp key signs a second head of the version that machines have.
func TestTwoHeadsOfOneVersionAreRefused(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	machine := m.trust
	ts := reparse[metadata.TimestampType](t, machine.Files().Timestamp)
	ts.Signed.Expires = ts.Signed.Expires.Add(30 * day)
	twin := signed(t, ts, m.keys.Online.Timestamp)
	if err := machine.Refresh(twin, t0).Supply(nil); !errors.Is(err, ErrRollback) {
		t.Fatalf("%v, want ErrRollback", err)
	}
}

// A refresh bounds versions itself, whether or not the caller looked at the head first.
func TestRefreshAloneRefusesFastForward(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	f := m.forge(m.trust.Files(), t0, nil, func(ts *metadata.TimestampType) { ts.Version = 1 << 40 })
	if err := m.trust.Refresh(f.Timestamp, t0).Supply(nil); !errors.Is(err, ErrFormat) {
		t.Fatalf("%v, want ErrFormat", err)
	}
}

func TestDeepHeadsAreRefused(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	deep := any(1)
	for range maxNesting + 1 {
		deep = []any{deep}
	}
	f := m.forge(m.trust.Files(), t0, nil, func(ts *metadata.TimestampType) { ts.UnrecognizedFields = map[string]any{"x": deep} })
	if _, _, err := m.trust.CheckHead(f.Timestamp, t0); !errors.Is(err, ErrFormat) {
		t.Fatalf("%v, want ErrFormat", err)
	}
}

// go-tuf compares signatures pairwise: thousands of them are work for an attacker's victims.
func TestManySignaturesAreRefused(t *testing.T) {
	var sigs strings.Builder
	for i := range maxSignatures + 1 {
		fmt.Fprintf(&sigs, `,{"keyid":"%d","sig":""}`, i)
	}
	doc := `{"signatures":[` + sigs.String()[1:] + `],"signed":{"_type":"root"}}`
	if _, err := NewTrust([]byte(doc)); !errors.Is(err, ErrTooLarge) {
		t.Fatalf("%v, want ErrTooLarge", err)
	}
}

// The roster key is stolen, and the thief signs what he likes under its name.
func TestRostersOfThievesAreBounded(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	for name, c := range map[string]struct {
		roster Roster
		want   error
	}{
		"another organisation":                {Roster{Org: "other", Serial: 2}, ErrOrg},
		"a serial that is not the version":    {Roster{Org: "acme", Serial: 7}, ErrFormat},
		"a serial that goes back in new form": {Roster{Org: "acme", Serial: 1}, ErrFormat},
	} {
		doc, err := c.roster.Encode()
		if err != nil {
			t.Fatal(err)
		}
		role := reparse[metadata.TargetsType](t, m.trust.Files().RosterRole)
		role.Signed.Version = 2
		role.Signed.Targets[RosterPath] = targetFile(doc)
		f := m.trust.Files()
		f.Roster, f.RosterRole = doc, signed(t, role, m.keys.Online.Roster)
		t.Run(name, func(t *testing.T) { refused(t, m.trust, m.forge(f, t0, nil, nil), t0, c.want) })
	}
}

// The snapshot key alone was stolen and is replaced: the timestamp key stays, and would still hold
// the machine to the versions of the thief (TUF specification 5.3.11).
func TestNewSnapshotKeyAloneFreesTheVersions(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	seed := m.trust
	evil := m.forge(m.trust.Files(), t0, func(s *metadata.SnapshotType) { s.Version = 1000000 }, func(ts *metadata.TimestampType) {
		ts.Meta[snapshotFile].Version = 1000000
	})
	machine, err := walk(m.trust, evil, t0)
	if err != nil {
		t.Fatal(err)
	}
	k := m.keys
	k.Online.Snapshot = key(t, "snap 2")
	root := m.rotate(k)
	f, err := seed.PublishRoot(root, nil, nil, k.Online, t0)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := walk(machine, f, t0, root); err != nil || got.tm.Snapshot.Signed.Version != 2 {
		t.Fatalf("%v", err)
	}
}
