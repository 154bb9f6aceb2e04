package api

import (
	"context"
	"time"

	"patchmesh/policy"
)

// Orchestrator lets only so many machines of a group be changed at once.
type Orchestrator interface {
	// Orchestrations tells the orchestrations in force, and how this machine stands in the one that binds it. ClassNotFound.
	Orchestrations(ctx context.Context, q OrchestrationQuery) (*Orchestrations, error)
	// SetOrchestration makes, changes, refreshes, resets or drops one. On a seed only. ClassNotFound, ClassRefused.
	SetOrchestration(ctx context.Context, r OrchestrationRequest) (*Published, error)
}

// OrchestrationQuery narrows Orchestrations; an empty Name does not.
type OrchestrationQuery struct {
	Name string `json:"name,omitempty"`
}

// OrchestrationRequest makes an orchestration in place of the one with the same name. Its members are the enrolled
// machines of the group in the site.
type OrchestrationRequest struct {
	Name          string   `json:"name"`
	Group         string   `json:"group,omitempty"`
	Site          string   `json:"site,omitempty"` // empty: the only one in which the group has machines
	Count         int      `json:"count,omitempty"`
	Percent       int      `json:"percent,omitempty"`
	Order         []string `json:"order,omitempty"` // names or ids of all members, in order; empty: in no order
	MemberMinutes int      `json:"member_minutes,omitempty"`
	GroupMinutes  int      `json:"group_minutes,omitempty"`
	GoOn          bool     `json:"go_on,omitempty"`
	Bypass        bool     `json:"bypass,omitempty"`
	Liars         int      `json:"liars,omitempty"`

	// One of these: only the name counts besides.
	Refresh bool `json:"refresh,omitempty"` // take the machines that the group has now as its members
	Reset   bool `json:"reset,omitempty"`   // let it go on after a failure
	Drop    bool `json:"drop,omitempty"`

	Reason     string `json:"reason,omitempty"` // for the approval log
	Passphrase Secret `json:"passphrase,omitempty"`
}

// Orchestrations is the answer of Orchestrations.
type Orchestrations struct {
	Epoch          uint64              `json:"epoch"`
	Orchestrations []OrchestrationInfo `json:"orchestrations"`
}

// OrchestrationInfo is one orchestration.
type OrchestrationInfo struct {
	policy.Orchestration
	Slots int `json:"slots"`
	// NotMembers are machines of the group in the site that are not on its list, Unsettled members of earlier lists
	// that have not reported to know the newer one. Both on a seed only.
	NotMembers []string `json:"not_members,omitempty"`
	Unsettled  []string `json:"unsettled,omitempty"`
	// Stopped is what members that wait say of it where it has stopped; on a seed from their reports.
	Stopped string             `json:"stopped,omitempty"`
	Here    *OrchestrationHere `json:"here,omitempty"` // nil: it does not bind this machine
}

// OrchestrationHere is how an orchestration stands as one of its members sees it.
type OrchestrationHere struct {
	Machine     string    `json:"machine"`
	Phase       string    `json:"phase"`            // idle, pending, waiting, asking, holding, failed
	Place       int       `json:"place,omitempty"`  // in line, from 1
	Ahead       []string  `json:"ahead"`            // members that go first
	Holders     []string  `json:"holders"`          // members that hold slots
	Passed      []string  `json:"passed,omitempty"` // that came first and were waited for long enough
	Silent      []string  `json:"silent,omitempty"` // that were not heard lately
	Locked      bool      `json:"locked,omitempty"`
	LockedBy    string    `json:"locked_by,omitempty"`
	Votes       int       `json:"votes"`
	Quorum      int       `json:"quorum"`
	LeftSeconds float64   `json:"left_seconds,omitempty"`       // of its slot
	GroupLeft   float64   `json:"group_left_seconds,omitempty"` // of what all may take together
	Why         string    `json:"why,omitempty"`                // it waits
	AsOf        time.Time `json:"as_of"`
}
