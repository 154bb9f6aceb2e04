package node

import (
	"context"
	"errors"
	"slices"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/state"
	"patchmesh/policy"
	"patchmesh/swarm"
)

// via says how documents came to this machine, and when somebody began to fetch them.
type via struct {
	how, from string
	began     time.Time
}

// fromPeer is the way from a peer; people know machines by their names.
func (n *Node) fromPeer(how string, id swarm.PeerID) via {
	v := via{how: how, from: string(id), began: n.cfg.Now()}
	for _, p := range n.host.Peers() {
		if p.ID == v.from && p.Name != "" {
			v.from = api.Clean(p.Name)
		}
	}
	return v
}

// syncDone is the row of a run that has brought newer documents.
func syncDone(v via, was, is *policy.Trust, now time.Time) state.SyncRow {
	r := state.SyncRow{
		At: now, Took: now.Sub(v.began), How: v.how, From: v.from,
		HeadWas: was.HeadVersion(), Head: is.HeadVersion(), EpochWas: was.Epoch(), Epoch: is.Epoch(),
	}
	for _, c := range is.ChangesSince(was) {
		switch c.Op() {
		case "add":
			r.Added++
		case "remove":
			r.Removed++
		default:
			r.Changed++
		}
	}
	return r
}

// syncFailed is the row of a run that has changed nothing.
func syncFailed(v via, t *policy.Trust, err error, now time.Time) state.SyncRow {
	reason := string(policy.ReasonOf(err))
	if reason == "" {
		reason = string(docFailure(0, err).Reason)
	}
	return state.SyncRow{
		At: now, Took: now.Sub(v.began), How: v.how, From: v.from, HeadWas: t.HeadVersion(), Head: t.HeadVersion(),
		EpochWas: t.Epoch(), Epoch: t.Epoch(), Reason: reason, Detail: api.Clean(err.Error()),
	}
}

// keepSync writes a run down. The approvals count whether or not it can be.
func (n *Node) keepSync(r state.SyncRow) {
	if err := n.db.AddSync(r); err != nil {
		n.log.Warn("the sync log was not written", "err", err)
	}
}

// syncMissed notes a run that failed. One that was called off, or had nothing to ask for, is none.
func (n *Node) syncMissed(v via, err error) {
	if err != nil && n.ctx.Err() == nil && !errors.Is(err, errNoHead) {
		n.keepSync(syncFailed(v, n.believer.current(), err, n.cfg.Now()))
	}
}

// Syncs implements api.SyncLogger.
func (n *Node) Syncs(_ context.Context, q api.SyncQuery) (*api.SyncLog, error) {
	return readSyncs(n.db, n.believer.current(), q, n.member.Name, n.cfg.Now())
}

var _ api.SyncLogger = (*Node)(nil)

// ReadSyncs is Syncs of a data folder whose node is not running. ErrLocked if it is.
func ReadSyncs(dir string, q api.SyncQuery, now func() time.Time) (*api.SyncLog, error) {
	f, err := openStopped(dir, now)
	if err != nil {
		return nil, err
	}
	defer f.close()
	return readSyncs(f.db, f.believer.current(), q, f.member.Name, f.now())
}

func readSyncs(db *state.DB, t *policy.Trust, q api.SyncQuery, machine string, now time.Time) (*api.SyncLog, error) {
	if q.Limit < 0 {
		return nil, api.Errorf(api.ClassUsage, "%d runs cannot be shown", q.Limit)
	}
	if q.Limit == 0 || q.Limit > api.MaxEvents {
		q.Limit = api.MaxEvents
	}
	list, err := db.Syncs(q.Since, q.Limit+1)
	if err != nil {
		return nil, err
	}
	l := &api.SyncLog{AsOf: now.UTC(), Machine: machine, Epoch: t.Epoch(), Head: t.HeadVersion(), ExpiresAt: t.ExpiresAt().UTC(), Runs: []api.SyncRun{}, More: len(list) > q.Limit}
	list = list[:min(len(list), q.Limit)]
	slices.Reverse(list)
	for _, r := range list {
		run := api.SyncRun{
			At: r.At.UTC(), TookMS: r.Took.Milliseconds(), How: r.How, From: r.From, Result: "done", HeadWas: r.HeadWas, Head: r.Head,
			EpochWas: r.EpochWas, Epoch: r.Epoch, Added: r.Added, Changed: r.Changed, Removed: r.Removed, Reason: r.Reason, Detail: r.Detail, Times: r.Times,
		}
		if r.Reason != "" {
			run.Result = "failed"
		}
		l.Runs = append(l.Runs, run)
	}
	return l, nil
}
