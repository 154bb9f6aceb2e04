package node

import (
	"fmt"
	"slices"
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// explainRing tells how far an approval has got along its plan, and on a seed, which has the reports, what it waits for.
// A ring in which no machine needs the update is waited for without an end: then it tells who ends it, and how.
func (n *Node) explainRing(e *explanation, man *policy.Manifest, v policy.Verdict, m api.Machine) {
	a := man.Approvals[v.Approval]
	p := man.RingPlan(a.RingPlan)
	if p == nil || len(a.RingsOpened) == 0 {
		return
	}
	last := len(a.RingsOpened) - 1
	e.add(a.OpenedAt(last), "ring", "along ring plan %s, %d of %d ring(s) are open, the last of them %s", a.RingPlan, len(a.RingsOpened), len(p.Rings), p.Rings[last].Name)
	if v.Reason != policy.ReasonRingNotReached || !v.Until.IsZero() {
		return
	}
	if man.RingOf(p, m.Groups) < 0 {
		e.ringNext = fmt.Sprintf("put one of the machine's groups into a ring of plan %s ('patchmesh rings set'), or approve it for them without --rings", p.Name)
		return
	}
	if n.seed == nil {
		return
	}
	all, err := n.seed.rollouts(man)
	i := slices.IndexFunc(all, func(r rollout) bool { return r.index == v.Approval })
	if err != nil || i < 0 {
		e.add(time.Time{}, "ring", "what it waits for cannot be counted: %v", err)
		return
	}
	_, why, err := n.seed.judgeRollout(all[i], false)
	if err != nil {
		e.add(time.Time{}, "ring", "what it waits for cannot be told: %v", err)
		return
	}
	e.add(a.OpenedAt(last), "ring", "%s", why)
	if p.Empty(a, all[i].tallies) {
		e.add(time.Time{}, "ring", "so that plan %s passes such a ring by itself: %s", p.Name, p.SkippingCommand(last))
		e.ringNext = fmt.Sprintf("'patchmesh promote %s' opens the next ring; or let the plan pass it by itself, with skip-empty in ring %s (the command stands above)", a.Update, p.Rings[last].Name)
	}
}
