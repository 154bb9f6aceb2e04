package api

import (
	"context"
	"time"
)

// Auditor tells what receipts prove: a seed for the whole fleet, another machine as far as receipts have come to it.
type Auditor interface {
	// Ledger compares what machines signed to have given with what others signed to have got. ClassNotFound if
	// no machine of that site is known.
	Ledger(ctx context.Context, q LedgerQuery) (*Ledger, error)
}

// LedgerQuery narrows Ledger; the zero value is everything.
type LedgerQuery struct {
	Site string `json:"site,omitempty"`
}

// Ledger is the sums over all receipts that are at hand. In a row GivenBytes and GotBytes are equal if the two
// sides agree; every transfer where they do not is in Mismatches.
type Ledger struct {
	AsOf     time.Time   `json:"as_of,omitzero"` // of the newest document; zero: there is none
	Since    time.Time   `json:"since,omitzero"` // of the oldest
	Site     string      `json:"site,omitempty"`
	Receipts int         `json:"receipts"`
	Balanced bool        `json:"balanced"`
	Rows     []LedgerRow `json:"rows"` // by site and payload
	Total    LedgerRow   `json:"total"`

	Mismatches []LedgerMismatch `json:"mismatches"` // at most MaxMismatches
	// More are mismatches beyond those that are listed.
	More int `json:"more_mismatches,omitempty"`
}

// MaxMismatches bounds the list of a ledger, MaxNamedChunks the chunks that one of it names.
const (
	MaxMismatches  = 1000
	MaxNamedChunks = 64
)

// LedgerRow is what came to the machines of one site of one payload, in bytes as stored.
type LedgerRow struct {
	Site    string `json:"site,omitempty"`
	Payload string `json:"payload,omitempty"`
	Update  string `json:"update,omitempty"`

	GivenBytes  int64 `json:"given_bytes"`  // by the signatures of those who gave
	GotBytes    int64 `json:"got_bytes"`    // by the signatures of those who got
	GivenChunks int64 `json:"given_chunks"` // every time that one moved
	GotChunks   int64 `json:"got_chunks"`

	// ProvenBytes are signed for by both, SavedBytes those of them that came from within the site and were new
	// there: what the mesh kept off the WAN, provably. WANBytes crossed it, from a seed.
	ProvenBytes int64 `json:"proven_bytes"`
	SavedBytes  int64 `json:"saved_bytes"`
	WANBytes    int64 `json:"wan_bytes"`
	// UnsignedBytes came from media and mirrors, which cannot sign; by tier.
	UnsignedBytes int64 `json:"unsigned_bytes"`
	MediaBytes    int64 `json:"media_bytes"`
	OriginBytes   int64 `json:"origin_bytes"`
	// UnsettledBytes moved so lately that the other side may not have signed yet.
	UnsettledBytes int64 `json:"unsettled_bytes"`

	Balanced bool `json:"balanced"`
}

// LedgerMismatch is one transfer on which two machines do not agree.
type LedgerMismatch struct {
	Site         string    `json:"site"` // of the receiver
	Payload      string    `json:"payload"`
	Update       string    `json:"update,omitempty"`
	Sender       string    `json:"sender"`
	SenderName   string    `json:"sender_name,omitempty"`
	Receiver     string    `json:"receiver"`
	ReceiverName string    `json:"receiver_name,omitempty"`
	Seq          uint64    `json:"seq,omitempty"` // of the receipt; 0: there is none
	At           time.Time `json:"at"`
	GivenBytes   int64     `json:"given_bytes"` // by the sender
	GotBytes     int64     `json:"got_bytes"`   // by the receiver
	Chunks       []int     `json:"chunks"`      // on which they differ: the first of them
	ChunkCount   int       `json:"chunk_count"`
	Reason       string    `json:"reason"`
	Text         string    `json:"text"`
	NextStep     string    `json:"next_step"`
}

// The reasons of a mismatch.
const (
	MismatchDenied      = "receipt-denied"     // the sender says that it did not give these
	MismatchRestarted   = "sender-restarted"   // the sender does not know, and was started anew meanwhile
	MismatchUnanswered  = "receipt-unanswered" // the sender has not signed
	MismatchNoReceipt   = "receipt-missing"    // the receiver has not signed
	MismatchTier        = "receipt-tier"       // the way that the receiver names cannot be
	MismatchForgotten   = "machine-unknown"    // one of the two is not enrolled
	LedgerSettleMinutes = 60                   // from when on a missing signature is a mismatch
)
