package api

import (
	"context"
	"time"

	"patchmesh/policy"
)

// Proposer keeps the approval rules and lays what they ask for before the approvers. Only seeds have it. Nothing
// here approves: what rules ask for becomes a draft that people sign.
type Proposer interface {
	// ApprovalRules tells the rules and what they and the switches fit now. With Try it tells what that rule would.
	ApprovalRules(ctx context.Context, q RulesQuery) (*Rules, error)
	// SetApprovalRule makes, changes or drops a rule. It is signed as an approval is. ClassNotFound, ClassUsage.
	SetApprovalRule(ctx context.Context, r RuleRequest) (*Published, error)
	// Propose prepares the draft of what rules and switches ask for now. A running seed does so by itself.
	// ClassRefused while another draft waits.
	Propose(ctx context.Context, r ProposeRequest) (*Published, error)
}

// ApprovalRule is a predicate on updates and what is proposed for those that fit.
type ApprovalRule = policy.ApprovalRule

// ParseAction reads what a rule asks for.
func ParseAction(s string) (policy.Action, error) { return policy.ParseAction(s) }

// RulesQuery asks for the rules, or for what a rule would do that is not there.
type RulesQuery struct {
	Try *ApprovalRule `json:"try,omitempty"`
}

// Rules is the answer of ApprovalRules.
type Rules struct {
	Rules   []ApprovalRule `json:"rules"`
	Matches []RuleMatch    `json:"matches"`
	Waiting bool           `json:"waiting"` // a draft of what they ask for waits for signatures
}

// RuleMatch is one update that a rule or switch fits.
type RuleMatch struct {
	Rule     string    `json:"rule"` // or the name of the switch
	Update   string    `json:"update"`
	Revision int       `json:"revision"`
	Title    string    `json:"title,omitempty"`
	Group    string    `json:"group"`
	Action   string    `json:"action"`
	RingPlan string    `json:"ring_plan,omitempty"`
	Deadline time.Time `json:"deadline,omitzero"` // zero: by severity
	DueAt    time.Time `json:"due_at,omitzero"`
	Proposed bool      `json:"proposed"`
	Why      string    `json:"why,omitempty"` // it is not proposed
}

// RuleRequest makes a rule, in place of the one with the same name, or drops it. Its time is set by the seed.
type RuleRequest struct {
	Rule       ApprovalRule `json:"rule"`
	Drop       bool         `json:"drop,omitempty"`   // only the name counts
	Reason     string       `json:"reason,omitempty"` // for the approval log
	Passphrase Secret       `json:"passphrase,omitempty"`
}

// ProposeRequest has nothing to say so far.
type ProposeRequest struct{}
