package api

import (
	"context"
	"time"
)

// SyncLogger tells when and how the approvals came to this machine. Every node has it.
type SyncLogger interface {
	// Syncs reads this machine's sync log.
	Syncs(ctx context.Context, q SyncQuery) (*SyncLog, error)
}

// How approvals come to a machine.
const (
	SyncNews       = "news"       // heard of by gossip or from a session, and fetched from a peer
	SyncMedium     = "medium"     // read from a stick by 'bundle import' or by itself
	SyncMirror     = "mirror"     // fetched from a web host by 'trust refresh'
	SyncMembership = "membership" // they came with a renewed membership
	SyncPublished  = "published"  // this seed has published them
)

// SyncQuery chooses runs; zero fields choose all.
type SyncQuery struct {
	Since time.Time `json:"since,omitzero"`
	Limit int       `json:"limit,omitempty"` // newest so many; 0: MaxEvents
}

// SyncLog is what a query has found, oldest first, and how things stand.
type SyncLog struct {
	AsOf      time.Time `json:"as_of"`
	Machine   string    `json:"machine"`
	Epoch     uint64    `json:"epoch"`
	Head      int64     `json:"head"`
	ExpiresAt time.Time `json:"expires_at"` // the next run must have come by then
	Runs      []SyncRun `json:"runs"`
	More      bool      `json:"more,omitempty"` // older ones match too
}

// SyncRun is one time that the approvals were brought up to date, or could not be.
type SyncRun struct {
	At       time.Time `json:"at"`
	TookMS   int64     `json:"took_ms"`
	How      string    `json:"how"`
	From     string    `json:"from,omitempty"` // the name of the peer, where one is known
	Result   string    `json:"result"`         // done or failed
	HeadWas  int64     `json:"head_was"`
	Head     int64     `json:"head"`
	EpochWas uint64    `json:"epoch_was"`
	Epoch    uint64    `json:"epoch"`
	Added    int       `json:"added"` // decisions: approvals, holds, groups, windows and the rest
	Changed  int       `json:"changed"`
	Removed  int       `json:"removed"`
	Reason   string    `json:"reason,omitempty"`
	Detail   string    `json:"detail,omitempty"`
	Times    int       `json:"times"` // of the same failure in a row
}
