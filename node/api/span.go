package api

import (
	"time"

	"patchmesh/policy"
)

// ParseSpan reads a length of time as people write it: 90m, 72h, 7d, 2w.
func ParseSpan(s string) (time.Duration, error) { return policy.ParseSpan(s) }

// MaxDeadline bounds a deadline that counts from when a ring is opened.
const MaxDeadline = policy.MaxDeadlineMinutes * time.Minute

// RingSaid is what somebody who makes a ring has said of it.
type RingSaid = policy.RingSaid
