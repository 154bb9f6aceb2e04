package node

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// Explain implements api.Service: the chain of facts from approval to today's state.
func (n *Node) Explain(ctx context.Context, update, machine string) (*api.Explanation, error) {
	if !n.knownUpdate(update) {
		return nil, api.Errorf(api.ClassNotFound, "no update %q is known here", api.Clean(update)).WithHint("'patchmesh status' lists what there is")
	}
	f, err := n.Status(ctx, api.StatusQuery{Machine: machine})
	if err != nil {
		return nil, err
	}
	m := f.Machines[0]
	e := &explanation{Explanation: api.Explanation{Update: update, Machine: m.Name}}
	e.add(f.AsOf, "manifest", "this node trusts epoch %d, the machine has reported epoch %d", f.Epoch, m.Epoch)
	n.explainApprovals(e, m)
	n.explainHolds(e, m)
	explainTraffic(e, m)
	m.Updates = n.namedSpenders(m.Updates)
	explainState(e, m, m.ID == n.id, n.cfg.Now())
	if err := n.explainDrafts(e); err != nil {
		return nil, err
	}
	return &e.Explanation, nil
}

// explanation is one being written.
type explanation struct {
	api.Explanation
	verdict policy.Verdict // of the machine, as planned here; zero: nothing is approved for it
	action  policy.Action

	elsewhere string // what an admin may do, where it is decided about for other machines alone; empty: nothing of that kind
	ringNext  string // what an admin has to do, where a ring is waited for in vain; empty: nothing

	quietBy   string          // the group whose signed word is that the machine changes nothing
	standsFor policy.UpdateID // of a mitigation
	over      bool            // and its end has come
}

func (e *explanation) add(at time.Time, step, format string, args ...any) {
	e.Chain = append(e.Chain, api.Fact{At: at.UTC(), Step: step, Text: api.Clean(fmt.Sprintf(format, args...))})
}

// explainApprovals says which approvals address the machine, and which of them counts.
func (n *Node) explainApprovals(e *explanation, m api.Machine) {
	man := n.believer.current().Manifest()
	if man == nil {
		e.add(time.Time{}, "approval", "this node has lost its approvals and waits for those of the mesh")
		return
	}
	facts := n.factsFor(m)
	explainGroups(e, man.Memberships(facts))
	plan := policy.MakePlan(man, n.describer(), facts, false, n.cfg.Now())
	explainStandIns(e, man, plan, n.describer(), n.cfg.Now())
	for _, v := range plan.Verdicts {
		if string(v.Update) != e.Update {
			continue
		}
		a := man.Approvals[v.Approval]
		if v.Listed {
			e.add(a.At, "approval", "nobody has decided about revision %d for this machine: it is looked for, and nothing else", a.Revision)
			explainElsewhere(e, man, facts)
			return
		}
		e.add(a.At, "approval", "%s of revision %d is approved for group %s%s", a.Action, a.Revision, a.Group, byRole(a.Role()))
		if a.Expedite {
			e.add(a.At, "approval", "expedited: its deadline is now; %s", overrides(a))
		}
		e.verdict, e.action, e.quietBy = v, a.Action, quietBy(man, facts)
		n.explainRevision(e, a)
		n.explainDeadline(e, man, a, v, facts)
		for _, x := range v.Excepted {
			e.add(time.Time{}, "hold", "hold %s does not count on this machine until %s: exception %s (%s)", x.Hold, x.Until.UTC().Format(time.RFC3339), x.Exception, x.Reason)
		}
		explainLate(e, m, v.Deadline, n.cfg.Now())
		n.explainRing(e, man, v, m)
		if open, anytime := man.Openings(facts, n.cfg.Now(), 1); len(open) > 0 && !a.IgnoreWindows {
			e.add(time.Time{}, "window", "maintenance window %s: %s to %s", strings.Join(open[0].Windows, ", "),
				open[0].Begins.Format(time.RFC3339), open[0].Until.Format(time.RFC3339))
		} else if !anytime && !a.IgnoreWindows {
			e.add(time.Time{}, "window", "no maintenance window of the machine will open again")
		}
		if a.Action == policy.ActionInstall || a.Action == policy.ActionRemove {
			n.explainOrchestration(e, man, facts)
		}
		if made := n.vendorIn(e.Update, a.Revision); made != nil {
			e.add(a.At, "payload", "%s", made)
		}
		for _, i := range v.Losing {
			l := man.Approvals[i]
			if l.Listed() && l.Role() == "" { // no decision that could have counted
				continue
			}
			e.Losing = append(e.Losing, fmt.Sprintf("%s for group %s%s", l.Action, l.Group, byRole(l.Role())))
		}
		return
	}
	e.add(time.Time{}, "approval", "no approval of %s addresses a group of this machine (%s)", e.Update, strings.Join(append([]string{"all"}, m.Groups...), ", "))
	explainElsewhere(e, man, facts)
	e.State, e.Reason = policy.StateOffered.String(), string(policy.ReasonPolicyDeclined)
	if !slices.ContainsFunc(man.Approvals, func(a policy.Approval) bool { return string(a.Update) == e.Update }) {
		e.Reason = string(policy.ReasonNotApproved) // nobody has declined it either
	}
}

// explainDeadline tells when an approval is due on this machine, and what says so.
func (n *Node) explainDeadline(e *explanation, man *policy.Manifest, a policy.Approval, v policy.Verdict, facts policy.Machine) {
	switch {
	case !a.Deadline.IsZero() && a.LocalTime:
		e.add(a.At, "approval", "deadline %s, on this machine %s", a.TimeText(a.Deadline), v.Deadline.UTC().Format(time.RFC3339))
	case !a.Deadline.IsZero():
		e.add(a.At, "approval", "deadline %s", a.Deadline.UTC().Format(time.RFC3339))
	case a.DeadlineMinutes > 0 && !v.Deadline.IsZero():
		e.add(a.At, "approval", "deadline %s, %s after its ring was opened", v.Deadline.UTC().Format(time.RFC3339), api.Duration(time.Duration(a.DeadlineMinutes)*time.Minute))
	case !v.Deadline.IsZero():
		e.add(a.At, "approval", "deadline %s, by its severity%s", v.Deadline.UTC().Format(time.RFC3339), n.deadlineFrom(man, a, facts))
	}
}

// explainGroups tells the groups that a machine did not simply get with its token, and those that are in doubt.
func explainGroups(e *explanation, all []policy.Membership) {
	for _, g := range all[:min(len(all), 100)] {
		switch g.Source {
		case policy.MemberQuery, policy.MemberClaimed:
			e.add(time.Time{}, "group", "it is in %s (%s): %s", g.Group, g.Source, g.Detail)
		case policy.MemberUnknown:
			e.add(time.Time{}, "group", "whether it is in %s cannot be found out: %s", g.Group, g.Detail)
		case policy.MemberRefused, policy.MemberNoGroup:
			e.add(time.Time{}, "group", "that it says it is in %s does not count (%s)", g.Group, g.Source)
		case policy.MemberUnlisted:
			e.add(time.Time{}, "group", "that it was enrolled into %s does not count yet: the approvals do not list it", g.Group)
		}
	}
}

// explainState tells what the machine itself has reported, and who should do what next. Of the machine that is asked
// about itself no report is needed.
func explainState(e *explanation, m api.Machine, itself bool, now time.Time) {
	seen := false
	for _, u := range m.Updates {
		if u.Update != e.Update {
			continue
		}
		seen = true
		e.State, e.Reason = u.State, u.Reason
		if u.SizeBytes > 0 {
			e.add(u.Since, "fetch", "%s of %s here: %s from the subnet, %s from the site, %s from its caches, %s over the WAN",
				api.Size(u.HaveBytes), api.Size(cmp.Or(u.StoredBytes, u.SizeBytes)), api.Size(u.Bytes.Subnet), api.Size(u.Bytes.Site), api.Size(u.Bytes.Cache), api.Size(u.Bytes.WAN()))
		}
		if u.Bytes.Wasted > 0 {
			e.add(u.Since, "verify", "%s did not match their hashes and were thrown away", api.Size(u.Bytes.Wasted))
		}
		text := "state " + u.State
		if u.Reason != "" {
			text += ", reason " + u.Reason
		}
		if u.Compliance == string(policy.Mitigated) || u.Compliance == string(policy.SupersededPresent) { // the state does not tell it
			text += ", compliance " + u.Compliance
		}
		if u.Detail != "" {
			text += ": " + u.Detail
		}
		e.add(u.Since, "install", "%s", text)
		explainRetry(e, u, now)
	}
	switch {
	case m.LastReport.IsZero() && !seen && !itself:
		e.add(time.Time{}, "report", "the machine has never reported")
		e.State, e.Reason = stateUnknown, string(policy.ReasonHostSilent)
	case !m.Online:
		e.add(m.LastReport, "report", "nothing was heard from the machine since")
		if e.State != policy.StateInstalled.String() && e.State != policy.StateRemoved.String() {
			e.State, e.Reason = first(e.State, policy.StateOffered.String()), first(m.Reason, e.Reason)
		}
	case !m.LastReport.IsZero():
		e.add(m.LastReport, "report", "the machine reported this")
	}
	conclude(e, seen)
	e.sharpen(m.Updates)
}
