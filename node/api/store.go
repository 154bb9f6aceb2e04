package api

import (
	"context"
	"time"
)

// Storekeeper looks after the payloads on this machine.
type Storekeeper interface {
	// Store lists what is there and why.
	Store(ctx context.Context) (*Store, error)
	// StoreVerify hashes all of it again. Damaged chunks are put aside and fetched anew.
	StoreVerify(ctx context.Context) (*StoreVerified, error)
	// StorePin forbids, or allows again, that an update's payload is evicted. ClassNotFound.
	StorePin(ctx context.Context, r PinRequest) (*Pinned, error)
	// StoreDrop removes an update's payload now. ClassNotFound; ClassRefused if it is pinned or still needed
	// and Force is not set.
	StoreDrop(ctx context.Context, r DropRequest) (*Dropped, error)
}

// Store is the payloads of one machine.
type Store struct {
	AsOf         time.Time `json:"as_of"`
	UsedBytes    int64     `json:"used_bytes"` // payloads as large as they will be
	QuotaBytes   int64     `json:"quota_bytes"`
	FreeBytes    int64     `json:"free_bytes"` // of the file system
	ReserveBytes int64     `json:"reserve_bytes"`
	TotalBytes   int64     `json:"total_bytes"`
	OverBytes    int64     `json:"over_bytes"` // has to go
	Scrub        Scrub     `json:"scrub"`
	Payloads     []Stored  `json:"payloads"`
}

// Stored is one payload.
type Stored struct {
	Update      string `json:"update,omitempty"` // empty: no approval has named it since it came
	Payload     string `json:"payload"`
	SizeBytes   int64  `json:"size_bytes"`   // as installed
	StoredBytes int64  `json:"stored_bytes"` // as it travels, whole
	HeldBytes   int64  `json:"held_bytes"`   // here now
	Chunks      int    `json:"chunks"`
	HeldChunks  int    `json:"held_chunks"`
	Whole       bool   `json:"whole"` // complete and hashed as a whole
	Pinned      bool   `json:"pinned"`
	Keep        string `json:"keep"`       // why it stays, or goes first: pinned, needed-here, wanted-in-site, ...
	SiteCopies  int    `json:"copies"`     // whole copies in the site that this machine knows of, its own included
	Wanting     int    `json:"wanting"`    // machines of the site that are fetching it
	Absent      int    `json:"absent"`     // machines away that may lack it
	Text        string `json:"why"`        // Keep for people
	Evictable   bool   `json:"evictable"`  // goes when room is short
	SentBytes   int64  `json:"sent_bytes"` // given to others so far
	Bytes       Bytes  `json:"bytes"`      // where it came from
}

// Scrub is the background check of the store.
type Scrub struct {
	CheckedBytes  int64     `json:"checked_bytes"` // since the node started
	DamagedChunks int64     `json:"damaged_chunks"`
	HealedChunks  int64     `json:"healed_chunks"`
	PassBegunAt   time.Time `json:"pass_begun_at,omitzero"`
	PassEndedAt   time.Time `json:"pass_ended_at,omitzero"` // of the last whole pass
	NextPassAt    time.Time `json:"next_pass_at,omitzero"`
}

// StoreVerified is what StoreVerify found.
type StoreVerified struct {
	Payloads     int       `json:"payloads"`
	CheckedBytes int64     `json:"checked_bytes"`
	Chunks       int       `json:"chunks"`
	Damaged      []Damaged `json:"damaged"`
	Seconds      float64   `json:"seconds"`
}

// Damaged is a payload with chunks that no longer match. They were put aside and are fetched anew.
type Damaged struct {
	Update  string `json:"update,omitempty"`
	Payload string `json:"payload"`
	Chunks  []int  `json:"chunks"`
}

// PinRequest pins an update's payload, or unpins it.
type PinRequest struct {
	Update string `json:"update"`
	Unpin  bool   `json:"unpin,omitempty"`
}

// Pinned says what came of it.
type Pinned struct {
	Update    string `json:"update"`
	Pinned    bool   `json:"pinned"`
	Unchanged bool   `json:"unchanged,omitempty"`
	Here      bool   `json:"here"` // the payload is in the store already
}

// DropRequest removes an update's payload. Force: although this machine or the site still needs it.
type DropRequest struct {
	Update string `json:"update"`
	Force  bool   `json:"force,omitempty"`
}

// Dropped says what went.
type Dropped struct {
	Update     string `json:"update"`
	FreedBytes int64  `json:"freed_bytes"`
	Payloads   int    `json:"payloads"`
}
