package api

import (
	"time"

	"patchmesh/policy"
)

// SettingRequest states a client setting for a group, or takes it back.
type SettingRequest struct {
	Setting    policy.Setting `json:"setting"`
	Drop       bool           `json:"drop,omitempty"`   // the value does not count
	Reason     string         `json:"reason,omitempty"` // for the approval log
	Passphrase Secret         `json:"passphrase,omitempty"`
}

// PolicyQuery asks for the settings of a machine; empty: this one.
type PolicyQuery struct {
	Machine string `json:"machine,omitempty"`
}

// Policy is the answer of Policy.
type Policy struct {
	Machine  string             `json:"machine"`
	Groups   []string           `json:"groups"`
	Epoch    uint64             `json:"epoch"`
	Settings []policy.Effective `json:"settings"`
	Holds    []string           `json:"holds"`           // patterns of the machine's own list
	Local    string             `json:"local,omitempty"` // the machine's own file, if there is one
	Trouble  string             `json:"trouble,omitempty"`
}

// WishRequest is what a user of this machine says of an update.
type WishRequest struct {
	Update string        `json:"update"`
	Accept bool          `json:"accept,omitempty"`
	Undo   bool          `json:"undo,omitempty"`   // with Accept: it is taken back
	For    time.Duration `json:"for_ns,omitempty"` // postpone it by so long; with Accept it does not count
}

// WishTaken says what became of it.
type WishTaken struct {
	Update         string    `json:"update"`
	Accepted       bool      `json:"accepted"`
	PostponedUntil time.Time `json:"postponed_until,omitzero"`
	Times          int       `json:"times,omitempty"` // it was postponed so far

	Unchanged bool   `json:"unchanged,omitempty"` // it was so already: nothing was noted
	Detail    string `json:"detail,omitempty"`    // what follows from it, for people
}
