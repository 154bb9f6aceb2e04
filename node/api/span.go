package api

import (
	"time"

	"patchmesh/policy"
)

// ParseSpan reads a length of time as people write it: 90m, 72h, 7d, 2w.
func ParseSpan(s string) (time.Duration, error) { return policy.ParseSpan(s) }

// RingSaid is what somebody who makes a ring has said of it.
type RingSaid = policy.RingSaid
