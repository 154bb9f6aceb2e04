package node

import (
	"patchmesh/policy"
)

// deadlineFrom names the setting behind a deadline by severity, for explain.
func (n *Node) deadlineFrom(man *policy.Manifest, a policy.Approval, facts policy.Machine) string {
	d := n.describer()(a.Descriptor)
	if d == nil {
		return ""
	}
	e, is := man.DeadlineBySeverity(d.Severity, facts)
	if !is {
		return ""
	}
	return " (" + e.Name + "=" + e.Value + ", from " + e.Source + ")"
}

// deadlineBy names the setting that gives an approval a deadline that names none; empty: it has none, or its own.
func (s *seed) deadlineBy(m *policy.Manifest, a policy.Approval) string {
	d := s.descriptor(a.Descriptor)
	if m == nil || d == nil || a.Action != policy.ActionInstall || !a.EarliestDeadline().IsZero() || d.MayAsk() {
		return ""
	}
	set := m.DeadlineSetting(d.Severity, a.Group)
	if set.Name == "" {
		return ""
	}
	return set.String()
}
