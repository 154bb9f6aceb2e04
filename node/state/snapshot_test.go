package state

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
)

func later(t *testing.T, db *DB) (string, []string) {
	t.Helper()
	whole, added, err := db.Snapshot()
	must(t, err)
	var all []string
	for _, b := range added {
		all = append(all, string(b))
	}
	return string(whole), all
}

// What was added to a snapshot comes back in order, over a restart too, and goes with the next whole one.
func TestAdditionsGoWithTheirSnapshot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	db := reopen(t, path)
	if db.AddToSnapshot([]byte("x")) == nil {
		t.Error("added to nothing")
	}
	must(t, db.SaveSnapshot([]byte("one")))
	var want []string
	for i := range 12 {
		want = append(want, fmt.Sprint(i))
		must(t, db.AddToSnapshot([]byte(want[i])))
	}
	must(t, db.Close())
	db = reopen(t, path)
	if whole, added := later(t, db); whole != "one" || !slices.Equal(added, want) {
		t.Errorf("%q %q", whole, added)
	}
	if db.AddToSnapshot([]byte("x")) == nil {
		t.Error("added to a snapshot of another run")
	}
	must(t, db.SaveSnapshot([]byte("two")), db.AddToSnapshot([]byte("more")))
	if whole, added := later(t, db); whole != "two" || !slices.Equal(added, []string{"more"}) {
		t.Errorf("%q %q", whole, added)
	}
}

// An older version of the program saves a snapshot and knows of no additions: those of before are about another one.
func TestAdditionsToAnotherSnapshotAreVoid(t *testing.T) {
	db := reopen(t, filepath.Join(t.TempDir(), "state.db"))
	must(t, db.SaveSnapshot([]byte("one")), db.AddToSnapshot([]byte("more")), db.saveSingle("snapshot", []byte("older version's"), maxSnapshotBytes))
	if whole, added := later(t, db); whole != "older version's" || len(added) > 0 {
		t.Errorf("%q %q", whole, added)
	}
	must(t, db.SaveSnapshot([]byte("two")))
	if left, err := db.Values(snapshotLater); err != nil || len(left) > 0 {
		t.Error(left, err)
	}
}
