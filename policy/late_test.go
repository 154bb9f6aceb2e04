package policy

import (
	"errors"
	"testing"
	"time"
)

// What says that documents are fresh may be late by the budget; what approvers and root holders signed may
// not be late at all.
func TestLateRefreshReachesOnlineSignaturesAlone(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	first := m.trust
	f := m.mustNext(t0, hold("h1"))
	m.trust = m.open(f)
	far := m.mustNext(t0.Add(300*day), hold("h2"))
	for _, c := range []struct {
		name     string
		f        Files
		at, late int // days
		want     error
	}{
		{"no budget", f, 20, 0, ErrExpired},
		{"within it", f, 20, 30, nil},
		{"its last day", f, 36, 30, nil},
		{"a day past it", f, 38, 30, ErrExpired},
		{"approvals that ended", f, 95, 90, ErrExpired},
		{"a root that ended", far, 370, 90, ErrExpired},
		{"a root that has not", far, 360, 90, nil},
	} {
		next, err := follow(first.RefreshLate(c.f.Timestamp, t0.AddDate(0, 0, c.at), time.Duration(c.late)*day), c.f)
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v", c.name, err)
		}
		if err == nil && next.HeadVersion() <= first.HeadVersion() {
			t.Errorf("%s: head %d", c.name, next.HeadVersion())
		}
	}
	next, err := follow(first.RefreshLate(f.Timestamp, t0.AddDate(0, 0, 20), 30*day), f)
	if err != nil {
		t.Fatal(err)
	}
	// The same head again, and the head before it.
	if _, err := follow(next.RefreshLate(f.Timestamp, t0.AddDate(0, 0, 30), 30*day), f); err != nil {
		t.Errorf("the same head within the budget: %v", err)
	}
	if _, err := follow(next.RefreshLate(f.Timestamp, t0.AddDate(0, 0, 40), 30*day), f); !errors.Is(err, ErrExpired) {
		t.Errorf("the same head past the budget: %v", err)
	}
	if _, err := follow(next.RefreshLate(first.Files().Timestamp, t0.AddDate(0, 0, 1), 30*day), first.Files()); !errors.Is(err, ErrRollback) {
		t.Errorf("an older head: %v", err)
	}
}
