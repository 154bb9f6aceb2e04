package api

import (
	"context"
	"time"

	"patchmesh/policy"
)

// HoldKeeper tells what is held, and opens holds for some machines.
type HoldKeeper interface {
	// Holds tells the holds in force, by whom, and the exceptions from them. ClassNotFound.
	Holds(ctx context.Context, q HoldQuery) (*Holds, error)
	// ExceptHold opens a safeguard, a seed's brake or the halt of a ring plan for a machine or a group until a time, or takes that back. It is
	// signed like an approval. On a seed only. ClassNotFound, ClassRefused for what may not be opened.
	ExceptHold(ctx context.Context, r ExceptionRequest) (*Published, error)
}

// Query is a condition on the inventory, as groups and safeguards have it.
type Query = policy.Condition

// HoldQuery narrows Holds; empty fields do not.
type HoldQuery struct {
	Update string `json:"update,omitempty"`
}

// Holds is the answer of Holds.
type Holds struct {
	AsOf  time.Time `json:"as_of"`
	Epoch uint64    `json:"epoch"`
	Holds []HoldRow `json:"holds"`

	Drafts []WaitingDraft `json:"drafts,omitempty"` // on a seed: a hold or a release that lacks signatures may be in one
}

// HoldRow is one hold in force.
type HoldRow struct {
	ID         string         `json:"id"`
	Update     string         `json:"update"`             // or all
	Revision   int            `json:"revision,omitempty"` // that a brake is about; 0: every one
	Group      string         `json:"group,omitempty"`    // empty: every machine
	Kind       string         `json:"kind"`               // pause, safeguard, freeze, brake
	By         string         `json:"by"`                 // whose word it is: approvers, role NAME, seed
	Match      string         `json:"match,omitempty"`    // of a safeguard: the machines it is for
	Reason     string         `json:"reason"`
	At         time.Time      `json:"at"`
	ExpiresAt  time.Time      `json:"expires_at,omitzero"`
	Exceptions []ExceptionRow `json:"exceptions"`
}

// ExceptionRow is one exception from a hold.
type ExceptionRow struct {
	ID          string    `json:"id"`
	Machine     string    `json:"machine,omitempty"`
	MachineName string    `json:"machine_name,omitempty"` // empty: not known here
	Group       string    `json:"group,omitempty"`
	By          string    `json:"by"` // approvers, or role NAME
	Reason      string    `json:"reason"`
	Until       time.Time `json:"until"`
	Over        bool      `json:"over,omitempty"` // it has ended: the hold counts again
}

// ExceptionRequest opens Hold for a machine (name or id) or for the machines of a group; with Drop, the id of an
// exception, that is taken back and nothing else counts.
type ExceptionRequest struct {
	Hold       string    `json:"hold,omitempty"`
	Machine    string    `json:"machine,omitempty"`
	Group      string    `json:"group,omitempty"`
	Until      time.Time `json:"until,omitzero"`
	Reason     string    `json:"reason,omitempty"`
	Role       string    `json:"role,omitempty"` // delegated role that decides it, for one of its own holds; empty: the main approvers
	Drop       string    `json:"drop,omitempty"`
	Passphrase Secret    `json:"passphrase,omitempty"`
}

// Excepted is an exception that lets an update go on where a hold would stop it.
type Excepted struct {
	Hold      string    `json:"hold"`
	Exception string    `json:"exception"`
	Until     time.Time `json:"until"`
}

// Attention is something that waits for a person, though machines do not.
type Attention struct {
	Update   string    `json:"update"`
	Revision int       `json:"revision"`
	Hold     string    `json:"hold,omitempty"` // the brake, while it holds
	Until    time.Time `json:"until,omitzero"` // its end
	Reason   string    `json:"reason"`         // from the closed list
	Text     string    `json:"text"`
	Owner    string    `json:"owner"`
	NextStep string    `json:"next_step"`
}

// EventHalt is the kind of events about halts that wait for approvers.
const EventHalt = "halt"
