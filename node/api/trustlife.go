package api

import "time"

// TrustLife says how long approvals go on counting on machines that hear nothing newer. As a request, zero
// seconds only ask.
type TrustLife struct {
	Seconds   int64     `json:"seconds"`
	ExpiresAt time.Time `json:"expires_at,omitzero"` // of the head in force
}
