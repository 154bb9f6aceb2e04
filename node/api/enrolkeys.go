package api

import "time"

// EnrolKey is one key whose membership certificates count.
type EnrolKey struct {
	ID      string `json:"id"`      // the first 16 hex digits of the public key
	Key     string `json:"key"`     // all of it
	Issuing bool   `json:"issuing"` // new certificates are signed with it
	// Until is when the last certificate that it has signed ends, and the key goes by itself; zero for the
	// one that issues and for one of another seed.
	Until time.Time `json:"until,omitzero"`
	// Held: its private half lies on this seed.
	Held bool `json:"held"`
}

// EnrolKeyChange asks for a new issuer key, or for the withdrawal of one, or for both at once.
type EnrolKeyChange struct {
	Rotate bool `json:"rotate,omitempty"` // make a new key and issue with it
	// Withdraw: what these keys have signed counts no more, at once. With Rotate: all keys but the new one.
	// Without it: the old key whose id begins with WithdrawKey.
	Withdraw    bool   `json:"withdraw,omitempty"`
	WithdrawKey string `json:"withdraw_key,omitempty"`
}

// EnrolKeys are the enrolment keys of the roster in force, the one that issues last.
type EnrolKeys struct {
	Keys      []EnrolKey `json:"keys"`
	Withdrawn []string   `json:"withdrawn,omitempty"` // ids of those that this change has taken out
}
