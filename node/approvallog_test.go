package node

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
)

// loggedSeed is a stopped seed with a few holds in its log.
func loggedSeed(t *testing.T) *Node {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "seed")
	if _, err := Found(FoundRequest{DataDir: dir, Org: "acme"}, time.Now); err != nil {
		t.Fatal(err)
	}
	n, err := OpenOffline(dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	for _, reason := range []string{"one", "two", "three"} {
		if _, err := n.Hold(context.Background(), api.HoldRequest{Update: "all", Reason: reason}); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

func approvalLogOf(t *testing.T, n *Node) *api.ApprovalLog {
	t.Helper()
	l, err := n.ApprovalLog(context.Background(), api.LogQuery{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Somebody with the database removes an entry. Verification says so; approvals go on, in a log that
// says that it begins anew; and it never verifies, since this machine has seen the longer one.
func TestRB16LostLogEntryIsNoticedAndStopsNothing(t *testing.T) {
	n := loggedSeed(t)
	l := approvalLogOf(t, n)
	if !l.Verified || len(l.Entries) != 4 || l.Witnessed != 3 || l.Entries[3].Reason != "three" {
		t.Fatalf("before: %+v", l)
	}
	gone := l.Entries[1].ID
	if _, err := n.db.DropDocs(func(id content.ID, _ string) bool { return id.String() != gone }); err != nil {
		t.Fatal(err)
	}
	if l := approvalLogOf(t, n); l.Verified || !strings.Contains(l.Trouble, "log entry") {
		t.Fatalf("with an entry gone: %+v", l)
	}
	n.seed.hist = nil // as after a restart
	if _, err := n.Hold(context.Background(), api.HoldRequest{Update: "all", Reason: "four"}); err != nil {
		t.Fatalf("a damaged log stops approvals: %v", err)
	}
	l = approvalLogOf(t, n)
	if l.Verified || len(l.Entries) != 2 || !strings.Contains(l.Entries[0].Reason, "begins anew: the one of 4 entries") || !strings.Contains(l.Trouble, "does not lead through") {
		t.Fatalf("after it began anew: %+v", l)
	}
}

// A crash between writing an entry and publishing it leaves an entry that no roster names: the next
// publication writes its own, and the log holds.
func TestRB16UnpublishedLogEntryIsWrittenAnew(t *testing.T) {
	n := loggedSeed(t)
	s, tr := n.seed, n.believer.current()
	d, err := s.redraft(tr, nil, wish{}, func(*sheet) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.logged(nil, tr, d, nil, "the power fails now"); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Hold(context.Background(), api.HoldRequest{Update: "all", Reason: "four"}); err != nil {
		t.Fatal(err)
	}
	l := approvalLogOf(t, n)
	if !l.Verified || len(l.Entries) != 5 || l.Entries[4].Reason != "four" {
		t.Fatalf("%+v", l)
	}
}
