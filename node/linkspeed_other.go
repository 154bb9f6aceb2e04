//go:build !linux

package node

import "patchmesh/swarm/rate"

// linkSpeed is not known on this system: a limit is given as a rate.
func linkSpeed() (rate.Rate, bool) { return 0, false }
