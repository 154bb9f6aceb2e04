package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
	"patchmesh/swarm"
)

// ExplainStopped is Explain for the data folder of a machine whose node is not running: from the approvals that it
// trusts, its own inventory and what it saved last. It needs no network. ErrLocked while something runs there.
func ExplainStopped(ctx context.Context, dir, update, machine string, now func() time.Time) (*api.Explanation, error) {
	f, err := openStopped(dir, now)
	if err != nil {
		return nil, err
	}
	defer f.close()
	n, err := stoppedNode(ctx, dir, f)
	if err != nil {
		return nil, err
	}
	if n.seed != nil {
		t := f.believer.current()
		n.view.Store(&swarm.View{At: f.now(), Epoch: t.Epoch(), HeadVersion: t.HeadVersion(), Stale: t.Stale(f.now())})
		return n.Explain(ctx, update, machine)
	}
	if !n.knownUpdate(update) {
		return nil, api.Errorf(api.ClassNotFound, "no update %q is known here", api.Clean(update)).WithHint("'patchmesh status' lists what there is")
	}
	if machine != "" && machine != n.id && machine != n.member.Name {
		return nil, n.noMachine(machine)
	}
	row, err := n.savedRow()
	if err != nil {
		return nil, err
	}
	e := &explanation{Explanation: api.Explanation{Update: update, Machine: row.Name}}
	e.add(f.now(), "manifest", "this machine trusts epoch %d; patchmesh is not running here, so nothing changes", row.Epoch)
	n.explainApprovals(e, *row)
	n.explainHolds(e, *row)
	row.Updates = n.namedSpenders(row.Updates)
	explainState(e, *row, true, f.now())
	return &e.Explanation, nil
}

// stoppedNode is enough of a node to answer from an opened folder; it does nothing and is not to be closed.
func stoppedNode(ctx context.Context, dir string, f *folder) (*Node, error) {
	n := &Node{
		cfg: Config{DataDir: dir, Now: f.now}, log: slog.New(slog.DiscardHandler), ctx: ctx, started: f.now(),
		dir: f, id: f.id, key: f.key, member: f.member, db: f.db, store: f.store, docs: f.docs, believer: f.believer, seed: f.seed,
	}
	return n, errors.Join(n.openPeople(), n.openStock())
}

// savedRow is this machine as its last run left it, with the verdicts of today.
func (n *Node) savedRow() (*api.Machine, error) {
	t := n.believer.current()
	row := &api.Machine{ID: n.id, Name: n.member.Name, Site: n.member.Site, Groups: n.ownGroups(), Epoch: t.Epoch(), Online: true,
		Reason: string(policy.ReasonAgentStopped), Updates: []api.Update{}}
	last, err := lastSaved(n.db)
	if err != nil {
		return nil, fmt.Errorf("saved state: %w", err)
	}
	if t.Manifest() == nil {
		return row, nil
	}
	now, facts := n.cfg.Now(), n.machineFacts()
	facts.Detected = lastSeen(last.Tasks)
	for _, v := range policy.MakePlan(t.Manifest(), n.describer(), facts, t.Stale(now), now).Verdicts {
		u := api.Update{Update: string(v.Update), Revision: v.Revision, Compliance: string(v.Compliance), State: policy.StateOffered.String(),
			Reason: string(v.Reason), Detail: api.Clean(v.Detail)}
		i := slices.IndexFunc(last.Tasks, func(s swarm.SavedTask) bool { return s.Update == v.Update && s.Revision == v.Revision })
		if i >= 0 {
			s := last.Tasks[i]
			u.State, u.Since, u.Failures = s.State.String(), s.Since.UTC(), s.Failures
			u.RetryAt = savedRetry(v, s, now)
			if u.Reason == "" {
				u.Reason, u.Detail = string(s.Reason), api.Clean(s.Detail)
			}
		}
		ready := u.State == policy.StateDownloaded.String() && v.Verb == policy.VerbStage // as far as it is to go
		if u.Reason == "" && !ready && u.State != policy.StateInstalled.String() && u.State != policy.StateRemoved.String() {
			u.Reason, u.Detail = string(policy.ReasonAgentStopped), "it was "+u.State+" when patchmesh last ran here"
		}
		n.budgets().tell(&u, now)
		row.Updates = append(row.Updates, u)
	}
	return row, nil
}

// lastSeen is what the last run had found on the machine, where its states say it: without that an update that is
// there would seem to wait for what it was installed after.
func lastSeen(tasks []swarm.SavedTask) map[policy.UpdateID]policy.Detection {
	seen := map[policy.UpdateID]policy.Detection{}
	for _, s := range tasks {
		switch s.State {
		case policy.StateInstalled, policy.StateRemoved:
			seen[s.Update] = policy.Detection{Present: s.State == policy.StateInstalled, At: s.Since}
		}
	}
	return seen
}
