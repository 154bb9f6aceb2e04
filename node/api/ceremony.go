package api

import (
	"context"
	"encoding/json"
	"time"

	"patchmesh/policy"
)

// Ceremony is what people may ask about keys, roles and signatures. TrustState answers everywhere, the
// rest on a seed only.
type Ceremony interface {
	// TrustState tells which keys count for what, how old everything is and when it expires.
	TrustState(ctx context.Context) (*TrustState, error)
	// Draft shows what the pending draft of a role (empty: the main approvers) changes. ClassNotFound.
	Draft(ctx context.Context, q DraftQuery) (*DraftView, error)
	// ExportDrafts packs every pending draft for approvers without a network.
	ExportDrafts(ctx context.Context) (*DraftFiles, error)
	// ImportDraft takes the signatures of a draft that comes back, and publishes it if they are enough.
	ImportDraft(ctx context.Context, f DraftFile) (*Published, error)
	// Grant gives a role to keys within limits, or takes it away.
	Grant(ctx context.Context, r GrantRequest) (*Published, error)
	// RootDraft makes the next root, to be signed elsewhere.
	RootDraft(ctx context.Context, r RootRequest) (*RootView, error)
	// AdoptRoot publishes a root that has been signed by enough old and new root keys.
	AdoptRoot(ctx context.Context, f RootFile) (*RootView, error)
	// ApprovalLog reads and verifies the approval log.
	ApprovalLog(ctx context.Context, q LogQuery) (*ApprovalLog, error)
}

// TrustState is the trusted metadata, for people.
type TrustState struct {
	Org         string      `json:"org"`
	Fingerprint string      `json:"root_fingerprint,omitempty"` // content id of root version 1, where it is kept
	Epoch       uint64      `json:"epoch"`
	Head        int64       `json:"head"`
	AsOf        time.Time   `json:"as_of"`
	Stale       bool        `json:"stale,omitempty"`
	Roles       []TrustRole `json:"roles"`
	Warnings    []string    `json:"warnings"`
	LogEntries  uint64      `json:"log_entries,omitempty"` // checkpoint that the roster carries
	LogHead     string      `json:"log_head,omitempty"`
}

// TrustRole is one role: root, approvals, roster, snapshot, timestamp, or a delegated approver.
type TrustRole struct {
	Name      string    `json:"name"`
	Delegated bool      `json:"delegated,omitempty"`
	Threshold int       `json:"threshold"`
	Keys      []string  `json:"key_ids"`
	Version   int64     `json:"version,omitempty"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	IssuedAt  time.Time `json:"issued_at,omitzero"` // of what it decided last, where that is known
	Groups    []string  `json:"groups,omitempty"`
	Actions   []string  `json:"actions,omitempty"`
	Refused   string    `json:"refused,omitempty"` // why its document does not count
	Here      []string  `json:"keys_here,omitempty"`
}

// DraftQuery names a pending draft.
type DraftQuery struct {
	Role string `json:"role,omitempty"`
}

// DraftView is exactly what a signature under a draft says.
type DraftView struct {
	Org        string        `json:"org"`
	Role       string        `json:"role,omitempty"`
	Epoch      uint64        `json:"epoch"` // of the main manifest; the serial of a role's
	Manifest   string        `json:"manifest"`
	Digest     string        `json:"digest"` // of all that a signature covers
	Reason     string        `json:"reason,omitempty"`
	ExpiresAt  time.Time     `json:"expires_at"` // of the signatures, once made
	Signatures int           `json:"signatures"`
	Threshold  int           `json:"threshold"`
	Missing    []string      `json:"missing"`
	Changes    []DraftChange `json:"changes"`
	NextRoot   *RootView     `json:"next_root,omitempty"` // a root that comes into force with the draft
}

// DraftChange is one difference against what is trusted.
type DraftChange struct {
	Op     string          `json:"op"`   // add, remove, change
	Text   string          `json:"text"` // for people
	Title  string          `json:"title,omitempty"`
	Detail json.RawMessage `json:"detail"` // the signed facts, before and after

	// Of an approval: the description whose hash is signed, all of it for people, and what is wrong with it.
	Descriptor *policy.Descriptor `json:"descriptor,omitempty"`
	Properties []policy.Property  `json:"properties,omitempty"`
	Warning    string             `json:"warning,omitempty"`
}

// DraftFile is a pending draft on its way.
type DraftFile struct {
	Name       string `json:"name"`
	Body       []byte `json:"body"`
	Passphrase Secret `json:"passphrase,omitempty"`
}

// DraftFiles are all pending drafts.
type DraftFiles struct {
	Files []DraftFile `json:"files"`
}

// GrantRequest gives a role to keys. Drop takes it away.
type GrantRequest struct {
	Role       string   `json:"role"`
	Groups     []string `json:"groups,omitempty"`
	Actions    []string `json:"actions,omitempty"`
	Keys       []string `json:"keys,omitempty"` // PEM public keys
	Threshold  int      `json:"threshold,omitempty"`
	Drop       bool     `json:"drop,omitempty"`
	Reason     string   `json:"reason,omitempty"`
	Passphrase Secret   `json:"passphrase,omitempty"`
}

// RootRequest says what the next root changes; keys are PEM public keys, or key ids to drop.
type RootRequest struct {
	AddApprovers  []string `json:"add_approvers,omitempty"`
	DropApprovers []string `json:"drop_approvers,omitempty"`
	Threshold     int      `json:"threshold,omitempty"`
	AddRoots      []string `json:"add_roots,omitempty"`
	DropRoots     []string `json:"drop_roots,omitempty"`
	RootThreshold int      `json:"root_threshold,omitempty"`
	Timestamp     string   `json:"timestamp,omitempty"`
	Snapshot      string   `json:"snapshot,omitempty"`
	Roster        string   `json:"roster,omitempty"`
}

// RootFile is a root on its way.
type RootFile struct {
	Body       []byte `json:"body"`
	Reason     string `json:"reason,omitempty"`
	Passphrase Secret `json:"passphrase,omitempty"`
}

// RootView tells how far a root has come.
type RootView struct {
	Body      []byte    `json:"body,omitempty"`
	Org       string    `json:"org"`
	Version   int64     `json:"version"`
	ExpiresAt time.Time `json:"expires_at"`
	Root      []string  `json:"root_keys"`
	RootNeed  int       `json:"root_threshold"`
	Approvers []string  `json:"approver_keys"`
	Threshold int       `json:"threshold"`
	Roster    string    `json:"roster_key,omitempty"` // empty: it stays as it was
	OldMade   int       `json:"old_signatures"`
	OldNeed   int       `json:"old_threshold"`
	NewMade   int       `json:"new_signatures"`
	Missing   []string  `json:"missing"`
	Complete  bool      `json:"complete"`
	Published bool      `json:"published"`
	Waits     string    `json:"waits_for,omitempty"` // what is still needed, for people
}

// LogQuery narrows the approval log.
type LogQuery struct {
	At time.Time `json:"at,omitzero"` // what was approved then
}

// ApprovalLog is the log with the verdict about it.
type ApprovalLog struct {
	Verified   bool       `json:"verified"`
	Trouble    string     `json:"trouble,omitempty"`
	Entries    []LogEntry `json:"entries"`
	Checkpoint string     `json:"checkpoint,omitempty"` // what the roster says: "entries head"
	Witnessed  int        `json:"witnessed"`            // checkpoints that this machine has seen and the log passes through
	At         time.Time  `json:"at,omitzero"`
	InForce    []string   `json:"in_force,omitempty"` // at that time, one line each
}

// LogEntry is one publication.
type LogEntry struct {
	Index     uint64    `json:"index"`
	ID        string    `json:"id"`
	At        time.Time `json:"at"`
	Role      string    `json:"role,omitempty"`
	Before    uint64    `json:"before"`
	After     uint64    `json:"after"`
	Signers   []string  `json:"signers"`
	Threshold int       `json:"threshold"`
	Reason    string    `json:"reason"`
	Changes   []string  `json:"changes"`
	Manifest  string    `json:"manifest"`
}
