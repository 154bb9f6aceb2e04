package api

import "time"

// RevokeRequest locks a machine out. Undo lets it in again.
type RevokeRequest struct {
	Machine string `json:"machine"` // id, or a name that only one machine has
	Reason  string `json:"reason,omitempty"`
	Undo    bool   `json:"undo,omitempty"`
}

// Revoked says what became of it. The news is on its way when it arrives.
type Revoked struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Site      string    `json:"site,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	At        time.Time `json:"at,omitzero"`
	Undone    bool      `json:"undone,omitempty"`
	Unchanged bool      `json:"unchanged,omitempty"` // it was locked out already
}
