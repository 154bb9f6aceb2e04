package api

import (
	"context"
	"time"
)

// Doctor looks at a machine for what keeps it from being patched.
type Doctor interface {
	// Doctor checks the scopes of q, and with Fix mends what it can. ClassUsage for an unknown scope.
	Doctor(ctx context.Context, q DoctorQuery) (*Diagnosis, error)
}

// The scopes.
const (
	ScopeP2P     = "p2p"     // neighbours, and whether they are trusted
	ScopeWAN     = "wan"     // the way to the seed and to web hosts
	ScopeDisk    = "disk"    // room on the disk, and memory
	ScopeTime    = "time"    // the clock, and how old the approvals are
	ScopeStore   = "store"   // payloads and what came of them
	ScopeService = "service" // the processes of patchmesh
	ScopeUpdates = "updates" // what stands in the way of each update
)

// Scopes are all of them, in the order in which they are checked.
var Scopes = []string{ScopeService, ScopeTime, ScopeDisk, ScopeStore, ScopeP2P, ScopeWAN, ScopeUpdates}

// DoctorQuery asks for a look; no scopes are all of them.
type DoctorQuery struct {
	Scopes []string `json:"scopes,omitempty"`
	Fix    bool     `json:"fix,omitempty"`
}

// Diagnosis is what was found. Healthy: nothing is left that needs anybody.
type Diagnosis struct {
	Machine  string    `json:"machine"`
	AsOf     time.Time `json:"as_of"`
	Running  bool      `json:"running"` // the node runs; else only its data folder was looked at
	Healthy  bool      `json:"healthy"`
	Findings []Finding `json:"findings"`
}

// Finding is the result of one check.
type Finding struct {
	Scope    string           `json:"scope"`
	Check    string           `json:"check"`            // what was looked at
	OK       bool             `json:"ok"`               // nothing is wrong there
	Reason   string           `json:"reason,omitempty"` // from the closed list
	Detail   string           `json:"detail,omitempty"`
	Facts    map[string]int64 `json:"facts,omitempty"`
	Owner    string           `json:"owner,omitempty"`
	NextStep string           `json:"next_step,omitempty"`
	CanFix   bool             `json:"can_fix,omitempty"` // 'doctor --fix' does something about it
	Heals    bool             `json:"heals,omitempty"`   // a running node mends it by itself, given time
	Did      string           `json:"did,omitempty"`     // what --fix changed
}
