package policy

import (
	"fmt"
	"slices"
)

// Neighbours are the sites that a site may take chunks from; nil: none. Nobody else of another site gives anything,
// seeds aside.
func (r *Roster) Neighbours(site string) []string {
	if r == nil {
		return nil
	}
	for _, s := range r.Sites {
		if s.Site == site {
			return s.Neighbours
		}
	}
	return nil
}

// MayTake says whether machines of a site may take chunks from machines of another one.
func (r *Roster) MayTake(site, from string) bool { return slices.Contains(r.Neighbours(site), from) }

func (s SiteEntry) checkNeighbours() error {
	if len(s.Neighbours) > MaxNeighbours {
		return fmt.Errorf("%d neighbour sites, at most %d: %w", len(s.Neighbours), MaxNeighbours, ErrTooLarge)
	}
	for i, o := range s.Neighbours {
		if err := checkName("site", o); err != nil {
			return err
		}
		if o == s.Site || i > 0 && s.Neighbours[i-1] >= o {
			return fmt.Errorf("neighbour site %.60q: %w", o, ErrFormat)
		}
	}
	return nil
}
