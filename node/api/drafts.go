package api

import (
	"time"

	"patchmesh/policy"
)

// WaitingDraft is a draft on a seed that lacks signatures: nothing in it reaches a machine before it has them.
type WaitingDraft struct {
	Role       string    `json:"role,omitempty"` // the delegated role whose draft it is; empty: the main approvers
	Reason     string    `json:"reason"`         // what it is for, in the words of whoever made it, or of the ring plan
	Changes    int       `json:"changes"`
	Since      time.Time `json:"since"` // when it was changed last
	Signatures int       `json:"signatures"`
	Threshold  int       `json:"threshold"`
	Missing    []string  `json:"missing"` // key ids, any of which is asked for
	NextStep   string    `json:"next_step"`

	Said []policy.Change `json:"-"` // the changes themselves, for the node that holds the draft
}
