package api

import (
	"context"
	"time"

	"patchmesh/policy"
)

// Measurer measures machines by the baselines of their groups.
type Measurer interface {
	// Baselines tells the baselines, and which machines that are known here lack what of them. ClassNotFound.
	Baselines(ctx context.Context, q BaselineQuery) (*Baselines, error)
	// SetBaseline makes, changes or drops the baseline of a group. On a seed only. It approves nothing.
	SetBaseline(ctx context.Context, r BaselineRequest) (*Published, error)
}

// BaselineQuery narrows Baselines to those of one group, and to its machines.
type BaselineQuery struct {
	Group string `json:"group,omitempty"`
}

// Baselines is the answer of Baselines.
type Baselines struct {
	Epoch     uint64            `json:"epoch"`
	Baselines []BaselineInfo    `json:"baselines"`
	Machines  []BaselineMachine `json:"machines"` // of which something is asked
}

// BaselineInfo is one baseline.
type BaselineInfo struct {
	policy.Baseline
	// Unapproved are updates of it that nothing approved now brings to all machines of the group.
	Unapproved []string `json:"unapproved"`
}

// BaselineMachine is how one machine stands.
type BaselineMachine struct {
	Machine    string    `json:"machine"`
	ID         string    `json:"id"`
	Asked      int       `json:"asked"` // updates
	Missing    []string  `json:"missing"`
	LastReport time.Time `json:"last_report,omitzero"`
}

// BaselineRequest makes the baseline of a group, in place of the one before.
type BaselineRequest struct {
	Group   string   `json:"group"`
	Updates []string `json:"updates,omitempty"`
	// FromApprovals: what is approved for installation on all machines of the group now; Updates does not count.
	FromApprovals bool   `json:"from_approvals,omitempty"`
	Drop          bool   `json:"drop,omitempty"`
	Reason        string `json:"reason,omitempty"` // for the approval log
	Passphrase    Secret `json:"passphrase,omitempty"`
}
