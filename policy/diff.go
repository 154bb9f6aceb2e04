package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"patchmesh/content"
)

// Change is one difference between two manifests: what an approver is shown before signing, and what
// the approval log keeps. Exactly one pair of fields is set; Was alone is a removal, the other alone
// an addition.
type Change struct {
	Approval    *Approval `json:"approval,omitempty"`
	WasApproval *Approval `json:"was_approval,omitempty"`
	Hold        *Hold     `json:"hold,omitempty"`
	WasHold     *Hold     `json:"was_hold,omitempty"`

	HoldException    *HoldException `json:"hold_exception,omitempty"`
	WasHoldException *HoldException `json:"was_hold_exception,omitempty"`

	Group       *Group     `json:"group,omitempty"`
	WasGroup    *Group     `json:"was_group,omitempty"`
	Window      *Window    `json:"window,omitempty"`
	WasWindow   *Window    `json:"was_window,omitempty"`
	RingPlan    *RingPlan  `json:"ring_plan,omitempty"`
	WasRingPlan *RingPlan  `json:"was_ring_plan,omitempty"`
	Setting     *Setting   `json:"setting,omitempty"`
	WasSetting  *Setting   `json:"was_setting,omitempty"`
	Role        *RoleGrant `json:"role,omitempty"`
	WasRole     *RoleGrant `json:"was_role,omitempty"`

	ApprovalRule    *ApprovalRule `json:"approval_rule,omitempty"`
	WasApprovalRule *ApprovalRule `json:"was_approval_rule,omitempty"`
	Baseline        *Baseline     `json:"baseline,omitempty"`
	WasBaseline     *Baseline     `json:"was_baseline,omitempty"`

	Orchestration    *Orchestration `json:"orchestration,omitempty"`
	WasOrchestration *Orchestration `json:"was_orchestration,omitempty"`
}

// RoleGrant is a delegated role with its keys, for people and for the log.
type RoleGrant struct {
	Delegation
	KeyIDs    []string `json:"key_ids"`
	Threshold int      `json:"threshold"`
}

// Op says what kind of change it is: add, remove or change.
func (c Change) Op() string {
	was := c.WasApproval != nil || c.WasHold != nil || c.WasGroup != nil || c.WasWindow != nil || c.WasRingPlan != nil || c.WasSetting != nil || c.WasRole != nil ||
		c.WasHoldException != nil || c.WasApprovalRule != nil || c.WasBaseline != nil || c.WasOrchestration != nil
	is := c.Approval != nil || c.Hold != nil || c.Group != nil || c.Window != nil || c.RingPlan != nil || c.Setting != nil || c.Role != nil ||
		c.HoldException != nil || c.ApprovalRule != nil || c.Baseline != nil || c.Orchestration != nil
	switch {
	case was && is:
		return "change"
	case was:
		return "remove"
	}
	return "add"
}

// decisions are the parts of a manifest that changes are about.
type decisions struct {
	groups    []Group
	approvals []Approval
	holds     []Hold
	roles     []RoleGrant
	windows   []Window
	ringPlans []RingPlan
	settings  []Setting
	rules     []ApprovalRule
	baselines []Baseline

	orchestrations []Orchestration
	exceptions     []HoldException
}

// decisions are everything that a signature under the manifest says, for approvers to see.
func (m *Manifest) decisions(roles []RoleGrant) decisions {
	return decisions{groups: m.Groups, approvals: m.Approvals, holds: m.Holds, windows: m.Windows, ringPlans: m.RingPlans, settings: m.Settings, roles: roles,
		rules: m.ApprovalRules, baselines: m.Baselines, orchestrations: m.Orchestrations, exceptions: m.HoldExceptions}
}

// manifest is the way back: one that says the same, apart from roles.
func (a decisions) manifest() *Manifest {
	return &Manifest{Groups: a.groups, Approvals: a.approvals, Holds: a.holds, Windows: a.windows, RingPlans: a.ringPlans, Settings: a.settings,
		ApprovalRules: a.rules, Baselines: a.baselines, Orchestrations: a.orchestrations, HoldExceptions: a.exceptions}
}

func (a decisions) diff(b decisions) []Change {
	var out []Change
	pairs(a.groups, b.groups, func(g Group) string { return g.Name }, func(was, is *Group) { out = append(out, Change{WasGroup: was, Group: is}) })
	pairs(a.settings, b.settings, func(s Setting) string { return s.Name + "\x00" + s.Group }, func(was, is *Setting) {
		out = append(out, Change{WasSetting: was, Setting: is})
	})
	pairs(a.ringPlans, b.ringPlans, func(p RingPlan) string { return p.Name }, func(was, is *RingPlan) {
		out = append(out, Change{WasRingPlan: was, RingPlan: is})
	})
	pairs(a.windows, b.windows, func(w Window) string { return w.ID }, func(was, is *Window) { out = append(out, Change{WasWindow: was, Window: is}) })
	pairs(a.rules, b.rules, func(r ApprovalRule) string { return r.Name }, func(was, is *ApprovalRule) {
		out = append(out, Change{WasApprovalRule: was, ApprovalRule: is})
	})
	pairs(a.baselines, b.baselines, func(x Baseline) string { return x.Group }, func(was, is *Baseline) {
		out = append(out, Change{WasBaseline: was, Baseline: is})
	})
	pairs(a.orchestrations, b.orchestrations, func(o Orchestration) string { return o.Name }, func(was, is *Orchestration) {
		out = append(out, Change{WasOrchestration: was, Orchestration: is})
	})
	pairs(a.roles, b.roles, func(r RoleGrant) string { return r.Role }, func(was, is *RoleGrant) { out = append(out, Change{WasRole: was, Role: is}) })
	pairs(a.approvals, b.approvals, func(x Approval) string { return string(x.Update) + "\x00" + x.Group }, func(was, is *Approval) {
		out = append(out, Change{WasApproval: was, Approval: is})
	})
	pairs(a.holds, b.holds, func(h Hold) string { return h.ID }, func(was, is *Hold) { out = append(out, Change{WasHold: was, Hold: is}) })
	pairs(a.exceptions, b.exceptions, func(e HoldException) string { return e.ID }, func(was, is *HoldException) {
		out = append(out, Change{WasHoldException: was, HoldException: is})
	})
	return out
}

// pairs matches two lists by name and tells of everything that differs, in the order of names.
func pairs[T any](was, is []T, name func(T) string, tell func(was, is *T)) {
	old, now := map[string]*T{}, map[string]*T{}
	var names []string
	for i := range was {
		old[name(was[i])] = &was[i]
		names = append(names, name(was[i]))
	}
	for i := range is {
		now[name(is[i])] = &is[i]
		names = append(names, name(is[i]))
	}
	slices.Sort(names)
	for _, n := range slices.Compact(names) {
		a, b := old[n], now[n]
		if a != nil && b != nil && sameJSON(a, b) {
			continue
		}
		tell(a, b)
	}
}

// apply makes the decisions after some changes: the way back from the log.
func (a decisions) apply(changes []Change) (decisions, error) {
	err := errors.Join( // before a is read
		replace(&a.groups, changes, func(c *Change) (was, is *Group) { return c.WasGroup, c.Group }),
		replace(&a.windows, changes, func(c *Change) (was, is *Window) { return c.WasWindow, c.Window }),
		replace(&a.ringPlans, changes, func(c *Change) (was, is *RingPlan) { return c.WasRingPlan, c.RingPlan }),
		replace(&a.settings, changes, func(c *Change) (was, is *Setting) { return c.WasSetting, c.Setting }),
		replace(&a.rules, changes, func(c *Change) (was, is *ApprovalRule) { return c.WasApprovalRule, c.ApprovalRule }),
		replace(&a.baselines, changes, func(c *Change) (was, is *Baseline) { return c.WasBaseline, c.Baseline }),
		replace(&a.orchestrations, changes, func(c *Change) (was, is *Orchestration) { return c.WasOrchestration, c.Orchestration }),
		replace(&a.roles, changes, func(c *Change) (was, is *RoleGrant) { return c.WasRole, c.Role }),
		replace(&a.approvals, changes, func(c *Change) (was, is *Approval) { return c.WasApproval, c.Approval }),
		replace(&a.holds, changes, func(c *Change) (was, is *Hold) { return c.WasHold, c.Hold }),
		replace(&a.exceptions, changes, func(c *Change) (was, is *HoldException) { return c.WasHoldException, c.HoldException }),
	)
	return a, err
}

// replace takes from a list what the changes of its kind take, and appends what they add. A change of thousands of
// approvals is common, so what is taken is found by what would be written of it, not by comparing it with all.
func replace[T any](list *[]T, changes []Change, pair func(*Change) (was, is *T)) error {
	all := slices.Clone(*list)
	var at map[string][]int // where the items are that are written so; the first goes first
	add := func(i int) error {
		b, err := json.Marshal(all[i])
		at[string(b)] = append(at[string(b)], i)
		return err
	}
	gone := map[int]bool{}
	for k := range changes {
		was, is := pair(&changes[k])
		if was != nil {
			if at == nil {
				at = make(map[string][]int, len(all))
				for i := range all {
					if err := add(i); err != nil {
						return err
					}
				}
			}
			b, err := json.Marshal(was)
			here := at[string(b)]
			if err != nil || len(here) == 0 {
				return fmt.Errorf("a change removes what was not there: %w", ErrFormat)
			}
			gone[here[0]], at[string(b)] = true, here[1:]
		}
		if is == nil {
			continue
		}
		all = append(all, *is)
		if at == nil {
			continue
		}
		if err := add(len(all) - 1); err != nil {
			return err
		}
	}
	i := -1
	*list = slices.DeleteFunc(all, func(T) bool { i++; return gone[i] })
	return nil
}

// Changes says what the draft would change against what is trusted: exactly what a signature under it
// says. Roles are shown with their keys.
func (d *Draft) Changes(t *Trust) ([]Change, error) {
	if d.role != "" {
		was, err := t.RoleManifest(d.role)
		if err != nil {
			return nil, err
		}
		is, err := DecodeRoleManifest(d.manifest)
		if err != nil {
			return nil, err
		}
		return was.decisions().diff(is.decisions()), nil
	}
	is, err := DecodeManifest(d.manifest)
	if err != nil {
		return nil, err
	}
	after := is.decisions(grantsOf(is, d.targets))
	return t.decided().diff(after), nil
}

// decided is what the main approvers have decided so far.
// ChangesSince says what was decided between an earlier trusted set and this one.
func (t *Trust) ChangesSince(was *Trust) []Change { return was.decided().diff(t.decided()) }

func (t *Trust) decided() decisions {
	if t.main == nil {
		return decisions{}
	}
	return t.main.decisions(grantsOf(t.main, t.tm.Targets["targets"]))
}

// ManifestID names the manifest of the draft.
func (d *Draft) ManifestID() content.ID { return content.Sum(d.manifest) }

// Digest names everything that a signature under the draft covers: the manifest, and to whom roles are
// delegated. Two looks at a draft were of the same thing if it is equal.
func (d *Draft) Digest() (content.ID, error) {
	unsigned := *d.targets
	unsigned.Signatures = nil
	b, err := unsigned.ToBytes(false)
	if err != nil {
		return content.ID{}, fmt.Errorf("encode draft: %w", err)
	}
	return content.Sum(b), nil
}

// Text describes a change in one line, for people. It says everything that is signed about an
// approval: what, which revision, which bytes, for whom, when.
func (c Change) Text() string {
	sign := map[string]string{"add": "+", "remove": "-", "change": "~"}[c.Op()]
	switch {
	case c.Approval != nil && c.WasApproval != nil:
		return fmt.Sprintf("%s approval  %s\n            was: %s", sign, c.Approval.text(), c.WasApproval.text())
	case c.Approval != nil || c.WasApproval != nil:
		return fmt.Sprintf("%s approval  %s", sign, firstOf(c.Approval, c.WasApproval).text())
	case c.Hold != nil || c.WasHold != nil:
		return fmt.Sprintf("%s hold      %s", sign, firstOf(c.Hold, c.WasHold).text())
	case c.HoldException != nil || c.WasHoldException != nil:
		return c.exceptionText(sign)
	case c.Group != nil && c.WasGroup != nil:
		return fmt.Sprintf("%s group     %s\n            was: %s", sign, c.Group, c.WasGroup)
	case c.Group != nil || c.WasGroup != nil:
		return fmt.Sprintf("%s group     %s", sign, firstOf(c.Group, c.WasGroup))
	case c.Window != nil && c.WasWindow != nil:
		return fmt.Sprintf("%s window    %s\n            was: %s", sign, c.Window, c.WasWindow)
	case c.Window != nil || c.WasWindow != nil:
		return fmt.Sprintf("%s window    %s", sign, firstOf(c.Window, c.WasWindow))
	case c.RingPlan != nil && c.WasRingPlan != nil:
		return fmt.Sprintf("%s ring plan %s\n            was: %s", sign, c.RingPlan, c.WasRingPlan)
	case c.RingPlan != nil || c.WasRingPlan != nil:
		return fmt.Sprintf("%s ring plan %s", sign, firstOf(c.RingPlan, c.WasRingPlan))
	case c.Setting != nil && c.WasSetting != nil:
		return fmt.Sprintf("%s setting   %s\n            was: %s", sign, c.Setting, c.WasSetting)
	case c.Setting != nil || c.WasSetting != nil:
		return fmt.Sprintf("%s setting   %s", sign, firstOf(c.Setting, c.WasSetting))
	case c.ApprovalRule != nil && c.WasApprovalRule != nil:
		return fmt.Sprintf("%s rule      %s\n            was: %s", sign, c.ApprovalRule, c.WasApprovalRule)
	case c.ApprovalRule != nil || c.WasApprovalRule != nil:
		return fmt.Sprintf("%s rule      %s", sign, firstOf(c.ApprovalRule, c.WasApprovalRule))
	case c.Baseline != nil && c.WasBaseline != nil:
		return fmt.Sprintf("%s baseline  %s\n            was: %s", sign, c.Baseline, c.WasBaseline)
	case c.Baseline != nil || c.WasBaseline != nil:
		return fmt.Sprintf("%s baseline  %s", sign, firstOf(c.Baseline, c.WasBaseline))
	case c.Orchestration != nil || c.WasOrchestration != nil:
		return c.orchestrationText(sign)
	case c.Role != nil && c.WasRole != nil:
		return fmt.Sprintf("%s role      %s\n            was: %s", sign, c.Role.text(), c.WasRole.text())
	}
	return fmt.Sprintf("%s role      %s", sign, firstOf(c.Role, c.WasRole).text())
}

func (a Approval) text() string {
	s := fmt.Sprintf("%s %s revision %d for group %s, descriptor %s", a.Action, a.Update, a.Revision, a.Group, a.Descriptor)
	if !a.NotBefore.IsZero() {
		s += ", not before " + a.TimeText(a.NotBefore)
	}
	if !a.Deadline.IsZero() {
		s += ", deadline " + a.TimeText(a.Deadline)
	}
	if a.DeadlineMinutes > 0 {
		s += ", deadline " + a.deadlineAfter().String() + " after each ring is opened"
	}
	if a.Expedite {
		s += ", expedited: its deadline is now"
	}
	if a.RingPlan != "" {
		s += fmt.Sprintf(", along ring plan %s with %d ring(s) open", a.RingPlan, len(a.RingsOpened))
		for _, t := range a.RingsOpened {
			s += ", " + t.UTC().Format("2006-01-02T15:04:05Z")
		}
	}
	if a.IgnoreWindows {
		s += ", also while every maintenance window is closed"
	}
	if a.IgnoreBudget {
		s += ", also beyond the WAN budget of a site"
	}
	return s
}

// String says all of a window in one line, for people.
func (w Window) String() string {
	s := fmt.Sprintf("%s for group %s: %s from %s, at %s %s for %d minutes", w.ID, w.Group, w.Rule, w.From, w.At, w.Zone, w.Minutes)
	if w.OffsetDays > 0 {
		s += fmt.Sprintf(", %d days after those days", w.OffsetDays)
	}
	if w.SpreadMinutes > 0 {
		s += fmt.Sprintf(", machines begin within %d minutes", w.SpreadMinutes)
	}
	return s
}

func (h Hold) text() string {
	s := fmt.Sprintf("%s (%s) of %s for group %s: %s", h.ID, h.Kind, h.Update, firstText(h.Group, GroupAll), h.Reason)
	if !h.ExpiresAt.IsZero() {
		s += ", until " + h.ExpiresAt.UTC().Format("2006-01-02T15:04:05Z")
	}
	if h.Match != nil {
		s += ", only on machines of " + h.Match.String()
	}
	return s
}

func (r RoleGrant) text() string {
	return fmt.Sprintf("%s may %s for groups %s with %d of the keys %s", r.Role, strings.Join(r.Actions, ", "), strings.Join(r.Groups, ", "), r.Threshold, strings.Join(r.KeyIDs, ", "))
}

func firstOf[T any](a, b *T) T {
	if a != nil {
		return *a
	}
	return *b
}

func firstText(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
