package node

import (
	"fmt"
	"slices"

	"patchmesh/policy"
)

// explainDrafts tells, on a seed, of drafts about an update that lack signatures: without that whoever has approved it
// would read that nobody has. It comes last, since where the machine waits for approvers the next step is to sign.
func (n *Node) explainDrafts(e *explanation) error {
	if n.seed == nil {
		return nil
	}
	all, err := n.seed.waitingDrafts()
	if err != nil {
		return err
	}
	for _, w := range all {
		for _, said := range draftSays(w.Said, e.Update) {
			e.add(w.Since, "draft", "a draft waits for signatures, %d of %d are there: %s", w.Signatures, w.Threshold, said)
			switch policy.Reason(e.Reason) {
			case policy.ReasonPolicyDeclined, policy.ReasonNotApproved:
				if e.action == "" || e.action == policy.ActionDecline {
					e.NextStep = w.NextStep
				}
			case policy.ReasonRingNotReached: // a promotion that was prepared waits for nothing else
				if opensMore(w.Said, e.Update) {
					e.NextStep = w.NextStep
				}
			}
		}
	}
	return nil
}

// opensMore says whether a draft opens further rings to an update.
func opensMore(changes []policy.Change, update string) bool {
	return slices.ContainsFunc(changes, func(c policy.Change) bool {
		return c.Approval != nil && c.WasApproval != nil && string(c.Approval.Update) == update && len(c.Approval.RingsOpened) > len(c.WasApproval.RingsOpened)
	})
}

// draftSays is what a draft would change about an update, or about all of them, in words.
func draftSays(changes []policy.Change, update string) (said []string) {
	about := func(h *policy.Hold) bool {
		return h != nil && (string(h.Update) == update || h.Update == policy.AllUpdates)
	}
	for _, c := range changes {
		switch a := c.Approval; {
		case a != nil && string(a.Update) == update && !a.Listed():
			said = append(said, fmt.Sprintf("%s of revision %d for group %s", a.Action, a.Revision, a.Group))
		case about(c.Hold):
			said = append(said, fmt.Sprintf("hold %s: %s", c.Hold.ID, c.Hold.Reason))
		case c.Hold == nil && about(c.WasHold):
			said = append(said, "the end of hold "+c.WasHold.ID)
		}
	}
	return said
}
