package policy

import "fmt"

// An optional approval offers an update: machines show it, and install it on the word of their user alone. Approvers
// have decided that it may be installed; when, and whether, is left to whoever uses the machine. From that word on
// it is an install like any other, so that holds, rings, windows and everything else that delays one counts.

// taken says whether an optional approval is to be carried out as an install: its user has said yes to this revision,
// or it is on the machine already. What is there must count like any other that is installed: an older update that it
// replaces would else be installed over it.
func (q *question) taken() bool {
	if q.approval.Action != ActionOptional {
		return false
	}
	w := q.machine.Wishes[q.approval.Update]
	d := q.machine.Detected[q.approval.Update]
	return w.Accepted && w.Revision == q.approval.Revision || d.Present && d.Err == ""
}

// ruleOptional: what is offered waits for its user, and nothing of it is fetched before. No deadline and no expediting
// takes the place of that word.
func ruleOptional(q *question, v *Verdict) bool {
	if q.approval.Action != ActionOptional {
		return false
	}
	if q.changesNothing(v) {
		return true
	}
	v.Verb, v.Await = VerbWait, StateWaitingUser
	v.Detail = "it is offered to whoever uses the machine: 'patchmesh accept " + string(q.approval.Update) + "' has it installed"
	return true
}

// changesNothing: the machine's automation goes no further than to look.
func (q *question) changesNothing(v *Verdict) bool {
	a := q.settings.automation
	if q.machine.UserElsewhere || a != AutomationOff && a != AutomationDetect {
		return false
	}
	v.Verb, v.Reason = VerbNone, ReasonPolicyDeclined
	v.Detail = fmt.Sprintf("automation is %s on this machine", a)
	return true
}

// offers: it may come to an install, at once or on somebody's word.
func (a Approval) offers() bool { return a.Action == ActionInstall || a.Action == ActionOptional }

// Offered says whether a verdict waits for its user, who has not put it off.
func (v Verdict) Offered() bool { return v.Await == StateWaitingUser && v.Reason == "" }
