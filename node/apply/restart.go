package apply

import (
	"context"
	"errors"
	"fmt"
	"time"

	"patchmesh/policy"
)

// Restarter looks whether the machine must be restarted, and restarts it.
type Restarter interface {
	Look() (policy.PendingRestart, error)
	// Restart warns people for so long, unless silent, and then restarts. It returns once that has begun.
	Restart(ctx context.Context, delay time.Duration, silent bool) error
}

// restartStep is what the journal calls a restart.
const restartStep = "restart"

// LookRestart tells what this role sees of a restart that is needed. Errors are *Error.
func (r *Role) LookRestart(ctx context.Context) (policy.PendingRestart, error) {
	if r.cfg.Restarter == nil {
		return policy.PendingRestart{}, nil
	}
	p, err := r.cfg.Restarter.Look()
	if err != nil {
		return p, asError("look for a pending restart", err)
	}
	if p.Pending {
		r.remind(ctx, p)
	}
	return p, nil
}

// Restart restarts the machine if its own documents and its own look at it say that this is due now. The
// caller says nothing but "now": neither why nor how soon. Errors are *Error.
func (r *Role) Restart(ctx context.Context) error {
	r.work.Lock() // not while something is being installed
	defer r.work.Unlock()
	if err := r.restart(ctx); err != nil {
		return asError("restart", err)
	}
	return nil
}

func (r *Role) restart(ctx context.Context) error {
	if r.cfg.Restarter == nil {
		return refused(policy.ReasonRestartBlocked, "restart: this role cannot restart the machine")
	}
	t, err := r.believed()
	if err != nil {
		return err
	}
	if t.Manifest() == nil {
		return refused(policy.ReasonPolicyDeclined, "restart: nothing is approved yet")
	}
	m := r.machine()
	if m.Restart, err = r.cfg.Restarter.Look(); err != nil {
		return err
	}
	now := r.cfg.Now()
	plan := t.Manifest().PlanRestart(m, r.stale(t, now), now)
	if !plan.Due {
		reason := plan.Reason
		if reason == "" {
			reason = policy.ReasonPolicyDeclined
		}
		return refused(reason, "restart: it is not due here now: %s", plan.Detail)
	}
	if err := r.cfg.Journal.JournalBegin(restartStep, 1, "ordered", now); err != nil {
		return err
	}
	err = r.cfg.Restarter.Restart(ctx, plan.Delay, plan.Silent)
	step := "begun" // whether it came about shows in the next boot
	if err != nil {
		step = "failed: " + err.Error()
	}
	if jerr := r.cfg.Journal.JournalEnd(restartStep, 1, step, r.cfg.Now()); err == nil {
		err = jerr
	}
	return err
}

// LookRestart asks the apply process what it sees.
func (c *Client) LookRestart(ctx context.Context) (policy.PendingRestart, error) {
	var p policy.PendingRestart
	err := c.call(ctx, request{verb: verbRestart, order: Detect}, nil, nil, &p)
	return p, err
}

// ErrNotOrdered: the order was not given, since the apply process could not be told of the newest documents.
var ErrNotOrdered = errors.New("not ordered")

// Restart offers the newest documents and gives the order.
func (c *Client) Restart(ctx context.Context) error {
	if err := c.OfferMetadata(ctx); err != nil {
		return fmt.Errorf("%w: %w", ErrNotOrdered, err)
	}
	return c.call(ctx, request{verb: verbRestart, order: restartNow}, nil, nil, &struct{}{})
}
