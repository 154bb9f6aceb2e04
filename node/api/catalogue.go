package api

import (
	"context"
	"time"

	"patchmesh/policy"
)

// Cataloguer tells what is known of updates: on a seed of all of its catalogue, on a machine of what its approvals
// name and has come here. Every node has it.
type Cataloguer interface {
	// Catalogue lists updates by id; with an update, that one in full. ClassNotFound.
	Catalogue(ctx context.Context, q CatalogueQuery) (*Catalogue, error)
}

// CatalogueQuery chooses one update; empty: all.
type CatalogueQuery struct {
	Update   string `json:"update,omitempty"`
	Revision int    `json:"revision,omitempty"` // of Update; 0: the newest that is known
}

// Catalogue is the answer of Catalogue.
type Catalogue struct {
	Epoch   uint64           `json:"epoch"` // of the approvals that were read
	Updates []CatalogueEntry `json:"updates"`
}

// Property is one thing that a descriptor says, for people.
type Property = policy.Property

// How an update stands among those that replace each other.
const (
	ChainAlone      = "alone"      // replaces none, and none replaces it
	ChainNewest     = "newest"     // replaces others
	ChainBetween    = "between"    // replaces others, and is replaced itself
	ChainSuperseded = "superseded" // is replaced, and replaces none
)

// CatalogueEntry is one update.
type CatalogueEntry struct {
	Update         string    `json:"update"`
	Revision       int       `json:"revision"`
	Revisions      []int     `json:"revisions"` // that are known here
	Title          string    `json:"title"`
	Severity       string    `json:"severity"`
	Classification string    `json:"classification"`
	CVEs           []string  `json:"cves,omitempty"`
	References     []string  `json:"references,omitempty"`
	Restart        string    `json:"restart"`
	SizeBytes      int64     `json:"size_bytes"`
	At             time.Time `json:"at,omitzero"` // when it came into the catalogue; on a seed alone
	Withdrawn      bool      `json:"withdrawn,omitempty"`

	Chain        string             `json:"chain"`
	SupersededBy []string           `json:"superseded_by,omitempty"`
	Approvals    []CatalogueApprove `json:"approvals"`

	// Of one update that was asked for: its descriptor, its content id, and all of it for people.
	Descriptor   *policy.Descriptor `json:"descriptor,omitempty"`
	DescriptorID string             `json:"descriptor_id,omitempty"`
	Properties   []policy.Property  `json:"properties,omitempty"`
}

// CatalogueApprove is an approval in force.
type CatalogueApprove struct {
	Action   string `json:"action"`
	Group    string `json:"group"`
	Revision int    `json:"revision"`
	Role     string `json:"role,omitempty"`
}
