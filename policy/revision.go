package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"patchmesh/content"
)

// Two switches for what is approved already: whether a seed proposes newer revisions of it, and whether it
// proposes to decline what nobody needs any more. Both are off unless a setting says otherwise, and like
// rules they approve nothing: they fill a draft.
var switchInfos = []SettingInfo{
	{SetRevisions, "off", "for approvals of the group, the seed proposes newer revisions: off, metadata (nothing changed but what is written about the update) or any; a group of a plan's first ring goes by its own word alone", checkRevisions, nil},
	{SetDeclines, "no", "yes: the seed proposes to decline approvals of the group that are withdrawn by their vendor, or replaced for 30 days and needed by no machine; a group of a plan's first ring goes by its own word alone", checkYesNo, nil},
}

const (
	revisionsOff      = "off"
	revisionsMetadata = "metadata"
	revisionsAny      = "any"
)

func checkRevisions(s string) error {
	if s != revisionsOff && s != revisionsMetadata && s != revisionsAny {
		return fmt.Errorf("%.40q is none of off, metadata and any: %w", s, ErrFormat)
	}
	return nil
}

// MetadataOnly says whether two revisions differ in nothing that a machine does or decides by, deadlines by
// severity aside: the same bytes, installer, arguments, rules and relations.
func MetadataOnly(was, is *Descriptor) bool {
	a, b := *was, *is
	for _, d := range []*Descriptor{&a, &b} {
		d.Revision, d.Title, d.Severity, d.CVEs, d.References, d.Languages = 0, "", "", nil, nil, nil
	}
	return sameJSON(&a, &b)
}

// switchOf is the value of a switch for approvals of a group: what is said for it, or for the nearest group
// around it. Testers must not find their test changed under them, so that a group in which plans begin goes by
// what is said for itself.
func (m *Manifest) switchOf(name, group string) string {
	parent := map[string]string{}
	for _, g := range m.Groups {
		parent[g.Name] = firstText(g.Parent, GroupAll)
	}
	tests := m.testGroup(group)
	for at := group; at != ""; at = parent[at] {
		if i := slices.IndexFunc(m.Settings, func(s Setting) bool { return s.Name == name && s.Group == at }); i >= 0 {
			return m.Settings[i].Value
		}
		if tests {
			break
		}
		if at == GroupUnassigned {
			parent[at] = GroupAll
		}
	}
	return Setting{Name: name}.standard()
}

func (s Setting) standard() string {
	info, err := s.info()
	if err != nil {
		return ""
	}
	return info.Default
}

// testGroup: a plan of several rings begins with the group.
func (m *Manifest) testGroup(group string) bool {
	return slices.ContainsFunc(m.RingPlans, func(p RingPlan) bool { return len(p.Rings) > 1 && slices.Contains(p.Rings[0].Groups, group) })
}

// ProposeRevisions says which newer revisions of what the main approvers have approved the switch asks for.
func (m *Manifest) ProposeRevisions(catalogue []Candidate, describe func(content.ID) *Descriptor, now time.Time) []Proposal {
	newest := map[UpdateID]Candidate{}
	for _, c := range catalogue {
		newest[c.Descriptor.Update] = c
	}
	var out []Proposal
	for _, a := range m.Approvals {
		c, there := newest[a.Update]
		value := m.switchOf(SetRevisions, a.Group)
		if !there || c.Descriptor.Revision <= a.Revision || a.role != "" || a.Listed() || a.Action == ActionDecline || a.Action == ActionRemove || value == revisionsOff {
			continue
		}
		p := Proposal{Rule: SetRevisions, Approval: a, DueAt: c.RevisionAt}
		p.Approval.Revision, p.Approval.Descriptor, p.Approval.DescriptorBytes = c.Descriptor.Revision, c.ID, c.Bytes
		was := describe(a.Descriptor)
		same := was != nil && MetadataOnly(was, c.Descriptor)
		switch {
		case c.Descriptor.Withdrawn:
			p.Not = "its vendor has withdrawn it"
		case !same && value != revisionsAny:
			p.Not = fmt.Sprintf("revision %d changes more than what is written about it: approve it by hand", c.Descriptor.Revision)
		case !same && c.Descriptor.Licence != "" && (was == nil || was.Licence != c.Descriptor.Licence):
			p.Not = "somebody must accept its licence: approve it by hand"
		case !same: // other bytes: from the first ring on, and deadlines count anew
			p.Approval.At = now.UTC().Truncate(time.Second)
			if a.RingPlan != "" {
				p.Approval.RingsOpened, p.Opens = []time.Time{p.Approval.At}, true
			}
		}
		out = append(out, p)
	}
	return out
}

// declineAfter is how long a replacement must have been in force before the old update is let go: what is wrong with the new
// one shows late, and until then the old one is the way back.
const declineAfter = 30 * day

// ProposeDeclines says which approvals of the main approvers nobody needs any more, where the switch is on.
// needed tells of an update whether any machine of a group is still without it and what replaces it, or has not
// said so. A mitigation is never declined: that would keep it where it is to be taken off.
func (m *Manifest) ProposeDeclines(catalogue []Candidate, describe func(content.ID) *Descriptor, needed func(UpdateID, string) bool, now time.Time) []Proposal {
	withdrawn := map[UpdateID]bool{}
	for _, c := range catalogue {
		withdrawn[c.Descriptor.Update] = c.Descriptor.Withdrawn
	}
	replaced := map[string]successors{}
	var out []Proposal
	for _, a := range m.Approvals {
		d := describe(a.Descriptor)
		if a.role != "" || a.Listed() || a.Action == ActionDecline || a.Action == ActionRemove || d == nil || d.Mitigates != "" || m.switchOf(SetDeclines, a.Group) != "yes" {
			continue
		}
		if _, known := replaced[a.Group]; !known { // what its vendor has withdrawn is about to go itself
			replaced[a.Group] = m.successors([]string{a.Group}, describe, now, func(u UpdateID) bool { return withdrawn[u] })
		}
		rep, is := replaced[a.Group].of(a.Update)
		if !withdrawn[a.Update] && !is {
			continue
		}
		at := now.UTC().Truncate(time.Second)
		p := Proposal{Rule: SetDeclines, DueAt: at, Approval: Approval{
			Update: a.Update, Revision: a.Revision, Descriptor: a.Descriptor, DescriptorBytes: a.DescriptorBytes, Group: a.Group, Action: ActionDecline, At: at,
		}}
		if !withdrawn[a.Update] {
			p.DueAt = rep.SinceAt.Add(declineAfter)
			p.Not = stillWanted(rep, p.DueAt, now, func() bool { return needed(a.Update, a.Group) })
		}
		out = append(out, p)
	}
	return out
}

// stillWanted says why a replaced update is not let go yet; empty: it may go.
func stillWanted(rep Replacement, dueAt, now time.Time, needed func() bool) string {
	by := make([]string, len(rep.By))
	for i, u := range rep.By {
		by[i] = string(u)
	}
	if rep.More {
		by = append(by, "others")
	}
	switch {
	case needed():
		return "replaced by " + strings.Join(by, ", ") + ", but a machine still needs it or has not reported"
	case now.Before(dueAt):
		return "replaced by " + strings.Join(by, ", ") + ", which has been in force for less than 30 days"
	}
	return ""
}
