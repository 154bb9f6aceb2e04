package policy

import (
	"fmt"
	"strings"
	"time"
)

// Where no machine of a ring needs an update, none can show that it works, and the rings behind wait until somebody
// decides. That is told with since when, whose word is asked for, and the commands that give it.

// Empty says whether the ring that was opened last for an approval waits for machines that there are not.
func (p *RingPlan) Empty(a Approval, tallies []Tally) bool {
	at := len(a.RingsOpened) - 1
	return at >= 0 && at < len(p.Rings)-1 && tallies[at].Needed == 0 && !p.Rings[at].SkipEmpty
}

func (p *RingPlan) empty(a Approval, machines int) string {
	since := a.OpenedAt(len(a.RingsOpened) - 1).UTC().Format(time.RFC3339)
	return fmt.Sprintf("none of its %d machines needs the update since it was opened at %s, so nobody can show that it works: an admin decides, "+
		"'patchmesh promote %s' goes on without, and the plan may let it be skipped (skip-empty)", machines, since, a.Update)
}

// SkippingCommand is how a plan is made that passes an empty ring by itself: the plan as it is, with that said of one ring.
func (p *RingPlan) SkippingCommand(ring int) string {
	parts := []string{"patchmesh rings set " + p.Name}
	for i, r := range p.Rings {
		r.SkipEmpty = r.SkipEmpty || i == ring
		parts = append(parts, "--ring '"+r.Spec()+"'")
	}
	return strings.Join(parts, " ")
}

// Spec is a ring as 'patchmesh rings set --ring' reads it, with nothing left to what is usual.
func (r Ring) Spec() string {
	parts := []string{r.Name + ":groups=" + strings.Join(r.Groups, "+")}
	number := func(n int, format string) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf(format, n))
		}
	}
	word := func(is bool, text string) {
		if is {
			parts = append(parts, text)
		}
	}
	number(r.SuccessPercent, "success=%d%%")
	number(r.SuccessCount, "count=%d")
	word(r.SuccessPercent == 0 && r.SuccessCount == 0 && !r.Manual, "success=0")
	number(r.SoakMinutes, "soak=%dm")
	word(r.Manual, "manual")
	word(r.SkipEmpty, "skip-empty")
	number(r.FailPercent, "fail=%d%%")
	number(r.FailCount, "fail=%d")
	word(r.FailPercent == 0 && r.FailCount == 0, "fail=0")
	if len(r.Evidence) > 0 {
		checks := make([]string, 0, len(r.Evidence))
		for _, c := range r.Evidence {
			checks = append(checks, string(c))
		}
		parts = append(parts, "evidence="+strings.Join(checks, "+"))
	}
	number(r.SpreadMinutes, "spread=%dm")
	return strings.Join(parts, ",")
}
