package node

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"time"

	"patchmesh/node/apply"
	"patchmesh/policy"
	"patchmesh/swarm"
)

// restarts is what this node knows of a restart that its machine needs. What is due is decided by policy, here
// and once more by the apply role, which believes nothing of this.
type restarts struct {
	mu      sync.Mutex
	pending policy.PendingRestart
}

// How often the machine is asked whether it must be restarted: while it must, users come and go.
const (
	restartEvery     = time.Minute
	restartIdleEvery = 10 * time.Minute
	restartSlotEvery = 2 * time.Second // while it waits for a slot, which others wait for too
)

func (r *restarts) known() policy.PendingRestart {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pending
}

// learn takes up what was seen; changed is false if it is what was known.
func (r *restarts) learn(p policy.PendingRestart, delay time.Duration, now time.Time) (changed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p.Pending {
		p.OrderedAt, p.Failures = r.pending.OrderedAt, r.pending.Failures
		if !p.OrderedAt.IsZero() && !now.Before(p.OrderedAt.Add(delay+policy.RestartGrace)) {
			p.OrderedAt, p.Failures = time.Time{}, p.Failures+1
		}
	}
	changed = !reflect.DeepEqual(r.pending, p)
	r.pending = p
	return changed
}

// ordered books that a restart was begun, or could not be.
func (r *restarts) ordered(now time.Time, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending.OrderedAt = now
	if err != nil {
		r.pending.Failures++
	}
}

// watchRestarts looks now and then, and restarts the machine when policy says so.
func (n *Node) watchRestarts(ctx context.Context) {
	if n.seed != nil {
		return
	}
	for {
		every := restartIdleEvery
		if waits := n.turnRestart(ctx); waits {
			every = restartSlotEvery
		} else if n.restarts.known().Pending {
			every = restartEvery
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(every):
		}
	}
}

// turnRestart looks once and does what is due. waits: only a slot of an orchestration is missing.
func (n *Node) turnRestart(ctx context.Context) (waits bool) {
	n.lookRestart(ctx)
	plan, ok := n.planRestart()
	if ok {
		if err := n.remindRestart(plan, n.cfg.Now()); err != nil {
			n.log.Warn("people were not told of a restart", "err", err)
		}
	}
	if !ok || !plan.Due {
		return false
	}
	if n.restartAwaitsSlot() {
		return true
	}
	err := n.orders.Restart(ctx)
	if errors.Is(err, apply.ErrNotOrdered) { // the machine was told nothing: the next look tries again
		n.log.Warn("this machine must be restarted, and that could not be ordered", "err", err)
		return false
	}
	n.restarts.ordered(n.cfg.Now(), err)
	if err != nil {
		n.log.Error("this machine must be restarted, and that could not be begun", "err", err)
	} else {
		n.log.Warn("this machine restarts", "warning", plan.Delay.String(), "why", n.restarts.known().Why)
	}
	n.events.send(swarm.InventoryChanged{Machine: n.machineFacts()})
	return false
}

func (n *Node) planRestart() (policy.RestartPlan, bool) {
	t := n.believer.current()
	if t.Manifest() == nil {
		return policy.RestartPlan{}, false
	}
	now := n.cfg.Now()
	return t.Manifest().PlanRestart(n.machineFacts(), t.Stale(now), now), true
}

// lookRestart asks the apply role what it sees, and tells the core what is new.
func (n *Node) lookRestart(ctx context.Context) {
	p, err := n.orders.LookRestart(ctx)
	if err != nil {
		n.log.Warn("whether this machine must be restarted is not known", "err", err)
		return
	}
	delay := time.Duration(0)
	if t := n.believer.current(); t.Manifest() != nil {
		delay = t.Manifest().RestartDelay(n.machineFacts())
	}
	if n.restarts.learn(p, delay, n.cfg.Now()) {
		n.events.send(swarm.InventoryChanged{Machine: n.machineFacts()})
	}
}
