package node

import (
	"fmt"
	"slices"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/policy"
)

// What a reason says to everybody is not enough where the same reason has more than one cause: who is told to approve
// what is approved already, or to approve what is missing where something is to go, looks in the wrong place.

// explainStandIns tells of a mitigation what it stands in for and until when, and of an update what stands in for it.
func explainStandIns(e *explanation, man *policy.Manifest, plan policy.Plan, describe func(content.ID) *policy.Descriptor, now time.Time) {
	for _, v := range plan.Verdicts {
		d := describe(man.Approvals[v.Approval].Descriptor)
		if d == nil || d.Mitigates == "" || man.Approvals[v.Approval].Action != policy.ActionInstall {
			continue
		}
		ends := stampText(d.MitigationEnds)
		switch over := !now.Before(d.MitigationEnds); {
		case string(d.Update) == e.Update:
			e.standsFor, e.over = d.Mitigates, over
			e.add(time.Time{}, "mitigation", "it stands in for %s until %s, or until that is found installed", d.Mitigates, ends)
		case string(d.Mitigates) == e.Update && over:
			e.add(time.Time{}, "mitigation", "%s stood in for it until %s, and does not any more", d.Update, ends)
		case string(d.Mitigates) == e.Update:
			e.add(time.Time{}, "mitigation", "%s stands in for it until %s where it is installed", d.Update, ends)
		}
	}
}

// quietBy is which group has signed that a machine changes nothing by itself; empty: none has, so that where it does
// nothing its own file says so.
func quietBy(man *policy.Manifest, facts policy.Machine) string {
	facts.Local = nil
	all := man.Effectives(facts)
	i := slices.IndexFunc(all, func(x policy.Effective) bool { return x.Name == policy.SetAutomation })
	if i < 0 || all[i].Value != string(policy.AutomationOff) && all[i].Value != string(policy.AutomationDetect) {
		return ""
	}
	return all[i].Source
}

// sharpen gives the owner and the next step of causes that a reason alone does not tell apart.
func (e *explanation) sharpen(updates []api.Update) {
	at := func(id string) *api.Update {
		if i := slices.IndexFunc(updates, func(u api.Update) bool { return u.Update == id }); i >= 0 {
			return &updates[i]
		}
		return nil
	}
	switch {
	case e.Reason == string(policy.ReasonPolicyDeclined) && (e.action == policy.ActionInstall || e.action == policy.ActionRemove || e.action == policy.ActionOptional):
		e.Owner, e.NextStep = "machine", "it is approved, but this machine's own policy.json lets it change nothing: take automation out of that file"
		if e.quietBy != "" {
			e.Owner, e.NextStep = "admin", fmt.Sprintf("it is approved, but machines of group %s change nothing by themselves: 'patchmesh policy set automation=scheduled --group %s' ends that", e.quietBy, e.quietBy)
		}
	case e.Reason == string(policy.ReasonDepMissing) && e.action == policy.ActionRemove:
		e.Owner, e.NextStep = "admin", "something on the machine depends on it, which the text above names: remove that first, or withdraw this removal"
	case e.standsFor != "" && e.over && e.Reason == "" && e.State == policy.StateRemoved.String():
		if fix := at(string(e.standsFor)); fix == nil || !policy.Compliance(fix.Compliance).There() {
			e.Owner, e.NextStep = "admin", fmt.Sprintf("the machine is open again: see that %s is installed, or import this again with a later --mitigation-ends and approve that revision", e.standsFor)
		}
	}
}
