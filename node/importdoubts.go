package node

import (
	"errors"
	"fmt"

	"patchmesh/node/state"
	"patchmesh/policy"
)

// importDoubts names what an import says about other updates that is true of none here: an id with a slip in it makes a
// prerequisite that is never met, and a mitigation that its fix never lifts. It may come later, so it is no refusal.
func (s *seed) importDoubts(d *policy.Descriptor) (out []string) {
	missing := func(u policy.UpdateID, what string) {
		if _, err := s.db.Update(string(u)); u != "" && errors.Is(err, state.ErrNotFound) {
			out = append(out, fmt.Sprintf("%s %s, which is not in the catalogue: import that too, or mend the id", what, u))
		}
	}
	for _, u := range d.Prerequisites {
		missing(u, "it needs")
	}
	for _, u := range d.Supersedes {
		missing(u, "it replaces")
	}
	missing(d.Mitigates, "it stands in for")
	if d.Mitigates != "" && !s.now().Before(d.MitigationEnds) {
		out = append(out, fmt.Sprintf("its end as a mitigation, %s, has come already: no machine would install it", stampText(d.MitigationEnds)))
	}
	return out
}
