package node

import (
	"fmt"
	"slices"
	"strings"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// testedFor refuses to open the first ring of a plan before the checks that it asks for were made: an approval along
// rings opens it at once.
func (s *seed) testedFor(a policy.Approval, plans []policy.RingPlan) error {
	missing, err := s.untested(a, plans)
	if err != nil || missing == "" {
		return err
	}
	return api.Errorf(api.ClassRefused, "%s", missing).WithHint("'patchmesh evidence record %s' notes a check that was made", a.Update)
}

// untested says what the first ring of an approval's plan asks for and is not there; empty: nothing. What the machines
// of open rings show cannot be there yet, and is not asked of it. What is expedited skips rings, by a signed word of its
// own, and so their questions.
func (s *seed) untested(a policy.Approval, plans []policy.RingPlan) (string, error) {
	i := slices.IndexFunc(plans, func(p policy.RingPlan) bool { return p.Name == a.RingPlan })
	if i < 0 || a.Expedite {
		return "", nil
	}
	first := plans[i].Rings[0]
	asks := first.Asks(a.Action)
	if len(asks) == 0 {
		return "", nil
	}
	records, err := s.evidence(a.Update)
	if err != nil {
		return "", err
	}
	var missing []string
	for _, c := range policy.EvidenceFor(a, records, nil) {
		if c.Check != policy.CheckEffectiveness && !c.OK && slices.Contains(asks, c.Check) {
			missing = append(missing, fmt.Sprintf("%s check: %s", c.Check, c.Text))
		}
	}
	if len(missing) == 0 {
		return "", nil
	}
	return fmt.Sprintf("ring %s of plan %s opens with test evidence: %s", first.Name, a.RingPlan, strings.Join(missing, "; ")), nil
}

// objectUntested keeps back what rules and switches would propose along a plan whose first ring asks for evidence that
// is not there: who signs a draft opens that ring as much as who approves by hand.
func (s *seed) objectUntested(all []policy.Proposal, plans []policy.RingPlan) error {
	for i := range all {
		if p := &all[i]; p.Not == "" && p.Opens {
			var err error
			if p.Not, err = s.untested(p.Approval, plans); err != nil {
				return err
			}
		}
	}
	return nil
}

// untriedRemoval warns who takes an update off that nobody has recorded that it can be, where no ring has asked for it.
func (s *seed) untriedRemoval(a policy.Approval) []string {
	if a.Action != policy.ActionRemove {
		return nil
	}
	records, err := s.evidence(a.Update)
	if err != nil {
		return []string{api.Clean(err.Error())}
	}
	for _, c := range policy.EvidenceFor(a, records, nil) {
		if c.Check == policy.CheckRollback && !c.OK {
			return []string{fmt.Sprintf("its removal is not known to be tried (rollback check: %s): 'patchmesh evidence record %s --check rollback' notes that it was", c.Text, a.Update)}
		}
	}
	return nil
}
