package node

import (
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// How an explanation ends: who should do what next. A reason says it; where nothing stands in the way, the state does.

// The owners of a state beside those of reasons.
const (
	ownerNobody = "nobody"
	ownerUser   = "user" // of the machine
	ownerUpdate = "update"
	ownerAdmin  = "admin"
)

// stateUnknown is that of a machine that has never reported.
const stateUnknown = "unknown"

func conclude(e *explanation, seen bool) {
	if !seen && e.Reason == "" {
		e.State, e.Reason = policy.StateOffered.String(), string(policy.ReasonUnknownFirstScan)
	}
	if info, ok := policy.Reason(e.Reason).Info(); ok {
		e.Owner, e.NextStep = info.Owner, info.NextStep
		if at := e.verdict.Until; policy.Reason(e.Reason) == policy.ReasonRingNotReached && !at.IsZero() && e.verdict.Reason == policy.ReasonRingNotReached {
			e.Owner, e.NextStep = ownerNobody, "wait: its ring is open, and the turn of the machine comes at "+stampText(at)
		}
		if at := e.verdict.Until; policy.Reason(e.Reason) == policy.ReasonPolicyDeferred && e.verdict.Reason == policy.ReasonPolicyDeferred && !at.IsZero() {
			e.NextStep = "wait until " + stampText(at) + ", when policy lets it begin; --expedite, or an approval without --not-before, begins at once"
		}
		if r := policy.Reason(e.Reason); (r == policy.ReasonNotApproved || r == policy.ReasonPolicyDeclined) && e.elsewhere != "" {
			e.NextStep = e.elsewhere
		}
		if policy.Reason(e.Reason) == policy.ReasonRingNotReached && e.ringNext != "" {
			e.NextStep = e.ringNext
		}
		if st, _ := policy.ParseState(e.State); st < 0 && e.verdict.Hold != "" {
			e.NextStep = "read the end of its log above; hold " + e.verdict.Hold + " stops every further try: end that when the cause is gone ('patchmesh hold list')"
		}
		return
	}
	st, known := policy.ParseState(e.State)
	if e.Reason != "" || e.State != "" && !known && e.State != stateUnknown { // in the words of a newer version
		e.Owner, e.NextStep = ownerAdmin, "read what the machine says above; to have it explained update patchmesh here: the machine's is newer"
		return
	}
	e.Owner, e.NextStep = e.ends(st)
}

// ends is the owner and the next step of a state without a reason.
func (e *explanation) ends(st policy.State) (owner, next string) {
	switch {
	case st == policy.StateInstalled || st == policy.StateRemoved:
		return ownerNobody, "nothing"
	case st == policy.StateWaitingUser:
		return ownerUser, "run 'patchmesh accept " + e.Update + "' on the machine"
	case st == policy.StateDownloaded && e.action == policy.ActionStageOnly:
		return ownerNobody, "nothing: it is only to be ready there"
	case st == policy.StateOffered && e.action == policy.ActionRemove:
		return ownerNobody, "nothing: it is not there, as it should be"
	case st == policy.StateWaitingWindow && !e.verdict.Until.IsZero():
		return ownerNobody, "wait: the machine's maintenance window opens at " + stampText(e.verdict.Until)
	case st == policy.StateWaitingWindow:
		return ownerNobody, "wait for the machine's maintenance window"
	case st < 0:
		return ownerUpdate, "read its log in the details"
	}
	return ownerNobody, "wait: it is under way"
}

func stampText(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// explainLate says that a deadline has passed without the update.
func explainLate(e *explanation, m api.Machine, deadline, now time.Time) {
	if deadline.IsZero() || now.Before(deadline) {
		return
	}
	for _, u := range m.Updates {
		if u.Update == e.Update && policy.Compliance(u.Compliance).There() {
			return
		}
	}
	e.add(deadline, "approval", "that deadline passed %s ago, and the update is not there", api.Duration(now.Sub(deadline)))
}

// explainRevision says where a newer revision is at hand than the one that is approved.
func (n *Node) explainRevision(e *explanation, a policy.Approval) {
	if n.seed == nil {
		return
	}
	if row, err := n.db.Update(string(a.Update)); err == nil && row.Revision > a.Revision {
		e.add(row.At, "approval", "revision %d is the newest in the catalogue; it is not what is approved for this machine", row.Revision)
	}
}
