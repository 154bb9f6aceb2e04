package api

import (
	"context"
	"time"
)

// Truster is what a node answers about its trusted documents, running or not. It gives signed bytes
// away and takes them; it never takes a path or a URL: whoever calls does the reading and fetching.
type Truster interface {
	// TrustDocs gives the documents in force.
	TrustDocs(ctx context.Context) (*TrustDocs, error)
	// AdoptTrust verifies newer documents from the trust in force on, as if they had come from the
	// mesh, and takes them up. ClassRefused, and nothing changes, if any of it does not hold.
	AdoptTrust(ctx context.Context, d TrustDocs) (*TrustAdopted, error)
}

// TrustDocs are the exact signed bytes of all that a node trusts.
type TrustDocs struct {
	Roots      []TrustRoot `json:"roots"` // older ones first, the one in force last; not always from the first on
	Timestamp  []byte      `json:"timestamp"`
	Snapshot   []byte      `json:"snapshot"`
	Targets    []byte      `json:"targets"`
	RosterRole []byte      `json:"roster_role"`
	Roster     []byte      `json:"roster"`
	Manifest   []byte      `json:"manifest"`
	Delegated  []byte      `json:"delegated,omitempty"`   // packed documents of delegated roles
	FromMedium bool        `json:"from_medium,omitempty"` // else from a web host; for the sync log
}

// TrustRoot is one root of the chain.
type TrustRoot struct {
	Version int64  `json:"version"`
	Body    []byte `json:"body"`
}

// TrustAdopted says what is trusted after AdoptTrust.
type TrustAdopted struct {
	Root      int64     `json:"root"`
	Head      int64     `json:"head"`
	Epoch     uint64    `json:"epoch"`
	ExpiresAt time.Time `json:"expires_at"` // of the head
	Unchanged bool      `json:"unchanged,omitempty"`
}
