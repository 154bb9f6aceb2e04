package api

import (
	"context"
	"time"
)

// Bookkeeper tells where bytes came from. Every node has it; a seed answers for the whole fleet.
type Bookkeeper interface {
	// Provenance tells who gave a machine which share of an update. ClassNotFound.
	Provenance(ctx context.Context, update, machine string) (*Provenance, error)
	// BytesReport sums up what moved in a period.
	BytesReport(ctx context.Context, q BytesQuery) (*BytesReport, error)
}

// Provenance is where the payload of one update on one machine came from. The bytes of Sources sum up to
// HeldBytes exactly.
type Provenance struct {
	Update      string   `json:"update"`
	Revision    int      `json:"revision"`
	Machine     string   `json:"machine"`
	MachineID   string   `json:"machine_id"`
	StoredBytes int64    `json:"stored_bytes"` // of the payload, as it travels
	HeldBytes   int64    `json:"held_bytes"`   // came so far and was kept
	Chunks      int      `json:"chunks"`
	Evicted     bool     `json:"evicted,omitempty"` // the payload is no longer in the machine's store
	Sources     []Source `json:"sources"`           // the largest first
	// Wasted and Duplicate came as well and were thrown away.
	WastedBytes    int64 `json:"wasted_bytes"`
	DuplicateBytes int64 `json:"duplicate_bytes"`
	// Vendor is the file that the payload was made around; nil: nobody says.
	Vendor *Vendor `json:"vendor,omitempty"`
}

// Source is the share of one peer over one tier. Peer is empty for what was in the store already.
type Source struct {
	Peer    string    `json:"peer,omitempty"`
	Name    string    `json:"name,omitempty"`
	Tier    string    `json:"tier"`
	Bytes   int64     `json:"bytes"`
	Chunks  int       `json:"chunks"`
	Percent float64   `json:"percent,omitempty"` // of HeldBytes
	FirstAt time.Time `json:"first_at,omitzero"`
	LastAt  time.Time `json:"last_at,omitzero"`
}

// The tiers, nearest first, and what counts beside them.
const (
	TierStore     = "store"
	TierSubnet    = "subnet"
	TierSite      = "site"
	TierCache     = "cache"
	TierMedia     = "media"
	TierNeighbour = "neighbour"
	TierSeed      = "seed"
	TierOrigin    = "origin"
	TierWasted    = "wasted"
	TierDuplicate = "duplicate"
	TierSent      = "sent" // given to others
)

// Tiers names every field of Bytes in the order of the tiers.
func (b *Bytes) Tiers() []TierBytes {
	return []TierBytes{
		{TierStore, &b.Store}, {TierSubnet, &b.Subnet}, {TierSite, &b.Site}, {TierCache, &b.Cache}, {TierMedia, &b.Media}, {TierNeighbour, &b.Neighbour},
		{TierSeed, &b.Seed}, {TierOrigin, &b.Origin}, {TierWasted, &b.Wasted}, {TierDuplicate, &b.Duplicate},
	}
}

// TierBytes is one field of Bytes; Bytes may be written through.
type TierBytes struct {
	Tier  string
	Bytes *int64
}

// Add counts bytes on a tier; an unknown one counts nowhere.
func (b *Bytes) Add(tier string, bytes int64) {
	for _, t := range b.Tiers() {
		if t.Tier == tier {
			*t.Bytes += bytes
		}
	}
}

// Saved is what would have crossed the WAN without the mesh and did not: all that arrived from nearer.
func (b Bytes) Saved() int64 { return b.Subnet + b.Site + b.Cache + b.Media + b.Neighbour }

// BytesQuery narrows BytesReport. Days are whole days in UTC.
type BytesQuery struct {
	Since time.Time `json:"since,omitzero"` // zero: from the beginning
	Until time.Time `json:"until,omitzero"` // zero: until now
	By    string    `json:"by,omitempty"`   // site, machine, update, tier, day; empty: site
}

// BytesReport is what moved in a period.
type BytesReport struct {
	AsOf  time.Time  `json:"as_of"`
	Since string     `json:"since,omitempty"` // first day, 2026-11-25
	Until string     `json:"until"`
	By    string     `json:"by"`
	Rows  []BytesRow `json:"rows"`
	Total BytesRow   `json:"total"`
}

// BytesRow is one line of a report.
type BytesRow struct {
	Key          string  `json:"key,omitempty"`
	Name         string  `json:"name,omitempty"` // of a machine
	Bytes        Bytes   `json:"bytes"`
	WANBytes     int64   `json:"wan_bytes"`
	SavedBytes   int64   `json:"saved_bytes"`   // would have crossed the WAN without the mesh
	SavedPercent float64 `json:"saved_percent"` // of all that arrived
	SentBytes    int64   `json:"sent_bytes"`    // given to other machines; known for this machine alone
}
