package node

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/state"
	"patchmesh/policy"
)

// R-A11: every machine can tell when its approvals were brought up to date, from where, and what was new in them;
// running or not.
func TestRA11SyncLogTellsWhereTheApprovalsCameFrom(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	m.file("u1", payload(1000))
	m.approve("u1")
	installed(t, "u1", a)
	ctx := context.Background()
	epoch := a.believer.current().Epoch()
	newest := func(l *api.SyncLog, err error) api.SyncRun {
		t.Helper()
		if err != nil || len(l.Runs) == 0 || l.Epoch != epoch || l.ExpiresAt.IsZero() {
			t.Fatalf("%+v, %v", l, err)
		}
		return l.Runs[len(l.Runs)-1]
	}
	// The approval is new, its group with it, and for the machines of other groups that they may look for the update.
	if r := newest(m.seed.Syncs(ctx, api.SyncQuery{})); r.How != api.SyncPublished || r.Epoch != epoch || r.EpochWas != epoch-1 || r.Added != 3 || r.Changed+r.Removed != 0 {
		t.Errorf("the seed tells of %+v", r)
	}
	var run api.SyncRun
	until(t, "the run to be written down", func() bool { // the update does not wait for that
		l, err := a.Syncs(ctx, api.SyncQuery{})
		if err != nil || len(l.Runs) == 0 {
			return false
		}
		run = l.Runs[len(l.Runs)-1]
		return run.Epoch == epoch
	})
	if run.How != api.SyncNews || run.From != "seed" || run.Result != "done" || run.Added != 3 || run.Head <= run.HeadWas {
		t.Errorf("the machine tells of %+v", run)
	}
	for range 3 {
		a.syncMissed(via{how: api.SyncNews, from: "somebody", began: time.Now()}, policy.ErrBadSignature)
	}
	if r := newest(a.Syncs(ctx, api.SyncQuery{})); r.Result != "failed" || r.Reason != string(policy.ReasonTrustBadSignature) || r.Times != 3 || r.Epoch != epoch {
		t.Errorf("the same failure three times: %+v", r)
	}
	if _, err := ReadSyncs(a.cfg.DataDir, api.SyncQuery{}, time.Now); !errors.Is(err, ErrLocked) {
		t.Errorf("the folder of a running node was opened: %v", err)
	}
	a.stop()
	l, err := ReadSyncs(a.cfg.DataDir, api.SyncQuery{Limit: 2}, time.Now)
	if newest(l, err).Times != 3 || !l.More && len(l.Runs) != 2 || l.Runs[0].Epoch != epoch {
		t.Errorf("from the folder: %+v", l)
	}
	if l, err := ReadSyncs(a.cfg.DataDir, api.SyncQuery{Since: time.Now().Add(time.Hour)}, time.Now); err != nil || len(l.Runs) != 0 {
		t.Errorf("since a time to come: %+v, %v", l, err)
	}
}

// A mirror or a peer that fails for a week fills one line; what comes between ends it.
func TestSyncLogCountsTheSameFailure(t *testing.T) {
	db, err := state.Open(filepath.Join(t.TempDir(), "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	at := time.Date(2026, 4, 1, 12, 0, 0, 0, time.UTC)
	for i, r := range []state.SyncRow{
		{How: "news", From: "a", Reason: "net-timeout"}, {How: "news", From: "a", Reason: "net-timeout"}, {How: "news", From: "b", Reason: "net-timeout"},
		{How: "news", From: "b"}, {How: "news", From: "b"}, {How: "news", From: "a", Reason: "net-timeout"},
	} {
		r.At = at.Add(time.Duration(i) * time.Minute)
		if err := db.AddSync(r); err != nil {
			t.Fatal(err)
		}
	}
	list, err := db.Syncs(time.Time{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	var times []int
	for _, r := range list {
		times = append(times, r.Times)
	}
	if len(list) != 5 || times[4] != 2 || !list[4].At.Equal(at.Add(time.Minute)) || list[0].Times != 1 {
		t.Errorf("%+v", list)
	}
}
