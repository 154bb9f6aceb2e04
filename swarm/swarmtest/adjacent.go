package swarmtest

import (
	"fmt"

	"patchmesh/swarm"
)

// doAdjacent says whether signed policy names neighbour sites, or that none of their machines was reached.
func doAdjacent(s *story, l *line) error {
	switch what := l.next(); what {
	case "allowed", "forbidden":
		return s.step(swarm.AdjacentAllowed{Allowed: what == "allowed"})
	case "failed":
		return s.step(swarm.AdjacentFailed{})
	default:
		return fmt.Errorf("neighbour sites are allowed, forbidden or failed, not %q", what)
	}
}
