package node

import (
	"strings"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// R-B13: explain says for which machines a hold is, and that it has ended or is not about this one.
func TestRB13ExplainTellsWhomAHoldIsFor(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	n := &Node{cfg: Config{Now: func() time.Time { return now }}}
	man := &policy.Manifest{Groups: []policy.Group{{Name: "office"}, {Name: "tills"}}}
	m := api.Machine{Groups: []string{"office"}}
	for want, h := range map[string]policy.Hold{
		"every machine": {},
		"every machine of architecture arm64, driver-7 installed": {Match: &policy.HoldMatch{Arch: []string{"arm64"}, Present: []policy.UpdateID{"driver-7"}}},
		"every machine, ended at 2026-03-02T09:00:00Z":            {ExpiresAt: now},
		"every machine, until 2026-03-02T10:00:00Z":               {ExpiresAt: now.Add(time.Hour)},
		"group tills, which this machine is not in":               {Group: "tills"},
		"group office of os windows or linux":                     {Group: "office", Match: &policy.HoldMatch{OS: []string{"windows", "linux"}}},
		"group all":                                               {Group: "all"},
	} {
		if got := holdScopeText(h) + n.holdStands(man, h, m); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// R-B13: a safeguard for machines that have an update which nobody looks for would hold all of them; hold says so.
func TestRB13ASafeguardOnWhatNobodyLooksForWarns(t *testing.T) {
	h := policy.Hold{Match: &policy.HoldMatch{Present: []policy.UpdateID{"driver-7", "driver-8"}}}
	man := &policy.Manifest{Approvals: []policy.Approval{{Update: "driver-7"}}}
	if got := unlookedFor(h, man); !strings.Contains(got, "driver-8") || strings.Contains(got, "driver-7") {
		t.Error(got)
	}
	man.Approvals = append(man.Approvals, policy.Approval{Update: "driver-8"})
	if got := unlookedFor(h, man) + unlookedFor(policy.Hold{}, man); got != "" {
		t.Error(got)
	}
}
