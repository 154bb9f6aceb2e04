package policy

import (
	"testing"
	"time"

	"patchmesh/content"
)

// Addressed must agree with the plan of a machine in the same groups: what it says decides whether a payload
// is kept for a machine that is away.
func TestAddressedIsWhatAPlanIsMadeFrom(t *testing.T) {
	now := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	m := &Manifest{
		Groups: []Group{{Name: "tills"}, {Name: "tills-north", Parent: "tills"}, {Name: "desks"}},
		Approvals: []Approval{
			{Update: "u1", Group: "all", Action: ActionInstall},
			{Update: "u1", Group: "tills", Action: ActionDecline},
			{Update: "u1", Group: "tills-north", Action: ActionStageOnly},
			{Update: "u2", Group: "desks", Action: ActionInstall},
			{Update: "u3", Group: "unassigned", Action: ActionInstall},
			{Update: "u4", Group: "all", Action: ActionInstall, until: now.Add(-time.Second)},
		},
	}
	for _, c := range []struct {
		groups []string
		want   map[UpdateID]Action
	}{
		{nil, map[UpdateID]Action{"u1": ActionInstall, "u3": ActionInstall}},
		{[]string{"tills"}, map[UpdateID]Action{"u1": ActionDecline}},
		{[]string{"tills-north"}, map[UpdateID]Action{"u1": ActionStageOnly}},
		{[]string{"tills-north", "desks"}, map[UpdateID]Action{"u1": ActionStageOnly, "u2": ActionInstall}},
		{[]string{"no such group"}, map[UpdateID]Action{"u1": ActionInstall, "u3": ActionInstall}},
	} {
		got := m.Addressed(c.groups, now)
		plan := MakePlan(m, func(content.ID) *Descriptor { return nil }, Machine{Groups: c.groups}, false, now)
		if len(got) != len(c.want) || len(plan.Verdicts) != len(got) {
			t.Fatalf("%v: %d approvals and %d verdicts, want %d", c.groups, len(got), len(plan.Verdicts), len(c.want))
		}
		for i, a := range got {
			if c.want[a.Update] != a.Action || m.Approvals[plan.Verdicts[i].Approval].Group != a.Group {
				t.Errorf("%v: %s is %s for %s", c.groups, a.Update, a.Action, a.Group)
			}
		}
	}
}

func TestWhatBringsAPayload(t *testing.T) {
	now := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	for action, want := range map[Action]bool{
		ActionInstall: true, ActionStageOnly: true, ActionOptional: true, ActionRemove: false, ActionDecline: false, ActionDetectOnly: false,
	} {
		if got := (Approval{Action: action}).Brings(now); got != want {
			t.Errorf("%s brings a payload: %v", action, got)
		}
	}
	if (Approval{Action: ActionInstall, until: now.Add(-time.Second)}).Brings(now) {
		t.Error("an approval that has ended brings a payload")
	}
	m := &Manifest{Holds: []Hold{{ID: "h1", Update: "u1", ExpiresAt: now}, {ID: "h2", Update: "u2", Group: "tills"}}}
	if m.Held("u1", now) || !m.Held("u1", now.Add(-time.Second)) || !m.Held("u2", now) || m.Held("u3", now) {
		t.Error("holds that have ended, or of other updates, count; or one of a group does not")
	}
	m.Holds = append(m.Holds, Hold{ID: "h3", Update: AllUpdates})
	if !m.Held("u3", now) {
		t.Error("a hold of everything does not count")
	}
}
