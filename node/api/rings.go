package api

import (
	"time"

	"patchmesh/policy"
)

// Ring is one stage of a plan.
type Ring = policy.Ring

// Check is one item of the test evidence that a ring may ask for.
type Check = policy.Check

// RingsRequest makes a ring plan, in place of the one with the same name, or drops it.
type RingsRequest struct {
	Plan       policy.RingPlan `json:"plan"`
	Drop       bool            `json:"drop,omitempty"`   // only the name counts
	Reason     string          `json:"reason,omitempty"` // for the approval log
	Passphrase Secret          `json:"passphrase,omitempty"`
}

// PromoteRequest opens the next ring of an update's plan. Force does so although machines failed.
type PromoteRequest struct {
	Update     string `json:"update"`
	Force      bool   `json:"force,omitempty"`
	Reason     string `json:"reason,omitempty"`
	Passphrase Secret `json:"passphrase,omitempty"`
}

// RingsQuery narrows Rings; an empty Update does not.
type RingsQuery struct {
	Update string `json:"update,omitempty"`
}

// Rings is the answer of Rings.
type Rings struct {
	Plans    []policy.RingPlan `json:"plans"`
	Rollouts []Rollout         `json:"rollouts"`
	Drafts   []WaitingDraft    `json:"drafts,omitempty"` // what waits for signatures: a promotion or a halt may be in it
}

// Rollout is how far an update has got along its plan.
type Rollout struct {
	Update   string    `json:"update"`
	Revision int       `json:"revision"`
	Group    string    `json:"group,omitempty"` // that the approval is for
	Plan     string    `json:"plan"`
	Next     string    `json:"next"` // wait, promote, halt, done
	Why      string    `json:"why"`
	Held     bool      `json:"held"`
	Rings    []RingRow `json:"rings"`
}

// RingRow counts the machines of one ring.
type RingRow struct {
	Ring      string    `json:"ring"`
	OpenedAt  time.Time `json:"opened_at,omitzero"` // zero: not open yet
	Machines  int       `json:"machines"`
	Needed    int       `json:"needed"`
	Installed int       `json:"installed"`
	Failed    int       `json:"failed"`
}
