package apply

import (
	"context"
	"slices"
	"sync"
	"time"

	"patchmesh/policy"
)

// Teller is a Restarter that can tell those who are signed in at a terminal that a restart waits. What they read is a
// text of ours, never one of an update or of the mesh.
type Teller interface {
	TellWaits(ctx context.Context) error
}

const (
	remindLook  = 50 * time.Second // between two looks at whether somebody is to be told
	remindEvery = time.Hour        // at the least, whatever policy says: it writes into what people have on their screen
)

// reminded is what this process has had people told of a restart.
type reminded struct {
	mu     sync.Mutex
	lookAt time.Time
	told   []policy.Told
}

// remind has people at terminals told of a restart that waits, where policy has them told (the setting notify, quiet
// hours, restart-remind). This role does it, since it alone is root, and by its own documents: the caller has no say in it.
// A restart that is ordered is announced by the system's own command. A failure takes nothing from anybody's safety.
func (r *Role) remind(ctx context.Context, p policy.PendingRestart) {
	t, can := r.cfg.Restarter.(Teller)
	if !can {
		return
	}
	a := &r.reminded
	a.mu.Lock()
	defer a.mu.Unlock()
	now := r.cfg.Now()
	if wait := now.Sub(a.lookAt); wait >= 0 && wait < remindLook {
		return
	}
	a.lookAt = now
	if i := len(a.told) - 1; i >= 0 && now.Sub(a.told[i].At) >= 0 && now.Sub(a.told[i].At) < remindEvery {
		return
	}
	tell, due := r.remindDue(p, a.told, now)
	if !due {
		return
	}
	a.told = append(slices.Clone(a.told), tell)
	a.told = a.told[max(0, len(a.told)-policy.MaxTold):]
	if err := t.TellWaits(ctx); err != nil {
		r.cfg.Log.Info("people at terminals were not told of a restart", "err", err)
	}
}

func (r *Role) remindDue(p policy.PendingRestart, told []policy.Told, now time.Time) (policy.Told, bool) {
	t, err := r.believed()
	if err != nil || t.Manifest() == nil {
		return policy.Told{}, false
	}
	m := r.machine()
	m.Restart = p
	plan := t.Manifest().PlanRestart(m, r.stale(t, now), now)
	if plan.Due {
		return policy.Told{}, false // it is about to be ordered
	}
	tell, due, _ := t.Manifest().RemindRestart(m, plan, told, now)
	return tell, due && tell.Kind == policy.ToldWaits
}
