package api

import "time"

// EnrolQuery asks for what waits; All for all that is remembered.
type EnrolQuery struct {
	All bool `json:"all,omitempty"`
}

// EnrolList is the answer.
type EnrolList struct {
	Requests []EnrolRequest    `json:"requests"`
	Replaced []ReplacedMachine `json:"replaced,omitempty"` // with All: rows that a machine set up anew has taken the place of
}

// EnrolRequest is a machine that wants to join with a token that needs an admin's word.
type EnrolRequest struct {
	ID        string    `json:"id"`      // as the machine shows it too
	Machine   string    `json:"machine"` // peer id
	Name      string    `json:"name"`    // its own word
	Site      string    `json:"site"`
	Groups    []string  `json:"groups"`
	State     string    `json:"state"` // waiting, accepted, rejected, enrolled
	At        time.Time `json:"at"`
	DecidedAt time.Time `json:"decided_at,omitzero"`
	// SameHardware names machines that said the same hardware: it would take the place of those that
	// are off.
	SameHardware []string `json:"same_hardware,omitempty"`
}

// ReplacedMachine is a machine whose hardware has another key now.
type ReplacedMachine struct {
	ID   string    `json:"id"`
	Name string    `json:"name"`
	Site string    `json:"site"`
	By   string    `json:"by"` // peer id
	At   time.Time `json:"at"`
	// StillThere: it was heard since. Then these are two machines, or somebody has copied the key.
	StillThere bool `json:"still_there,omitempty"`
}

// EnrolDecision is an admin's word on a request.
type EnrolDecision struct {
	ID     string `json:"id"`
	Accept bool   `json:"accept"`
}

// SealedRequest is a request to join as it travels.
type SealedRequest struct {
	Request []byte `json:"request"`
}

// SealedAnswer is the answer to it. Status is member, waiting or refused.
type SealedAnswer struct {
	Answer []byte `json:"answer"`
	Status string `json:"status"`
}

// Membership is the certificate of the running node.
type Membership struct {
	Serial    uint64    `json:"serial"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	RenewAt   time.Time `json:"renew_at"`
	Lapsed    bool      `json:"lapsed,omitempty"`
	// TakenUntil is how long machines of the own site take it by the staleness budget; zero: up to NotAfter.
	TakenUntil time.Time `json:"taken_until,omitzero"`
	Trouble    string    `json:"trouble,omitempty"` // why it is not renewed
}
