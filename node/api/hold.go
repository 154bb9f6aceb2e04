package api

import "time"

// HoldScope says what kind of stop a hold is, and which machines it is for.
type HoldScope struct {
	Kind      string    `json:"kind,omitempty"` // pause (empty), safeguard, freeze
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	// Match is which machines a safeguard is for; it has to ask something, and nothing else has one.
	Match HoldMatch `json:"match,omitzero"`
}

// HoldMatch is which machines a safeguard is for. All that is set must fit.
type HoldMatch struct {
	OS        []string `json:"os,omitempty"`        // as Go names them
	Arch      []string `json:"arch,omitempty"`      // as Go names them
	Present   []string `json:"present,omitempty"`   // updates that are there
	Installer []string `json:"installer,omitempty"` // kinds that the machine has
	Query     *Query   `json:"query,omitempty"`     // asked of the inventory, as that of a group
}
