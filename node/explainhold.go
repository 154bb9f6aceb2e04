package node

import "patchmesh/policy"

// overrides tells what an approval may override, and what it leaves alone.
func overrides(a policy.Approval) string {
	windows, budget := "it keeps to maintenance windows", "its content keeps to the WAN budget of a site"
	if a.IgnoreWindows {
		windows = "it overrides maintenance windows"
	}
	if a.IgnoreBudget {
		budget = "its content may pass the WAN budget of a site"
	}
	return windows + "; " + budget
}
