package node

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"patchmesh/node/install"
	"patchmesh/node/trustdir"
	"patchmesh/policy"
)

// applyTrust is what the apply process believes, and the time to judge it by: its own documents and its
// own clock floor beside them, see policy.Clock. The net process may be in somebody else's hands and a
// wall clock in anybody's, so neither is asked how late it is.
type applyTrust struct {
	clock *trustClock
	log   *slog.Logger

	mu    sync.Mutex // guards what follows: orders and the ticker
	dir   *trustdir.Dir
	saved policy.ClockState // on disk
}

// openApplyTrust recalls the documents once, for their clock floor. What is damaged is told by the first
// Load.
func openApplyTrust(path string, wall func() time.Time, log *slog.Logger) (*applyTrust, error) {
	dir, err := trustdir.Open(path)
	if err != nil {
		return nil, err
	}
	k := &applyTrust{dir: dir, log: log}
	r, err := dir.Recall()
	k.saved = r.Clock
	k.clock = newTrustClock(wall, r.Clock)
	if err == nil {
		k.clock.learn(r.Trust)
	}
	return k, nil
}

// Load implements apply.Trust. What was damaged is not believed, see keptTrust.
func (k *applyTrust) Load() (policy.Files, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	t, err := keptTrust{k.dir}.recall()
	if err != nil {
		return policy.Files{}, err
	}
	k.keepTime(t)
	return t.Files(), nil
}

// verify is policy.OpenTrust, of documents that Load may just have verified.
func (k *applyTrust) verify(f policy.Files, now time.Time) (*policy.Trust, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.dir.Verify(f, now)
}

// Save implements apply.Trust.
func (k *applyTrust) Save(f policy.Files) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	t, err := k.dir.Verify(f, time.Time{})
	if err != nil {
		return err
	}
	k.clock.learn(t)
	at := k.clock.state()
	if err := k.dir.Keep(t, at); err != nil {
		return err
	}
	k.saved = k.saved.Max(at)
	return nil
}

// keepTime makes the proven time durable now and then, and at once when the documents are first seen to
// have expired: whoever stops this process and turns the clock back must not bring them to life again.
func (k *applyTrust) keepTime(t *policy.Trust) {
	stale, at := t.Stale(k.clock.now()), k.clock.state()
	news := at.SeenAt.After(k.saved.SeenAt)
	due := at.ProvenAt.Sub(k.saved.ProvenAt) >= keepTimeEvery || at.SeenAt.Sub(k.saved.SeenAt) >= keepTimeEvery
	if !due && !(news && stale) {
		return
	}
	if err := k.dir.KeepTime(at); err != nil { // this run judges by it all the same
		k.log.Warn("the proven time was not saved", "err", err)
		return
	}
	k.saved = k.saved.Max(at)
}

// run keeps the time while no orders come.
func (k *applyTrust) run(ctx context.Context) {
	t := time.NewTicker(keepTimeEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			if _, err := k.Load(); err != nil {
				k.log.Warn("the proven time was not saved", "err", err)
			}
		}
	}
}

// keptTrust is a folder of trusted documents with their floors. What was damaged is not believed: a role
// installs nothing on what may be older than it was.
type keptTrust struct{ dir *trustdir.Dir }

func (k keptTrust) recall() (*policy.Trust, error) {
	r, err := k.dir.Recall()
	if err = errors.Join(err, r.Lost); err != nil {
		return nil, &install.Error{Reason: string(policy.ReasonTrustFloorRebuilt), What: "trust is damaged on disk", Err: err}
	}
	return r.Trust, nil
}

func (k keptTrust) Load() (policy.Files, error) {
	t, err := k.recall()
	if err != nil {
		return policy.Files{}, err
	}
	return t.Files(), nil
}

func (k keptTrust) Save(f policy.Files) error {
	t, err := k.dir.Verify(f, time.Time{})
	if err != nil {
		return err
	}
	return k.dir.Keep(t, policy.ClockState{})
}
