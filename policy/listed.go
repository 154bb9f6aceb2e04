package policy

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// What is in a catalogue and was not decided about for all machines is "not approved": machines that no approval of
// it addresses look whether it is for them and whether they have it, and report that, so that people see who would need
// it before they approve it. Nothing else follows from it. It stands in the manifest as detect-only for every machine,
// since machines evaluate only what a threshold has signed: a rule may run a command.

// SetListNew is the switch for it. It counts for the whole mesh alone.
const SetListNew = "list-new"

// MaxListed bounds how many updates are listed by themselves: every machine looks for each of them.
const MaxListed = 200

var listInfos = []SettingInfo{
	{SetListNew, "yes", "no, for group all: what is in the catalogue and was not decided about for all is not looked for by machines; yes: it joins the next signed approvals as detect-only for all, the newest 200", checkYesNo, byNo},
}

// Listed says whether an approval says no more than that there is the update: every machine may look for it, and none
// is changed. Such a word weighs less than any other about the same update.
func (a Approval) Listed() bool {
	return a.Action == ActionDetectOnly && a.Group == GroupAll && a.RingPlan == ""
}

// runsToLook says whether a machine runs a command of the descriptor to see if the update is for it, or there.
func (d *Descriptor) runsToLook() bool {
	for _, c := range []*Condition{d.Applicable, d.Installed} {
		if c != nil && c.walk(func(n *Condition) error {
			if n.Command != nil {
				return ErrLimit
			}
			return nil
		}) != nil {
			return true
		}
	}
	return false
}

// passive: nothing but looking could follow from listing it.
func (d *Descriptor) passive() bool { return !d.Withdrawn && d.Mitigates == "" }

// ListsItself says whether an update would be listed if nobody decided about it and nothing replaced it.
func (d *Descriptor) ListsItself() bool { return d.passive() && !d.runsToLook() }

// ListsNew says whether what nobody has decided about is listed.
func (m *Manifest) ListsNew() bool { return m.switchOf(SetListNew, GroupAll) == "yes" }

// listVerdict is the answer for an update that is only listed here.
func listVerdict(q *question, v *Verdict) {
	v.Verb, v.Listed = VerbNone, true
	d := q.machine.Detected[q.approval.Update]
	if ruleDocuments(q, v) {
		v.Verb = VerbNone // it is waited for by nobody
		return
	}
	if ruleArch(q, v) {
		return
	}
	switch {
	case d.Err != "":
		v.Compliance, v.Reason, v.Detail = ComplianceError, d.Err, "not approved; "+d.Detail
	case d.Foreign != "" && !d.Present:
		v.Compliance, v.Reason, v.Detail = NotApplicable, d.Foreign, d.Detail
	case v.Compliance == Installed:
		v.Reason, v.Detail = ReasonNotApproved, "not approved, and on the machine all the same"
	default:
		v.Reason, v.Detail = ReasonNotApproved, "not approved; the machine only looks for it"
	}
}

// withoutListed is what a machine was seen to have, without what is only listed for it. Who signs a list does not
// think of what hangs on each entry: it must neither lift a mitigation nor stand for what another update needs.
func (m *Manifest) withoutListed(won []winner, mach Machine) (Machine, bool) {
	var out map[UpdateID]Detection
	any := false
	for _, w := range won {
		a := &m.Approvals[w.index]
		if !a.Listed() {
			continue
		}
		any = true
		if _, seen := mach.Detected[a.Update]; !seen {
			continue
		}
		if out == nil {
			out = make(map[UpdateID]Detection, len(mach.Detected))
			for u, d := range mach.Detected {
				out[u] = d
			}
		}
		delete(out, a.Update)
	}
	if out != nil {
		mach.Detected = out
	}
	return mach, any
}

// listed plans what is only listed, apart from everything else, and puts it in its place.
func (p *Plan) listed(asked []question) {
	for i := range asked {
		q := &asked[i]
		v := Verdict{Update: q.approval.Update, Revision: q.approval.Revision, Descriptor: q.approval.Descriptor, Approval: q.won.index, Losing: q.won.losing,
			Compliance: compliance(q.machine, q.approval)}
		listVerdict(q, &v)
		p.Verdicts = append(p.Verdicts, v)
	}
	slices.SortFunc(p.Verdicts, func(a, b Verdict) int { return cmp.Compare(a.Update, b.Update) })
}

// Listing is what List changes.
type Listing struct {
	Approvals []Approval // all, with the list brought up to date
	Added     []UpdateID // newly listed, or with a newer revision
	Dropped   []UpdateID // not listed any more
	Over      int        // would be listed, and are too many
}

// List brings up to date what is listed among approvals of the main approvers. The catalogue has the newest last;
// said tells of updates that somebody else, a delegated role, has decided about for all machines. A decision for one
// group takes nothing off the list, whichever of the two came first: the other machines look on, and where the decision
// counts it beats the list (see beats). But what nobody has decided about at all comes first where not all have room:
// decisions alone must not put out of sight what still waits for one.
//
// What is replaced by another update of the catalogue, withdrawn, or stands in for another for a while, is not listed:
// what would follow from it for people is told by the other one. Nor is what a command has to be run for: to import
// something, and to sign something else, must not have every machine run it as root. Where somebody has decided that it
// may be, that revision stays.
func (m *Manifest) List(catalogue []Candidate, said func(UpdateID) bool, now time.Time) Listing {
	l := Listing{Approvals: slices.Clone(m.Approvals)}
	decided, some, place := map[UpdateID]bool{}, map[UpdateID]bool{}, map[UpdateID]int{}
	for i, a := range l.Approvals {
		switch {
		case a.Listed():
			place[a.Update] = i
		case a.Group == GroupAll:
			decided[a.Update] = true
		default:
			some[a.Update] = true
		}
	}
	seats := min(MaxListed, maxApprovals-len(l.Approvals)+len(place)) // a list must not keep a decision out
	lists, replaced := m.ListsNew(), replacedIn(catalogue)
	drop := map[UpdateID]bool{}
	for _, decidedFor := range []bool{false, true} {
		for _, c := range slices.Backward(catalogue) {
			d := c.Descriptor
			if some[d.Update] != decidedFor {
				continue
			}
			_, is := place[d.Update]
			wanted := lists && d.passive() && !replaced(d.Update) && (is || !d.runsToLook() && !decided[d.Update] && !said(d.Update))
			switch {
			case wanted && seats > 0:
				seats--
				l.put(c, place, now)
				continue
			case wanted:
				l.Over++
			}
			if is {
				drop[d.Update] = true
				l.Dropped = append(l.Dropped, d.Update)
			}
		}
	}
	l.dropLost(catalogue, drop)
	l.Approvals = slices.DeleteFunc(l.Approvals, func(a Approval) bool { return a.Listed() && drop[a.Update] })
	return l
}

// dropLost takes off what the catalogue does not have any more: nobody can look for it, and it would keep its seat for ever.
func (l *Listing) dropLost(catalogue []Candidate, drop map[UpdateID]bool) {
	there := make(map[UpdateID]bool, len(catalogue))
	for _, c := range catalogue {
		there[c.Descriptor.Update] = true
	}
	for _, a := range l.Approvals {
		if a.Listed() && !there[a.Update] {
			drop[a.Update] = true
			l.Dropped = append(l.Dropped, a.Update)
		}
	}
}

// put lists the newest revision of an update that is to be listed, if it is not yet and no command has to be run for it.
func (l *Listing) put(c Candidate, place map[UpdateID]int, now time.Time) {
	d := c.Descriptor
	at, is := place[d.Update]
	if d.runsToLook() || is && l.Approvals[at].Revision >= d.Revision {
		return
	}
	a := Approval{Update: d.Update, Revision: d.Revision, Descriptor: c.ID, DescriptorBytes: c.Bytes, Group: GroupAll, Action: ActionDetectOnly, At: now.UTC().Truncate(time.Second)}
	if is {
		l.Approvals[at] = a
	} else {
		l.Approvals = append(l.Approvals, a)
	}
	l.Added = append(l.Added, d.Update)
}

// replacedIn asks whether another update of a catalogue replaces one, by whole chains.
func replacedIn(catalogue []Candidate) func(UpdateID) bool {
	chain, newest := chains{}, map[UpdateID]*Descriptor{}
	for _, c := range catalogue {
		chain.replaces(chain.add(c.Descriptor.Update), c.Descriptor)
		newest[c.Descriptor.Update] = c.Descriptor
	}
	chain.complete(len(chain.names), nil)
	return chain.replacedForAll(func(u UpdateID) *Descriptor { return newest[u] }, func(u UpdateID) bool { return newest[u] != nil && !newest[u].Withdrawn })
}

// Text says what a listing does, for people; empty: nothing.
func (l Listing) Text() string {
	s := ""
	for _, x := range []struct {
		n    int
		word string
	}{{len(l.Added), "%d update(s) listed that nobody has decided about for all: machines look for them, and change nothing"}, {len(l.Dropped), "%d not listed any more"}, {l.Over, "%d not listed: that many more than the 200 that are looked for at a time"}} {
		if x.n == 0 {
			continue
		}
		if s != "" {
			s += "; "
		}
		s += fmt.Sprintf(x.word, x.n)
	}
	return s
}
