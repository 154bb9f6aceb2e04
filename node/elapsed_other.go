//go:build !linux

package node

import "time"

// elapsed is a clock that nobody can set. Where it stands still while the machine sleeps, a holder of a slot goes
// by the wall clock too, and so does not think that it has time left.
func elapsed() time.Duration { return time.Since(programBegan) }
