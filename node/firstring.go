package node

import (
	"fmt"
	"slices"
	"strings"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// testedFor refuses to open the first ring of a plan before the checks that it asks for were made: an approval along
// rings opens it at once. What the machines of open rings show cannot be there yet, and is not asked of it.
func (s *seed) testedFor(a policy.Approval, plans []policy.RingPlan) error {
	i := slices.IndexFunc(plans, func(p policy.RingPlan) bool { return p.Name == a.RingPlan })
	if i < 0 || a.Expedite || len(plans[i].Rings[0].Evidence) == 0 {
		return nil
	}
	records, err := s.evidence(a.Update)
	if err != nil {
		return err
	}
	var missing []string
	for _, c := range policy.EvidenceFor(a, records, nil) {
		if c.Check != policy.CheckEffectiveness && !c.OK && slices.Contains(plans[i].Rings[0].Evidence, c.Check) {
			missing = append(missing, fmt.Sprintf("%s check: %s", c.Check, c.Text))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return api.Errorf(api.ClassRefused, "ring %s of plan %s opens with test evidence: %s", plans[i].Rings[0].Name, a.RingPlan, strings.Join(missing, "; ")).
		WithHint("'patchmesh evidence record %s' notes a check that was made", a.Update)
}
