package api

import (
	"context"
	"io"
	"time"

	"patchmesh/content"
)

// Carrier is what a node does about removable media, running or not. Like Truster it never takes a
// path: whoever calls has the medium open, and hands over bytes that the node verifies by itself.
type Carrier interface {
	Truster

	// Cargo tells what machines of a site or group shall have, and what this node has of it.
	// ClassNotFound if no machine is enrolled there, ClassRefused where only a seed knows.
	Cargo(ctx context.Context, q CargoQuery) (*Cargo, error)
	// GiveDocs gives documents by ID; those that are not here are left out.
	GiveDocs(ctx context.Context, q DocQuery) (*CargoDocs, error)
	// GiveChunks writes chunks as frames (content/bundle), in their order, and the end of them.
	GiveChunks(ctx context.Context, q ChunkQuery, w io.Writer) error

	// TakeDocs keeps descriptors that the manifest in force names, and payload maps that those name;
	// others are passed over.
	TakeDocs(ctx context.Context, d CargoDocs) (*TakenDocs, error)
	// TakeChunks reads frames up to their end, verifies every chunk and keeps those that approvals name.
	// What it has acknowledged is durable. ClassNoSpace.
	TakeChunks(ctx context.Context, r io.Reader) (*TakenChunks, error)

	// GiveReturn collects what goes back to the seed: the signed reports of the machines that can be
	// reached from here or were before, and what this machine has.
	GiveReturn(ctx context.Context) (*Return, error)
	// GiveAnswers gives the list of renewed memberships for a site, sealed and signed; nil if there is none. A
	// seed makes it anew, another machine gives the newest that it was brought.
	GiveAnswers(ctx context.Context, q CargoQuery) ([]byte, error)
	// TakeAnswers keeps such a list for this machine and its neighbours. ClassRefused if it is not the seed's,
	// or for another site.
	TakeAnswers(ctx context.Context, list []byte) (*TakenAnswers, error)

	// LastHave gives the have-list of a site: what its machines have together, as far as they sent it back. ClassNotFound. Only on a seed.
	LastHave(ctx context.Context, q CargoQuery) ([]byte, error)
	// TakeReturn takes reports and have-lists that hold. Only on a seed.
	TakeReturn(ctx context.Context, r Return) (*TakenReturn, error)
}

// CargoQuery narrows Cargo; both empty: all that is approved.
type CargoQuery struct {
	Site  string `json:"site,omitempty"`
	Group string `json:"group,omitempty"`
}

// Cargo is what is approved for somebody, with what this node has of it.
type Cargo struct {
	Org      string         `json:"org"`
	Site     string         `json:"site"` // of this node
	Machine  string         `json:"machine"`
	Seed     bool           `json:"seed"`
	Epoch    uint64         `json:"epoch"`
	Machines int            `json:"machines"`  // that it is for
	Docs     []content.ID   `json:"documents"` // descriptors and payload maps
	Lacking  int            `json:"lacking"`   // approved revisions of which the descriptor or the payload map is not here
	Payloads []CargoPayload `json:"payloads"`
}

// CargoPayload is one payload.
type CargoPayload struct {
	ID          content.ID `json:"id"`
	Update      string     `json:"update"`
	Chunks      int        `json:"chunks"`
	StoredBytes int64      `json:"stored_bytes"`
	Have        []byte     `json:"have"` // have-bits, see content.Bits
	// Waiting are machines that have not told that the update is installed; only a seed knows.
	Waiting int `json:"waiting,omitempty"`
}

// DocQuery names documents.
type DocQuery struct {
	IDs []content.ID `json:"ids"`
}

// CargoDocs are documents.
type CargoDocs struct {
	Docs [][]byte `json:"documents"`
}

// ChunkQuery names chunks of a payload that this node has.
type ChunkQuery struct {
	Payload content.ID `json:"payload"`
	Chunks  []byte     `json:"chunks"` // bits
}

// TakenDocs says what became of documents.
type TakenDocs struct {
	Kept   int `json:"kept"`
	Passed int `json:"passed"` // nobody approved what they are about
}

// TakenChunks says what became of chunks.
type TakenChunks struct {
	Fresh      int    `json:"fresh"`
	FreshBytes int64  `json:"fresh_bytes"`
	Known      int    `json:"known"`   // were here already
	Damaged    int    `json:"damaged"` // did not match their hash
	Passed     int    `json:"passed"`  // of payloads that no approval names
	Detail     string `json:"detail,omitempty"`
}

// Return is what one machine sends back to the seed.
type Return struct {
	Machine string     `json:"machine"`
	MadeAt  time.Time  `json:"made_at"`
	Reports [][]byte   `json:"reports"` // signed by the machines that they are about
	Have    []byte     `json:"have"`    // signed by Machine
	Missing []NoReport `json:"missing,omitempty"`

	Renewals    [][]byte `json:"renewals,omitempty"`    // sealed requests for memberships that end
	Inventories [][]byte `json:"inventories,omitempty"` // signed by the machines that they are about, sealed to the seed
	Receipts    [][]byte `json:"receipts,omitempty"`    // packs of receipts, each signed by those that it is about
}

// NoReport is a machine that is known here and of which there is no report.
type NoReport struct {
	Machine string `json:"machine"`
	Detail  string `json:"detail"`
}

// TakenReturn says what the seed took.
type TakenReturn struct {
	Site     string    `json:"site,omitempty"`
	Machine  string    `json:"machine"`
	AsOf     time.Time `json:"as_of,omitzero"` // of the newest report
	Newer    int       `json:"newer"`          // reports that tell something new
	Older    int       `json:"older"`
	Refused  int       `json:"refused"`
	Payloads int       `json:"payloads"`           // in the have-list
	Renewals int       `json:"renewals,omitempty"` // requests that the next medium for the site will answer
	Receipts int       `json:"receipts,omitempty"` // that were not known here
	Detail   string    `json:"detail,omitempty"`
}

// TakenAnswers says what became of a list of renewals.
type TakenAnswers struct {
	Answers int    `json:"answers"` // in the list
	Newer   bool   `json:"newer"`   // than the list that was here
	Renewed bool   `json:"renewed"` // this machine has its next membership
	Detail  string `json:"detail,omitempty"`
}
