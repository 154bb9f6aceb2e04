package policy

import (
	"fmt"
	"slices"
	"time"
)

// question is what a rule looks at: one update with its winning approval on one machine.
type question struct {
	*circumstances
	approval Approval
	desc     *Descriptor // nil: not here yet
	rings    *RingPlan   // the approval goes along it; nil: along none
	deadline time.Time   // explicit, or by severity; zero: none
	won      winner      // of what is only listed
	lift     string      // why a mitigation is taken off; empty: it is none, or stays
}

// circumstances are the same for all updates of a plan. Of those there may be thousands.
type circumstances struct {
	machine  *Machine
	holds    activeHolds
	in       map[string]int // groups of the machine, see depths
	settings *settings
	calendar calendar // maintenance windows of the machine
	stale    bool
	now      time.Time
	manifest *Manifest
	doubt    map[string]Answer // groups that the machine may be in, see belonging
}

// A rule settles the verdict (true) or passes.
type rule struct {
	name string
	ask  func(q *question, v *Verdict) bool
}

// rules are asked in this order; the first that settles a verdict ends it. What cannot or need not
// be done here comes first, then what stops, then what delays; what acts comes last. After all of them, settleSupersedence and settleOrder
// compare the verdicts.
var rules = []rule{
	{"declined", ruleDeclined},
	{"documents", ruleDocuments},
	{"arch", ruleArch},
	{"passive", rulePassive},
	{"present", rulePresent},
	{"applicable", ruleApplicable},
	{"hold", ruleHold},
	{"local hold", ruleLocalHold},
	{"class", ruleClass},
	{"known", ruleKnown},
	{"looked", ruleLooked},
	{"groups", ruleGroups},
	{"stale", ruleStale},
	{"ring", ruleRing},
	{"available", ruleAvailable},
	{"optional", ruleOptional},
	{"automation", ruleAutomation},
	{"battery", ruleBattery},
	{"shutdown", ruleShutdown},
	{"window", ruleWindow},
	{"quiet", ruleQuiet},
	{"act", ruleAct},
}

// ruleDeclined: a declined update is not even looked at.
func ruleDeclined(q *question, v *Verdict) bool {
	if q.approval.Action != ActionDecline {
		return false
	}
	v.Verb, v.Compliance, v.Reason = VerbNone, NotApplicable, ReasonPolicyDeclined
	return true
}

// ruleDocuments: without the descriptor nothing can be said.
func ruleDocuments(q *question, v *Verdict) bool {
	if q.desc != nil {
		return false
	}
	v.Verb, v.Compliance, v.Reason = VerbWait, ComplianceUnknown, ReasonPeerNoneHolds
	v.Detail = "the description of the update is not here yet"
	return true
}

func ruleArch(q *question, v *Verdict) bool {
	if q.desc.forArch(q.machine.Arch) {
		return false
	}
	v.Verb, v.Compliance, v.Reason = VerbNone, NotApplicable, ReasonCompatArch
	v.Detail = fmt.Sprintf("for %s, this machine is %s", q.desc.Arch, q.machine.Arch)
	return true
}

// rulePassive: approvals that only ask to look.
func rulePassive(q *question, v *Verdict) bool {
	if q.approval.Action != ActionDetectOnly {
		return false
	}
	v.Verb, v.Reason = VerbNone, ReasonPolicyDeclined
	v.Detail = "approved as " + string(q.approval.Action)
	return true
}

// rulePresent: the machine is already as the approval wants it, so nothing is left to stop.
func rulePresent(q *question, v *Verdict) bool {
	d, seen := q.machine.Detected[q.approval.Update]
	if !seen || d.Err != "" {
		return false
	}
	switch {
	case d.Present && q.approval.Action == ActionInstall:
		v.Verb, v.Compliance, v.Reason = VerbNone, Installed, ""
		return true
	case !d.Present && q.approval.Action == ActionRemove:
		v.Verb, v.Compliance, v.Reason, v.Await, v.Detail = VerbNone, NotApplicable, "", StateRemoved, q.lift
		return true
	}
	return false
}

// ruleApplicable: what the descriptor's own rule says is not for this machine is neither fetched nor
// installed. A removal is asked for all the same: what is there can go.
func ruleApplicable(q *question, v *Verdict) bool {
	d := q.machine.Detected[q.approval.Update]
	if d.Foreign == "" || d.Err != "" || q.approval.Action == ActionRemove {
		return false
	}
	v.Verb, v.Compliance, v.Reason, v.Detail = VerbNone, NotApplicable, d.Foreign, d.Detail
	return true
}

// ruleHold: a signed stop wins over everything that would change the machine.
func ruleHold(q *question, v *Verdict) bool {
	h, held := q.holds.on(q.approval.Update, q.approval.Revision)
	if !held {
		return false
	}
	v.Verb, v.Reason, v.Hold, v.Until = VerbHold, ReasonPolicyHold, h.ID, h.ExpiresAt
	v.Detail = fmt.Sprintf("hold %s: %s", h.ID, h.Reason)
	if h.Kind == HoldBrake {
		v.Reason = ReasonPolicyBrake
		v.Detail = fmt.Sprintf("%s until %s, by the seed alone: %s", h.ID, h.ExpiresAt.UTC().Format(time.RFC3339), h.Reason)
	}
	return true
}

// ruleKnown: an installer or rule that this agent does not know must not be guessed at.
func ruleKnown(q *question, v *Verdict) bool {
	for _, need := range append([]string{q.desc.Installer}, q.desc.Requires...) {
		if !slices.Contains(q.machine.Installers, need) {
			v.Verb, v.Reason = VerbHold, ReasonInstallerMissing
			v.Detail = fmt.Sprintf("this machine has no %q", need)
			return true
		}
	}
	return false
}

// ruleLooked: a machine that could not find out whether the update is there changes nothing. It looks
// again soon; to install on a guess could break what works, or install twice.
func ruleLooked(q *question, v *Verdict) bool {
	d := q.machine.Detected[q.approval.Update]
	if d.Err == "" || (q.approval.Action != ActionInstall && q.approval.Action != ActionRemove && q.approval.Action != ActionOptional) {
		return false
	}
	v.Verb, v.Compliance, v.Reason = VerbHold, ComplianceError, d.Err
	v.Detail = "this machine could not find out whether the update is installed; it looks again by itself"
	if d.Detail != "" {
		v.Detail += ": " + d.Detail
	}
	return true
}

// ruleStale: nothing new is begun on approvals that may have been withdrawn meanwhile.
func ruleStale(q *question, v *Verdict) bool {
	if !q.stale {
		return false
	}
	v.Verb, v.Reason = VerbHold, ReasonTrustStale
	v.Detail = "the approvals have expired and were not renewed"
	return true
}

func ruleAvailable(q *question, v *Verdict) bool {
	if q.approval.NotBefore.IsZero() || !q.now.Before(q.approval.NotBefore) {
		return false
	}
	v.Verb, v.Reason, v.Until = VerbWait, ReasonPolicyDeferred, q.approval.NotBefore
	v.Detail = "available from " + q.approval.NotBefore.UTC().Format(time.RFC3339)
	return true
}

// ruleAct: nothing stands in the way.
func ruleAct(q *question, v *Verdict) bool {
	switch q.approval.Action {
	case ActionInstall:
		v.Verb = VerbInstall
	case ActionRemove:
		v.Verb, v.Lift, v.Detail = VerbRemove, q.lift != "", q.lift
	case ActionStageOnly:
		v.Verb = VerbStage
	default: // an action that a newer version added and this rule forgot
		v.Verb, v.Reason = VerbHold, ReasonAgentOutdated
		v.Detail = fmt.Sprintf("this version cannot %q", q.approval.Action)
	}
	return true
}
