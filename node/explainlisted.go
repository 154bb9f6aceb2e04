package node

import (
	"fmt"
	"strings"
	"time"

	"patchmesh/policy"
)

// mostElsewhere bounds what is told of decisions for other machines.
const mostElsewhere = 5

// explainElsewhere tells what is decided about the update for groups that the machine is not in: who has approved it
// somewhere and asks why a machine does not install it must not read that nobody has.
func explainElsewhere(e *explanation, man *policy.Manifest, facts policy.Machine) {
	all := man.Elsewhere(policy.UpdateID(e.Update), facts)
	var names []string
	for i, a := range all {
		if i == mostElsewhere {
			e.add(time.Time{}, "approval", "and for %d more such groups", len(all)-i)
			names = append(names, "others")
			break
		}
		e.add(a.At, "approval", "%s of revision %d is approved for group %s%s, which this machine is not in", a.Action, a.Revision, a.Group, byRole(a.Role()))
		names = append(names, a.Group)
	}
	if len(names) > 0 {
		e.elsewhere = fmt.Sprintf("it is decided about for %s: approve it for one of this machine's groups too if it is wanted here, decline it for them if not", strings.Join(names, ", "))
	}
}
